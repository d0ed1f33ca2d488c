"""FLOWGPT_*: tokens of FlowGPT, and the names of flowgpt-2api."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from parley.catalog import CredentialPlan, Upstream
from parley.configuration.credentials import credentials, refuse_placeholder
from parley.configuration.network import proxy_for, timeouts_of
from parley.dialects.flowgpt import check
from parley.dialects.flowgpt.catalogue import GUEST_MODELS, PERSONALITIES
from parley.sealed import Secret
from parley.settings import ConfigurationError, CredentialList, Seconds, Settings


def _models(value: object) -> object:
    """Names and prompts: {"ours": "promptId"} or {"ours": {"promptId": ..., "model": ...}}."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as problem:
            raise ValueError(f"must be a JSON object: {problem.msg} at character {problem.pos + 1}") from None
    entries = value.values() if isinstance(value, dict) else [None]
    for entry in entries:
        facts = entry if isinstance(entry, dict) else {"promptId": entry}
        if not facts.get("promptId") or not {"promptId", "model"}.issuperset(facts) or not _texts(facts):
            raise ValueError(
                'must be a JSON object such as {"my-name": "promptId"}, or {"promptId", "model"} for an id'
            )
    return value


def _texts(facts: dict[str, Any]) -> bool:
    return all(isinstance(text, str) for text in facts.values())


Models = Annotated[dict[str, Any], NoDecode, BeforeValidator(_models)]
Mode = Annotated[str, BeforeValidator(lambda value: check(value) if isinstance(value, str) else value)]


class FlowGPTSettings(Settings):
    """Settings of FlowGPT."""

    flowgpt_bearer_token: SecretStr | None = None
    flowgpt_device_id: str | None = None
    flowgpt_cookie: SecretStr | None = None
    flowgpt_credentials: CredentialList = ()
    flowgpt_anonymous: bool = False
    flowgpt_base_url: str = "https://prod-backend-k8s.flowgpt.com"
    flowgpt_site_url: str | None = None
    flowgpt_models: Models = Field(default_factory=dict)
    flowgpt_allow_unknown_model: bool = False
    flowgpt_discovery: bool = True
    flowgpt_signature_mode: Mode = "dash-auth"
    flowgpt_signature_learn: bool = True
    flowgpt_context_mode: Literal["history", "create", "both"] = "history"
    flowgpt_continue: str | None = None
    flowgpt_nsfw: bool = False
    flowgpt_clean_characters: Annotated[int, Field(ge=0)] = 150
    flowgpt_clean_strictly: bool = True
    flowgpt_concurrency: Annotated[int, Field(ge=0)] = 2
    flowgpt_per_minute: Annotated[int, Field(ge=0)] = 0
    api_request_timeout: Seconds | None = None
    request_timeout: Seconds | None = None


def flowgpt(settings: FlowGPTSettings) -> Iterator[Upstream]:
    """The upstream of FLOWGPT_*. Raises ConfigurationError."""
    plans = _credentials(settings)
    if not plans:
        return
    names = [*settings.flowgpt_models, *PERSONALITIES, *(GUEST_MODELS if settings.flowgpt_anonymous else ())]
    options = {
        "models": settings.flowgpt_models,
        "allow_unknown_model": settings.flowgpt_allow_unknown_model,
        "discovery": settings.flowgpt_discovery,
        "signature_mode": settings.flowgpt_signature_mode,
        "signature_learn": settings.flowgpt_signature_learn,
        "context_mode": settings.flowgpt_context_mode,
        "go_on": settings.flowgpt_continue or "",
        "nsfw": settings.flowgpt_nsfw,
        "clean_characters": settings.flowgpt_clean_characters,
        "clean_strictly": settings.flowgpt_clean_strictly,
        "site_url": settings.flowgpt_site_url or "",
    }
    yield Upstream(
        name="flowgpt",
        provider="flowgpt",
        base_url=settings.flowgpt_base_url,
        credentials=plans,
        models=tuple(dict.fromkeys(names)),
        # A name that nobody knows gets the default personality only where the operator wants that.
        default_model="default" if settings.flowgpt_allow_unknown_model else None,
        concurrency=settings.flowgpt_concurrency,
        per_minute=settings.flowgpt_per_minute,
        # flowgpt-2api reads the first name; its README writes the second.
        timeouts=timeouts_of(settings, settings.api_request_timeout or settings.request_timeout),
        proxy=proxy_for(settings, settings.flowgpt_base_url),
        options=options,
    )


def _credentials(settings: FlowGPTSettings) -> tuple[CredentialPlan, ...]:
    plans = credentials(
        "FLOWGPT", settings.flowgpt_bearer_token, settings.flowgpt_credentials, name="FLOWGPT_BEARER_TOKEN"
    )
    beside = {
        "device_id": settings.flowgpt_device_id,
        "cookie": settings.flowgpt_cookie.get_secret_value() if settings.flowgpt_cookie else None,
    }
    if settings.flowgpt_bearer_token is not None:
        parts = {name: Secret(text.strip()) for name, text in beside.items() if text}
        for name, secret in parts.items():
            refuse_placeholder(f"FLOWGPT_{name.upper()}", secret.reveal())
        plans = (replace(plans[0], parts={**plans[0].parts, **parts}), *plans[1:])
    elif settings.flowgpt_cookie is not None:
        raise ConfigurationError("FLOWGPT_COOKIE belongs to FLOWGPT_BEARER_TOKEN: set both, from one browser.")
    if settings.flowgpt_anonymous:
        plans = (*plans, CredentialPlan("anonymous", {}, guest=True))
    return plans
