"""The names under which Zhipu's platform is configured."""

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


def catalog(env: str) -> Catalog:
    Path(".env").write_text(env)
    return read_catalog(read_settings()).catalog


def zhipu(env: str) -> Upstream:
    return catalog(env).upstreams["zhipu"]


def test_without_a_key_there_is_no_zhipu() -> None:
    assert "zhipu" not in catalog("ZHIPU_BASE_URL=http://127.0.0.1:1\nZHIPU_SIGN_IN=jwt\n").upstreams


def test_a_key_is_enough() -> None:
    up = zhipu("ZHIPU_API_KEY=id1.s3cr3t\n")
    assert up.provider == "zhipu"
    assert up.base_url == "https://open.bigmodel.cn/api/paas/v4"
    assert up.credentials[0].parts["value"].reveal() == "id1.s3cr3t"
    assert "glm-4.6" in up.models
    assert up.options == {
        "sign_in": "bearer",
        "legacy_model": "glm-4-flash",
        "json_schema": "refuse",
        "forced_tools": "refuse",
    }


def test_everything_said() -> None:
    up = zhipu(
        "ZHIPU_API_KEY=id1.s3cr3t\nZHIPU_BASE_URL=https://api.z.ai/api/paas/v4\nZHIPU_SIGN_IN=jwt\n"
        "ZHIPU_MODELS=glm-5, glm-4v\nZHIPU_DEFAULT_MODEL=glm-5\nZHIPU_LEGACY_MODEL=glm-5\nZHIPU_JSON_SCHEMA=told\n"
        "ZHIPU_FORCED_TOOLS=auto\n"
        """ZHIPU_CREDENTIALS='["id2.s2", {"value": "id3.s3", "alias": "x", "proxy": "socks5://h:1",
          "base_url": "http://127.0.0.1:2", "timeouts": {"total": 9}}]'\n"""
    )
    assert [plan.alias for plan in up.credentials] == ["zhipu-1", "zhipu-2", "x"]
    assert up.credentials[2].base_url == "http://127.0.0.1:2"
    assert up.credentials[2].timeouts == {"total": 9.0}
    assert (tuple(up.models), up.default_model) == (("glm-5", "glm-4v"), "glm-5")
    assert up.options == {"sign_in": "jwt", "legacy_model": "glm-5", "json_schema": "told", "forced_tools": "auto"}


@pytest.mark.parametrize("line", ["ZHIPU_SIGN_IN=token", "ZHIPU_JSON_SCHEMA=yes", "ZHIPU_FORCED_TOOLS=maybe"])
def test_a_word_that_means_nothing_is_refused_by_name(line: str) -> None:
    with pytest.raises(ConfigurationError, match=line.partition("=")[0]):
        catalog(f"ZHIPU_API_KEY=id1.s3cr3t\n{line}\n")


@pytest.mark.parametrize("provider", ["zhipu", "zhipu-v3"])
async def test_a_key_without_its_dot_is_refused_at_the_start_and_not_shown(provider: str) -> None:
    Path("parley.yaml").write_text(
        f"upstreams: [{{name: glm, provider: {provider}, credentials: [nodotCANARY], base_url: 'http://127.0.0.1:1'}}]"
    )
    net = Net(HTTP(), WebSockets(), Browser())
    with pytest.raises(ConfigurationError, match=r"'glm'.*id.*secret") as refused:
        make_providers(catalog(""), net)
    assert "CANARY" not in str(refused.value)
    await net.aclose()
