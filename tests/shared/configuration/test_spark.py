"""SPARK_*: which variables make which upstreams of iFlytek Spark."""

from __future__ import annotations

from typing import Any

import pytest

from parley.catalog import Upstream
from parley.configuration.credentials import credential as plan_of
from parley.dialects.spark.versions import OFFERED
from parley.providers import PROVIDERS
from parley.providers.spark import SparkHTTP, SparkSocket
from parley.settings import ConfigurationError
from tests.providers.subjects import NET
from tests.shared.configuration.variables import clear, found

APPLICATION = {"SPARK_APP_ID": "app-1", "SPARK_API_KEY": "key-of-one", "SPARK_API_SECRET": "secret-of-one"}


def test_nothing_is_on_without_a_credential() -> None:
    assert found(SPARK_BASE_URL="wss://proxy.example", SPARK_MODELS="lite") == []


def test_an_application_opens_the_sockets() -> None:
    (spark,) = found(**APPLICATION)
    assert (spark.name, spark.provider, spark.base_url) == ("spark", "spark", "")
    assert clear(spark) == [{"app_id": "app-1", "api_key": "key-of-one", "api_secret": "secret-of-one"}]
    assert (spark.models, spark.default_model, spark.concurrency) == (OFFERED, "generalv3.5", 2)
    assert isinstance(PROVIDERS[spark.provider](spark, NET), SparkSocket)


def test_a_password_opens_http_and_one_version() -> None:
    (http,) = found(SPARK_API_PASSWORD="pass-of-one", SPARK_DEFAULT_MODEL="lite")
    assert (http.name, http.provider, clear(http)) == ("spark-http", "spark-http", [{"value": "pass-of-one"}])
    assert (http.models, http.default_model) == (("lite",), "lite")
    assert isinstance(PROVIDERS[http.provider](http, NET), SparkHTTP)


def test_a_list_may_hold_both_kinds_and_what_differs_of_each() -> None:
    credentials: list[Any] = [
        {"app_id": "app-2", "api_key": "key-of-two", "api_secret": "secret-of-two", "proxy": "socks5://p:1"},
        "pass-of-one",
        {"api_password": "pass-of-two", "alias": "mine", "base_url": "https://there.example", "timeouts": {"total": 9}},
        {"api_key": "key-of-three", "api_secret": "secret-of-three"},
    ]
    spark, http = found(**APPLICATION, SPARK_CREDENTIALS=credentials, SPARK_MODELS="lite,x1", SPARK_CONCURRENCY=0)
    assert [plan.alias for plan in spark.credentials] == ["spark-application", "spark-1"]
    assert spark.credentials[1].proxy and spark.credentials[1].proxy.reveal() == "socks5://p:1"
    assert [plan.alias for plan in http.credentials] == ["spark-2", "mine", "spark-4"]
    assert (http.credentials[1].base_url, http.credentials[1].timeouts) == ("https://there.example", {"total": 9.0})
    assert spark.models == http.models == ("lite", "x1")
    assert spark.concurrency == http.concurrency == 0
    for upstream in (spark, http):
        PROVIDERS[upstream.provider](upstream, NET)


def test_proxies_of_the_environment_apply() -> None:
    spark, http = found(**APPLICATION, SPARK_API_PASSWORD="pass-of-one", HTTPS_PROXY="http://proxy.example:3128")
    assert spark.proxy and http.proxy and spark.proxy.reveal() == http.proxy.reveal() == "http://proxy.example:3128"
    assert found(**APPLICATION, HTTPS_PROXY="http://proxy.example:3128", NO_PROXY="xf-yun.com")[0].proxy is None


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"SPARK_APP_ID": "app-1"}, "belong together"),
        ({**APPLICATION, "SPARK_API_SECRET": "your-secret"}, "SPARK_API_SECRET still holds the sample's placeholder"),
        ({"SPARK_API_PASSWORD": "xxxxxx"}, "SPARK_API_PASSWORD still holds the sample's placeholder"),
    ],
)
def test_what_cannot_work_is_said_at_the_start(settings: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        found(**settings)


@pytest.mark.parametrize(
    ("provider", "credential", "options", "says"),
    [
        ("spark", "pass-of-one", {}, "use provider 'spark-http'"),
        ("spark", {"app_id": "a", "api_key": "k"}, {}, "needs app_id, api_key and api_secret"),
        ("spark-http", {"app_id": "app-1"}, {}, "needs api_password"),
        ("spark-http", "pass-of-one", {"temperature": "halve"}, "has no options"),
    ],
)
def test_a_credential_has_to_open_what_it_is_for(provider: str, credential: Any, options: Any, says: str) -> None:
    made = plan_of(credential, where="here", alias="one")
    with pytest.raises(ConfigurationError, match=says):
        PROVIDERS[provider](Upstream("s", provider, credentials=(made,), options=options), NET)
