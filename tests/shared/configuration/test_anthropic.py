"""ANTHROPIC_*: the names that the vendor's own client reads, and ours beside them."""

from pathlib import Path

import pytest

from parley.catalog import Catalog, Timeouts
from parley.configuration import read_catalog
from parley.configuration.environment import read_settings
from parley.leases import Credential
from parley.settings import ConfigurationError


def catalog(env: str) -> Catalog:
    Path(".env").write_text(env)
    return read_catalog(read_settings()).catalog


def test_a_key_is_enough() -> None:
    up = catalog("ANTHROPIC_API_KEY=sk-ant-api03-abc\n").upstreams["anthropic"]
    assert (up.provider, up.base_url) == ("anthropic", "https://api.anthropic.com")
    assert [plan.parts["value"].reveal() for plan in up.credentials] == ["sk-ant-api03-abc"]
    assert up.options == {"version": "2023-06-01"}


def test_everything_else_has_its_name() -> None:
    up = catalog(
        "ANTHROPIC_API_KEY=sk-ant-api03-abc\n"
        "ANTHROPIC_AUTH_TOKEN=tok-1\n"
        'ANTHROPIC_CREDENTIALS=["sk-ant-api03-def", {"auth_token": "tok-2", "alias": "other", "proxy": '
        '"socks5://u:p@127.0.0.1:1", "base_url": "https://b.example/", "timeouts": {"connect": 2, "total": 9}}]\n'
        "ANTHROPIC_BASE_URL=https://a.example/prefix\n"
        "ANTHROPIC_MODELS=claude-demo-4-5, claude-demo-4-7\n"
        "ANTHROPIC_DEFAULT_MODEL=claude-demo-4-5\n"
        "ANTHROPIC_VERSION=2026-10-21\n"
        "ANTHROPIC_BETAS=one,two\n"
        "ANTHROPIC_MAX_TOKENS=900\n"
        "HTTPS_PROXY=http://127.0.0.1:2\n"
    ).upstreams["anthropic"]
    assert [plan.alias for plan in up.credentials] == ["anthropic-1", "anthropic-2", "other", "anthropic-token"]
    assert [next(iter(plan.parts)) for plan in up.credentials] == ["value", "value", "auth_token", "auth_token"]
    other = up.credentials[2]
    place = Credential(
        "1", other.alias, other.parts, proxy=other.proxy, base_url=other.base_url, timeouts=other.timeouts
    )
    assert place.place(up).base_url == "https://b.example"
    assert place.place(up).proxy == "socks5://u:p@127.0.0.1:1"
    assert place.place(up).timeouts == Timeouts(connect=2, total=9)
    assert up.base_url == "https://a.example/prefix"
    assert up.models == ("claude-demo-4-5", "claude-demo-4-7")
    assert up.default_model == "claude-demo-4-5"
    assert up.options == {"version": "2026-10-21", "betas": ["one", "two"], "max_tokens": 900}
    assert up.proxy is not None and up.proxy.reveal() == "http://127.0.0.1:2"


@pytest.mark.parametrize(
    "line",
    [
        "ANTHROPIC_API_KEY=your-key-here",
        "ANTHROPIC_AUTH_TOKEN=changeme",
        "ANTHROPIC_API_KEY=sk-ant-abc\nANTHROPIC_VERSION=2024-01-01",
        "ANTHROPIC_API_KEY=sk-ant-abc\nANTHROPIC_MAX_TOKENS=0",
        'ANTHROPIC_AUTH_TOKEN=tok\nANTHROPIC_CREDENTIALS=[{"value": "sk-ant-abc", "alias": "anthropic-token"}]',
    ],
)
def test_what_cannot_be_meant_is_refused_without_showing_a_secret(line: str) -> None:
    with pytest.raises(ConfigurationError, match="ANTHROPIC_") as caught:
        catalog(line)
    assert "sk-ant-abc" not in str(caught.value)
