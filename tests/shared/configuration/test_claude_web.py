"""The names under which sign-ins at claude.ai are configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from parley.catalog import Catalog, Upstream
from parley.configuration import read_catalog
from parley.configuration.environment import read_settings
from parley.providers import make_providers
from parley.settings import ConfigurationError
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets

KEY = "sk-ant-sid01-abc_DEF-1"


def catalog(env: str = "", yaml: str | None = None) -> Catalog:
    Path(".env").write_text(env)
    if yaml is not None:
        Path("parley.yaml").write_text(yaml)
    return read_catalog(read_settings()).catalog


def claude(env: str) -> Upstream:
    return catalog(env).upstreams["claude-web"]


def test_without_a_cookie_nobody_is_asked() -> None:
    assert "claude-web" not in catalog("CLAUDE_WEB_BASE_URL=http://127.0.0.1:1\nCLAUDE_WEB_MODELS=x\n").upstreams


def test_a_session_key_is_enough() -> None:
    up = claude(f"CLAUDE_WEB_COOKIE={KEY}\n")
    assert (up.provider, up.base_url, up.concurrency) == ("claude-web", "https://claude.ai", 1)
    assert up.credentials[0].parts["cookie"].reveal() == KEY
    assert up.default_model == up.models[0] == "claude-sonnet-4-5-20250929"
    assert up.pool is None, "a conversation is opened by its question"
    assert up.options == {
        "transport": "browser",
        "user_agent": "",
        "whole_cookie": False,
        "temporary": True,
        "effort": "low",
    }


def test_everything_said() -> None:
    up = claude(
        f"CLAUDE_WEB_COOKIE='lang=en; sessionKey={KEY}; cf_clearance=x'\nCLAUDE_WEB_BASE_URL=http://127.0.0.1:9\n"
        "CLAUDE_WEB_MODELS=claude-a, claude-b\nCLAUDE_WEB_DEFAULT_MODEL=claude-b\nCLAUDE_WEB_CONCURRENCY=2\n"
        "CLAUDE_WEB_TRANSPORT=http\nCLAUDE_WEB_USER_AGENT=Mozilla/5.0\nCLAUDE_WEB_WHOLE_COOKIE=true\n"
        "CLAUDE_WEB_TEMPORARY=false\nCLAUDE_WEB_EFFORT=high\n"
        """CLAUDE_WEB_CREDENTIALS='["sk-ant-sid01-2", {"cookie": "sk-ant-sid01-3", "organization": "0rg",
"alias": "third", "proxy": "socks5://127.0.0.1:1", "timeouts": {"first_token": 9}}]'\n"""
    )
    first, second, third = up.credentials
    assert first.parts["cookie"].reveal() == f"lang=en; sessionKey={KEY}; cf_clearance=x"
    assert second.parts["cookie"].reveal() == "sk-ant-sid01-2"
    assert {name: part.reveal() for name, part in third.parts.items()} == {
        "cookie": "sk-ant-sid01-3",
        "organization": "0rg",
    }
    assert third.proxy is not None
    assert (third.alias, third.proxy.reveal(), third.timeouts) == ("third", "socks5://127.0.0.1:1", {"first_token": 9})
    assert (up.models, up.default_model, up.concurrency) == (("claude-a", "claude-b"), "claude-b", 2)
    assert up.base_url == "http://127.0.0.1:9"
    assert up.options == {
        "transport": "http",
        "user_agent": "Mozilla/5.0",
        "whole_cookie": True,
        "temporary": False,
        "effort": "high",
    }
    make_providers(Catalog({"claude-web": up}), Net(HTTP(), WebSockets(), Browser()))


@pytest.mark.parametrize(
    "env",
    [
        "CLAUDE_WEB_COOKIE=sk-ant-sid01-xxxxxx\n",
        "CLAUDE_WEB_COOKIE=lang=en\n",
        """CLAUDE_WEB_CREDENTIALS='[{"organization": "0rg"}]'\n""",
        f"CLAUDE_WEB_COOKIE={KEY}\nCLAUDE_WEB_TRANSPORT=pigeon\n",
        f"CLAUDE_WEB_COOKIE={KEY}\nCLAUDE_WEB_EFFORT=huge\n",
    ],
)
def test_what_cannot_work_is_said_at_the_start_and_shows_no_secret(env: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        claude(env)
    assert "CLAUDE_WEB" in str(caught.value) and "sk-ant" not in str(caught.value).replace("sk-ant-sid...", "")


@pytest.mark.parametrize(("said", "concurrency"), [("", 1), (", concurrency: 0", 0), (", concurrency: 3", 3)])
def test_an_account_in_the_file_answers_one_at_a_time_unless_it_is_said(said: str, concurrency: int) -> None:
    entry = f"{{name: a, provider: claude-web, credentials: ['{KEY}']{said}}}"
    assert catalog(yaml=f"upstreams: [{entry}]").upstreams["a"].concurrency == concurrency


def test_others_in_the_file_answer_without_a_limit() -> None:
    entry = "{name: a, provider: openai, base_url: 'http://127.0.0.1:9/v1'}"
    assert catalog(yaml=f"upstreams: [{entry}]").upstreams["a"].concurrency == 0
