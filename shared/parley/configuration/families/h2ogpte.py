"""H2OGPTE_*: guests, a signed-in web session, or API keys of an h2oGPTe server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import Field, SecretStr, field_validator

from parley.catalog import CredentialPlan, PoolPlan, Upstream
from parley.configuration.credentials import credentials, refuse_placeholder
from parley.configuration.network import proxy_for, timeouts_of
from parley.sealed import Secret
from parley.settings import ConfigurationError, CredentialList, OneWord, Seconds, Settings, trimmed

BASE_URL: Final = "https://h2ogpte.genai.h2o.ai"


class H2oGPTeSettings(Settings):
    """Settings of h2oGPTe."""

    h2ogpte_base_url: Annotated[str | None, OneWord()] = None
    is_guest: Annotated[bool | None, OneWord()] = None
    h2ogpte_session: Annotated[SecretStr | None, OneWord()] = None
    h2ogpte_csrf_token: Annotated[SecretStr | None, OneWord()] = None
    h2ogpte_workspace_id: Annotated[str | None, OneWord()] = None
    h2ogpte_prompt_template_id: Annotated[str | None, OneWord()] = None
    h2ogpte_api_key: SecretStr | None = None
    h2ogpte_credentials: CredentialList = ()
    h2ogpte_openai: bool = False
    h2ogpte_pool_size: Annotated[int, Field(ge=0, le=200)] = 5
    h2ogpte_pool_age: Seconds = 600.0
    h2ogpte_concurrency: Annotated[int, Field(ge=0)] = 8
    reasoning_effort: Annotated[int | None, Field(ge=0), OneWord()] = None
    system_prompt_inject: Annotated[str | None, OneWord()] = None

    @field_validator("is_guest", mode="before")
    @classmethod
    def _yes_or_no(cls, value: object) -> object:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("h2ogpte_workspace_id", "h2ogpte_prompt_template_id", mode="before")
    @classmethod
    def _without_blanks(cls, value: object) -> object:
        return trimmed(value)


def h2ogpte(settings: H2oGPTeSettings) -> Iterator[Upstream]:
    """The upstream of H2OGPTE_*, and its own OpenAI endpoint as another where asked for. Raises ConfigurationError."""
    guest = settings.is_guest if settings.is_guest is not None else settings.h2ogpte_base_url is not None
    plans = list(credentials("H2OGPTE", settings.h2ogpte_api_key, settings.h2ogpte_credentials, part="api_key"))
    web = None if guest else _web_session(settings)
    if web is not None:
        plans.insert(0, web)
    # An API key is a sign-in of its own; guests join only when they were asked for by name.
    if guest and (settings.is_guest or not plans):
        plans.append(CredentialPlan("guest", {}, guest=True))
    if not plans:
        if settings.is_guest is False:
            raise ConfigurationError(
                "IS_GUEST=false needs H2OGPTE_SESSION and H2OGPTE_CSRF_TOKEN (or H2OGPTE_API_KEY); "
                "set them, or IS_GUEST=true."
            )
        return
    inject = settings.system_prompt_inject
    options: dict[str, Any] = {
        "workspace": settings.h2ogpte_workspace_id,
        "prompt_template": settings.h2ogpte_prompt_template_id,
        "reasoning_effort": settings.reasoning_effort,
        "system_prompt_inject": None if inject is None or inject.strip().lower() == "none" else inject,
    }
    base_url = settings.h2ogpte_base_url or BASE_URL
    yield Upstream(
        name="h2ogpte",
        provider="h2ogpte",
        base_url=base_url,
        credentials=tuple(plans),
        default_model="auto",
        concurrency=settings.h2ogpte_concurrency,
        timeouts=timeouts_of(settings),
        pool=PoolPlan(settings.h2ogpte_pool_size, settings.h2ogpte_pool_age),
        proxy=proxy_for(settings, base_url),
        options={name: value for name, value in options.items() if value is not None},
    )
    if settings.h2ogpte_openai:
        keys = tuple(plan for plan in plans if "api_key" in plan.parts)
        if not keys:
            raise ConfigurationError("H2OGPTE_OPENAI=true needs an API key: set H2OGPTE_API_KEY, or leave it out.")
        yield Upstream(
            name="h2ogpte-openai",
            provider="h2ogpte-openai",
            base_url=f"{base_url.rstrip('/')}/openai_api/v1",
            credentials=tuple(replace(plan, parts={"value": plan.parts["api_key"]}) for plan in keys),
            default_model="auto",
            concurrency=settings.h2ogpte_concurrency,
            timeouts=timeouts_of(settings),
            proxy=proxy_for(settings, base_url),
        )


def _web_session(settings: H2oGPTeSettings) -> CredentialPlan | None:
    session, csrf = settings.h2ogpte_session, settings.h2ogpte_csrf_token
    if session is None and csrf is None:
        return None
    if session is None or csrf is None:
        raise ConfigurationError("H2OGPTE_SESSION and H2OGPTE_CSRF_TOKEN belong together: set both, from one browser.")
    for name, value in (("H2OGPTE_SESSION", session), ("H2OGPTE_CSRF_TOKEN", csrf)):
        refuse_placeholder(name, value.get_secret_value())
    if not settings.h2ogpte_workspace_id:
        raise ConfigurationError(
            "H2OGPTE_WORKSPACE_ID is needed with H2OGPTE_SESSION: workspaces/<uuid> of your account."
        )
    parts = {"cookie": Secret(session.get_secret_value()), "csrf": Secret(csrf.get_secret_value())}
    return CredentialPlan("session", parts)
