"""CLAUDE_WEB_*: sign-ins of browsers at claude.ai."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from parley.catalog import CredentialPlan, Upstream
from parley.configuration.credentials import credentials
from parley.configuration.network import proxy_for, timeouts_of
from parley.dialects.claude_web import Effort, Key
from parley.settings import CommaList, ConfigurationError, CredentialList, Settings

MODELS = ("claude-sonnet-4-5-20250929", "claude-opus-4-1-20250805", "claude-haiku-4-5-20251001")
"""What most accounts have; the application has no list of models to ask for."""


class ClaudeWebSettings(Settings):
    """Settings of claude.ai."""

    claude_web_cookie: SecretStr | None = None
    claude_web_credentials: CredentialList = ()
    claude_web_base_url: str = "https://claude.ai"
    claude_web_models: CommaList = ()
    claude_web_default_model: str | None = None
    claude_web_concurrency: Annotated[int, Field(ge=0)] = 1
    claude_web_transport: Literal["browser", "http"] = "browser"
    claude_web_user_agent: str = ""
    claude_web_whole_cookie: bool = False
    claude_web_temporary: bool = True
    claude_web_effort: Effort = "low"


def claude_web(settings: ClaudeWebSettings) -> Iterator[Upstream]:
    """The upstream of CLAUDE_WEB_*. Raises ConfigurationError."""
    plans = credentials(
        "CLAUDE_WEB",
        settings.claude_web_cookie,
        settings.claude_web_credentials,
        part="cookie",
        name="CLAUDE_WEB_COOKIE",
    )
    for plan in plans:
        _check(plan)
    if not plans:
        return
    models = tuple(settings.claude_web_models) or MODELS
    yield Upstream(
        name="claude-web",
        provider="claude-web",
        base_url=settings.claude_web_base_url,
        credentials=plans,
        models=models,
        default_model=settings.claude_web_default_model or models[0],
        concurrency=settings.claude_web_concurrency,
        timeouts=timeouts_of(settings),
        proxy=proxy_for(settings, settings.claude_web_base_url),
        options={
            "transport": settings.claude_web_transport,
            "user_agent": settings.claude_web_user_agent,
            "whole_cookie": settings.claude_web_whole_cookie,
            "temporary": settings.claude_web_temporary,
            "effort": settings.claude_web_effort,
        },
    )


def _check(plan: CredentialPlan) -> None:
    cookie = plan.parts.get("cookie")
    if cookie is None or not Key(cookie.reveal()).complete:
        raise ConfigurationError(
            f"CLAUDE_WEB: credential '{plan.alias}' has no sessionKey: paste the value of that cookie (sk-ant-sid...), "
            "or the whole Cookie header."
        )
