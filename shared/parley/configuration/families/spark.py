"""SPARK_*: applications at iFlytek Spark, for its WebSocket API, and passwords for its HTTP API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import Field, SecretStr

from parley.catalog import CredentialPlan, Upstream
from parley.configuration.credentials import credentials, refuse_placeholder
from parley.configuration.network import proxy_for, timeouts_of
from parley.dialects.spark.http import BASE_URL
from parley.dialects.spark.versions import OFFERED
from parley.sealed import Secret
from parley.settings import CommaList, ConfigurationError, CredentialList, Settings

_APPLICATION: Final = ("SPARK_APP_ID", "SPARK_API_KEY", "SPARK_API_SECRET")
_IDS: Final = frozenset({"app_id", "appid"})


class SparkSettings(Settings):
    """Settings of iFlytek Spark."""

    spark_app_id: str | None = None
    spark_api_key: SecretStr | None = None
    spark_api_secret: SecretStr | None = None
    spark_api_password: SecretStr | None = None
    spark_credentials: CredentialList = ()
    spark_base_url: str | None = None
    spark_http_base_url: str | None = None
    spark_models: CommaList = ()
    spark_default_model: str = "generalv3.5"
    spark_concurrency: Annotated[int, Field(ge=0)] = 2


def spark(settings: SparkSettings) -> Iterator[Upstream]:
    """The upstreams of SPARK_*: one for each API that a credential opens. Raises ConfigurationError."""
    plans = credentials("SPARK", settings.spark_api_password, settings.spark_credentials, name="SPARK_API_PASSWORD")
    sockets = [plan for plan in plans if not _IDS.isdisjoint(plan.parts)]
    passwords = [plan for plan in plans if _IDS.isdisjoint(plan.parts)]
    if (application := _application(settings)) is not None:
        sockets.insert(0, application)
    default = settings.spark_default_model
    if sockets:
        yield Upstream(
            name="spark",
            provider="spark",
            base_url=settings.spark_base_url or "",
            credentials=tuple(sockets),
            models=tuple(settings.spark_models) or OFFERED,
            default_model=default,
            concurrency=settings.spark_concurrency,
            timeouts=timeouts_of(settings),
            proxy=proxy_for(settings, settings.spark_base_url or "wss://spark-api.xf-yun.com"),
        )
    if passwords:
        yield Upstream(
            name="spark-http",
            provider="spark-http",
            base_url=settings.spark_http_base_url or "",
            credentials=tuple(passwords),
            models=tuple(settings.spark_models) or (default,),  # a password opens one version only
            default_model=default,
            concurrency=settings.spark_concurrency,
            timeouts=timeouts_of(settings),
            proxy=proxy_for(settings, settings.spark_http_base_url or BASE_URL),
        )


def _application(settings: SparkSettings) -> CredentialPlan | None:
    """The one application that has variables of its own."""
    parts = {
        "app_id": settings.spark_app_id,
        "api_key": settings.spark_api_key and settings.spark_api_key.get_secret_value(),
        "api_secret": settings.spark_api_secret and settings.spark_api_secret.get_secret_value(),
    }
    given = {name: value.strip() for name, value in parts.items() if value}
    if not given:
        return None
    if len(given) < len(parts):
        raise ConfigurationError(f"{', '.join(_APPLICATION)} belong together: set all three, from one application.")
    for name, value in given.items():
        refuse_placeholder(f"SPARK_{name.upper()}", value)
    return CredentialPlan("spark-application", {name: Secret(value) for name, value in given.items()})
