"""QIANFAN_*: Baidu Qianfan. An API key or IAM keys open its v2 API, an application's AK and SK the legacy one.

QIANFAN_AK, QIANFAN_SK, QIANFAN_ACCESS_KEY, QIANFAN_SECRET_KEY and QIANFAN_IAM_BASE_URL are the names that the vendor's
own client reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import SecretStr

from parley.catalog import CredentialPlan, Upstream
from parley.configuration.credentials import credentials, refuse_placeholder
from parley.configuration.network import proxy_for, timeouts_of
from parley.dialects.qianfan.legacy import OFFERED
from parley.providers.qianfan.keys import application
from parley.sealed import Secret
from parley.settings import CommaList, ConfigurationError, CredentialList, Settings

_MODELS: Final = (
    "ernie-4.0-8k",
    "ernie-4.0-turbo-8k",
    "ernie-3.5-8k",
    "ernie-speed-128k",
    "ernie-lite-8k",
    "deepseek-v3",
    "deepseek-r1",
)
"""Known without asking; the API's list adds to them."""
_LEGACY_HOST: Final = "aip.baidubce.com"


class QianfanSettings(Settings):
    """Settings of Baidu Qianfan."""

    qianfan_api_key: SecretStr | None = None
    qianfan_credentials: CredentialList = ()
    qianfan_access_key: SecretStr | None = None
    qianfan_secret_key: SecretStr | None = None
    qianfan_ak: SecretStr | None = None
    qianfan_sk: SecretStr | None = None
    qianfan_app_id: str = ""
    qianfan_base_url: str = "https://qianfan.baidubce.com/v2"
    qianfan_iam_base_url: str = ""
    qianfan_legacy_base_url: str = "https://aip.baidubce.com"
    qianfan_models: CommaList = ()
    qianfan_legacy_models: CommaList = ()
    qianfan_default_model: str | None = None
    qianfan_endpoints: CommaList = ()


def qianfan(settings: QianfanSettings) -> Iterator[Upstream]:
    """The upstreams of QIANFAN_*: one for each API that a credential opens. Raises ConfigurationError."""
    plans = [
        *credentials("QIANFAN", settings.qianfan_api_key, settings.qianfan_credentials),
        *_pair("qianfan-iam", "access_key", settings.qianfan_access_key, "secret_key", settings.qianfan_secret_key),
        *_pair("qianfan-application", "ak", settings.qianfan_ak, "sk", settings.qianfan_sk),
    ]
    legacy = tuple(plan for plan in plans if application(plan.parts))
    newer = tuple(plan for plan in plans if not application(plan.parts))
    if plans and _LEGACY_HOST in settings.qianfan_base_url:
        raise ConfigurationError(
            f"QIANFAN_BASE_URL is the address of the v2 API here; that of {_LEGACY_HOST} is QIANFAN_LEGACY_BASE_URL."
        )
    if newer:
        yield Upstream(
            name="qianfan",
            provider="qianfan",
            base_url=settings.qianfan_base_url,
            credentials=newer,
            models=tuple(settings.qianfan_models) or _MODELS,
            default_model=settings.qianfan_default_model,
            timeouts=timeouts_of(settings),
            proxy=proxy_for(settings, settings.qianfan_base_url),
            options={"appid": settings.qianfan_app_id, "iam_url": settings.qianfan_iam_base_url},
        )
    if legacy:
        yield Upstream(
            name="qianfan-legacy",
            provider="qianfan-legacy",
            base_url=settings.qianfan_legacy_base_url,
            credentials=legacy,
            models=tuple(settings.qianfan_legacy_models) or OFFERED,
            default_model=settings.qianfan_default_model,
            timeouts=timeouts_of(settings),
            proxy=proxy_for(settings, settings.qianfan_legacy_base_url),
            options={"endpoints": dict(_endpoint(item) for item in settings.qianfan_endpoints)},
        )


def _pair(
    alias: str, first: str, key: SecretStr | None, second: str, secret: SecretStr | None
) -> Iterator[CredentialPlan]:
    """The credential that has two variables of its own."""
    given = {name: value.get_secret_value().strip() for name, value in ((first, key), (second, secret)) if value}
    if not given:
        return
    for name, value in given.items():
        refuse_placeholder(f"QIANFAN_{name.upper()}", value)
    if len(given) < 2 or not all(given.values()):
        raise ConfigurationError(f"QIANFAN_{first.upper()} and QIANFAN_{second.upper()} belong together: set both.")
    yield CredentialPlan(alias, {name: Secret(value) for name, value in given.items()})


def _endpoint(item: str) -> tuple[str, str]:
    model, _, path = (part.strip() for part in item.partition("="))
    if not model or not path:
        raise ConfigurationError(f"QIANFAN_ENDPOINTS: '{item}' must be written as model=path.")
    return model, path
