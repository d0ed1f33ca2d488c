"""ZHIPU_*: Zhipu's platform (open.bigmodel.cn), or Z.ai at its own ZHIPU_BASE_URL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from pydantic import SecretStr

from parley.catalog import Upstream
from parley.configuration.credentials import credentials
from parley.configuration.network import proxy_for, timeouts_of
from parley.settings import CommaList, CredentialList, Settings

_MODELS: Final = ("glm-4.6", "glm-4.5", "glm-4.5-air", "glm-4.5-flash", "glm-4.5v", "glm-4-flash")
"""The platform has no list that could be asked for; these are offered unless ZHIPU_MODELS says otherwise."""


class ZhipuSettings(Settings):
    """Settings of Zhipu's platform."""

    zhipu_api_key: SecretStr | None = None
    zhipu_credentials: CredentialList = ()
    zhipu_base_url: str = "https://open.bigmodel.cn/api/paas/v4"
    zhipu_sign_in: Literal["bearer", "jwt"] = "bearer"
    zhipu_models: CommaList = ()
    zhipu_default_model: str | None = None
    zhipu_legacy_model: str = "glm-4-flash"
    zhipu_json_schema: Literal["refuse", "told"] = "refuse"
    zhipu_forced_tools: Literal["refuse", "auto"] = "refuse"


def zhipu(settings: ZhipuSettings) -> Iterator[Upstream]:
    """The upstream of ZHIPU_*. Raises ConfigurationError."""
    plans = credentials("ZHIPU", settings.zhipu_api_key, settings.zhipu_credentials)
    if not plans:
        return
    yield Upstream(
        name="zhipu",
        provider="zhipu",
        base_url=settings.zhipu_base_url,
        credentials=plans,
        models=tuple(settings.zhipu_models) or _MODELS,
        default_model=settings.zhipu_default_model,
        timeouts=timeouts_of(settings),
        proxy=proxy_for(settings, settings.zhipu_base_url),
        options={
            "sign_in": settings.zhipu_sign_in,
            "legacy_model": settings.zhipu_legacy_model,
            "json_schema": settings.zhipu_json_schema,
            "forced_tools": settings.zhipu_forced_tools,
        },
    )
