"""QIANFAN_*: which variables make which upstreams of Baidu Qianfan."""

from __future__ import annotations

from typing import Any

import pytest

from parley.catalog import Upstream
from parley.configuration.credentials import credential as plan_of
from parley.dialects.qianfan.legacy import OFFERED
from parley.providers import PROVIDERS
from parley.providers.qianfan import Qianfan, QianfanLegacy
from parley.settings import ConfigurationError
from tests.providers.subjects import NET
from tests.shared.configuration.variables import clear, found

KEY = "bce-v3/ALTAK-demo/secretpart"


def test_nothing_is_on_without_a_credential() -> None:
    assert found(QIANFAN_BASE_URL="http://127.0.0.1:1", QIANFAN_MODELS="ernie-4.0-8k") == []


def test_a_key_opens_v2() -> None:
    (up,) = found(QIANFAN_API_KEY=KEY)
    assert (up.name, up.provider, up.base_url) == ("qianfan", "qianfan", "https://qianfan.baidubce.com/v2")
    assert clear(up) == [{"value": KEY}]
    assert "ernie-4.0-8k" in up.models and "deepseek-r1" in up.models
    assert isinstance(PROVIDERS[up.provider](up, NET), Qianfan)


def test_the_names_of_the_vendors_own_client_open_what_they_open_there() -> None:
    newer, legacy = found(
        QIANFAN_AK="ak-of-one", QIANFAN_SK="sk-of-one", QIANFAN_ACCESS_KEY="key-of-iam", QIANFAN_SECRET_KEY="sec-of-iam"
    )
    assert (newer.name, clear(newer)) == ("qianfan", [{"access_key": "key-of-iam", "secret_key": "sec-of-iam"}])
    assert (legacy.name, clear(legacy)) == ("qianfan-legacy", [{"ak": "ak-of-one", "sk": "sk-of-one"}])
    assert (legacy.base_url, legacy.models) == ("https://aip.baidubce.com", OFFERED)
    assert isinstance(PROVIDERS[legacy.provider](legacy, NET), QianfanLegacy)


def test_a_list_may_hold_all_kinds_and_what_differs_of_each() -> None:
    credentials: list[Any] = [
        KEY,
        "ak-of-two|sk-of-two",
        {"api_key": "ak-of-three", "secret_key": "sk-of-three", "alias": "mine", "proxy": "socks5://p:1"},
        {"access_key": "a", "secret_key": "s", "base_url": "https://there.example/v2", "timeouts": {"total": 9}},
        {"value": KEY, "appid": "app-1"},
    ]
    newer, legacy = found(
        QIANFAN_API_KEY=KEY,
        QIANFAN_CREDENTIALS=credentials,
        QIANFAN_MODELS="ernie-x1",
        QIANFAN_LEGACY_MODELS="Mine,ERNIE-Bot",
        QIANFAN_DEFAULT_MODEL="ernie-x1",
        QIANFAN_ENDPOINTS="Mine=mine_0815, other = else",
        QIANFAN_APP_ID="app-0",
        QIANFAN_IAM_BASE_URL="http://127.0.0.1:2",
        QIANFAN_LEGACY_BASE_URL="http://127.0.0.1:3",
    )
    assert [plan.alias for plan in newer.credentials] == ["qianfan-1", "qianfan-2", "qianfan-5", "qianfan-6"]
    assert [plan.alias for plan in legacy.credentials] == ["qianfan-3", "mine"]
    assert legacy.credentials[1].proxy and legacy.credentials[1].proxy.reveal() == "socks5://p:1"
    assert (newer.credentials[2].base_url, newer.credentials[2].timeouts) == ("https://there.example/v2", {"total": 9})
    assert newer.options == {"appid": "app-0", "iam_url": "http://127.0.0.1:2"}
    assert legacy.options == {"endpoints": {"Mine": "mine_0815", "other": "else"}}
    assert (newer.models, legacy.models, newer.default_model) == (("ernie-x1",), ("Mine", "ERNIE-Bot"), "ernie-x1")
    assert legacy.base_url == "http://127.0.0.1:3"
    for upstream in (newer, legacy):
        PROVIDERS[upstream.provider](upstream, NET)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"QIANFAN_AK": "ak-of-one"}, "QIANFAN_AK and QIANFAN_SK belong together"),
        ({"QIANFAN_SECRET_KEY": "sec-of-one"}, "QIANFAN_ACCESS_KEY and QIANFAN_SECRET_KEY belong together"),
        ({"QIANFAN_AK": "your-ak", "QIANFAN_SK": "sk-of-one"}, "QIANFAN_AK still holds the sample's placeholder"),
        ({"QIANFAN_API_KEY": "xxxxxx"}, "QIANFAN_API_KEY still holds the sample's placeholder"),
        ({"QIANFAN_AK": "a", "QIANFAN_SK": "s", "QIANFAN_ENDPOINTS": "mine"}, "QIANFAN_ENDPOINTS: 'mine' must be"),
        ({"QIANFAN_API_KEY": KEY, "QIANFAN_BASE_URL": "https://aip.baidubce.com"}, "is QIANFAN_LEGACY_BASE_URL"),
    ],
)
def test_what_cannot_work_is_said_at_the_start(settings: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        found(**settings)


@pytest.mark.parametrize(
    ("provider", "credential", "says"),
    [
        ("qianfan", {"api_key": "CANARYkey", "secret_key": "CANARYsecret"}, "'one': provider 'qianfan' needs"),
        ("qianfan", "CANARYkey|CANARYsecret", "are for 'qianfan-legacy'"),
        ("qianfan", {"access_key": "CANARYkey"}, "needs an API key"),
        ("qianfan-legacy", KEY, "is for 'qianfan'"),
        ("qianfan-legacy", {"api_key": "CANARYkey"}, "needs api_key and secret_key"),
    ],
)
def test_a_credential_has_to_open_what_it_is_for(provider: str, credential: Any, says: str) -> None:
    made = plan_of(credential, where="here", alias="one")
    with pytest.raises(ConfigurationError, match=says) as refused:
        PROVIDERS[provider](Upstream("s", provider, credentials=(made,)), NET)
    assert "CANARY" not in str(refused.value)
