"""ANTHROPIC_*: Anthropic's Messages API, under the names that the vendor's own client reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr

from parley.catalog import CredentialPlan, Upstream
from parley.configuration.credentials import credentials, refuse_placeholder
from parley.configuration.network import proxy_for, timeouts_of
from parley.sealed import Secret
from parley.settings import CommaList, ConfigurationError, CredentialList, Settings


class AnthropicSettings(Settings):
    """Settings of Anthropic's API."""

    anthropic_api_key: SecretStr | None = None
    anthropic_auth_token: SecretStr | None = None
    anthropic_credentials: CredentialList = ()
    anthropic_base_url: str = "https://api.anthropic.com"
    anthropic_models: CommaList = ()
    anthropic_default_model: str | None = None
    anthropic_version: Literal["2023-06-01", "2026-10-21"] = "2023-06-01"
    anthropic_betas: CommaList = ()
    anthropic_max_tokens: Annotated[int, Field(ge=1)] | None = None


def anthropic(settings: AnthropicSettings) -> Iterator[Upstream]:
    """The upstream of ANTHROPIC_*. Raises ConfigurationError."""
    plans = list(credentials("ANTHROPIC", settings.anthropic_api_key, settings.anthropic_credentials))
    if settings.anthropic_auth_token is not None:
        token = settings.anthropic_auth_token.get_secret_value().strip()
        refuse_placeholder("ANTHROPIC_AUTH_TOKEN", token)
        plans.append(CredentialPlan("anthropic-token", {"auth_token": Secret(token)}))
    if not plans:
        return
    if len({plan.alias for plan in plans}) < len(plans):
        raise ConfigurationError("ANTHROPIC_CREDENTIALS: 'anthropic-token' is the alias of ANTHROPIC_AUTH_TOKEN.")
    options: dict[str, Any] = {
        "version": settings.anthropic_version,
        "betas": list(settings.anthropic_betas),
        "max_tokens": settings.anthropic_max_tokens,
    }
    yield Upstream(
        name="anthropic",
        provider="anthropic",
        base_url=settings.anthropic_base_url,
        credentials=tuple(plans),
        models=settings.anthropic_models,
        default_model=settings.anthropic_default_model,
        timeouts=timeouts_of(settings),
        proxy=proxy_for(settings, settings.anthropic_base_url),
        options={name: value for name, value in options.items() if value},
    )
