"""One upstream per family of variables: H2OGPTE_*, GPTOMNI_*, HF_*, OPENAI_*. A family is on when a credential is set.

The rules that old `.env` files need are in `shared/settled.md`, "Configuration from the environment".
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from parley.catalog import CredentialPlan, PoolPlan, Timeouts, Upstream
from parley.sealed import Secret
from parley.settings import ConfigurationError, Settings, is_placeholder

log = logging.getLogger(__name__)

H2OGPTE = "https://h2ogpte.genai.h2o.ai"
_SHORTEST_FIRST_TOKEN = 60.0
"""Old time-outs (10 s and the like) cut off slow models; they never shorten the wait for the first token below this."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the environment configures, and what its operator should be told."""

    upstreams: tuple[Upstream, ...]
    advice: tuple[str, ...]


def upstreams_of(settings: Settings) -> Found:
    """Upstreams of every family that is on, in a fixed order. Raises ConfigurationError."""
    upstreams = [made for family in (_openai, _huggingface, _h2ogpte, _gptomni) if (made := family(settings))]
    ignored = [name for name in ("host", "port", "debug", "api_prefix") if getattr(settings, name) is not None]
    advice = []
    if ignored:
        names = ", ".join(name.upper() for name in ignored)
        advice.append(
            f"{names} had a meaning in the replaced project and has none here: Parley is at "
            f"http://{settings.nginx_bind}:{settings.nginx_port}/v1 (NGINX_BIND, NGINX_PORT)."
        )
    return Found(tuple(upstreams), tuple(advice))


def _openai(settings: Settings) -> Upstream | None:
    credentials = _credentials("OPENAI", settings.openai_api_key, settings.openai_credentials)
    if not credentials:
        return None
    options = {"organization": settings.openai_organization, "project": settings.openai_project}
    return Upstream(
        name="openai",
        provider="openai",
        base_url=settings.openai_base_url,
        credentials=credentials,
        models=tuple(settings.openai_models),
        default_model=settings.openai_default_model,
        timeouts=_timeouts(settings),
        proxy=_proxy(settings, settings.openai_base_url),
        options={name: value for name, value in options.items() if value},
    )


def _huggingface(settings: Settings) -> Upstream | None:
    credentials = _credentials("HF", settings.hf_token, settings.hf_credentials, name="HF_TOKEN")
    if not credentials:
        return None
    return Upstream(
        name="huggingface",
        provider="huggingface",
        base_url=settings.hf_base_url,
        credentials=credentials,
        default_model=settings.default_model,
        timeouts=_timeouts(settings, settings.request_timeout),
        proxy=_proxy(settings, settings.hf_base_url),
        options={"bill_to": settings.hf_bill_to} if settings.hf_bill_to else {},
    )


def _h2ogpte(settings: Settings) -> Upstream | None:
    guest = settings.is_guest if settings.is_guest is not None else settings.h2ogpte_base_url is not None
    credentials = list(_credentials("H2OGPTE", settings.h2ogpte_api_key, settings.h2ogpte_credentials, part="api_key"))
    session, csrf = settings.h2ogpte_session, settings.h2ogpte_csrf_token
    web = not guest and (session is not None or csrf is not None)
    if web:
        if session is None or csrf is None:
            raise ConfigurationError(
                "H2OGPTE_SESSION and H2OGPTE_CSRF_TOKEN belong together: set both, from one browser."
            )
        for name, value in (("H2OGPTE_SESSION", session), ("H2OGPTE_CSRF_TOKEN", csrf)):
            _refuse_placeholder(name, value.get_secret_value())
        parts = {"cookie": Secret(session.get_secret_value()), "csrf": Secret(csrf.get_secret_value())}
        credentials.insert(0, CredentialPlan("session", parts))
    # An API key is a sign-in of its own; guests join only when they were asked for by name.
    if guest and (settings.is_guest or not credentials):
        credentials.append(CredentialPlan("guest", {}, guest=True))
    if not credentials:
        if settings.is_guest is False:
            raise ConfigurationError(
                "IS_GUEST=false needs H2OGPTE_SESSION and H2OGPTE_CSRF_TOKEN (or H2OGPTE_API_KEY); "
                "set them, or IS_GUEST=true."
            )
        return None
    workspace = settings.h2ogpte_workspace_id
    if web and not workspace:
        raise ConfigurationError(
            "H2OGPTE_WORKSPACE_ID is needed with H2OGPTE_SESSION: workspaces/<uuid> of your account."
        )
    inject = settings.system_prompt_inject
    options: dict[str, Any] = {
        "workspace": workspace,
        "prompt_template": settings.h2ogpte_prompt_template_id,
        "reasoning_effort": settings.reasoning_effort,
        "system_prompt_inject": None if inject is None or inject.strip().lower() == "none" else inject,
    }
    base_url = settings.h2ogpte_base_url or H2OGPTE
    return Upstream(
        name="h2ogpte",
        provider="h2ogpte",
        base_url=base_url,
        credentials=tuple(credentials),
        default_model="auto",
        concurrency=settings.h2ogpte_concurrency,
        timeouts=_timeouts(settings),
        pool=PoolPlan(settings.h2ogpte_pool_size, settings.h2ogpte_pool_age),
        proxy=_proxy(settings, base_url),
        options={name: value for name, value in options.items() if value is not None},
    )


def _gptomni(settings: Settings) -> Upstream | None:
    credentials = _credentials("GPTOMNI", None, settings.gptomni_credentials)
    if not credentials:
        return None
    return Upstream(
        name="gptomni",
        provider="gptomni",
        base_url=settings.gptomni_base_url,
        credentials=credentials,
        models=("gptomni",),
        default_model="gptomni",
        concurrency=settings.gptomni_concurrency,
        per_minute=settings.gptomni_per_minute,
        timeouts=_timeouts(settings, settings.api_request_timeout),
        proxy=_proxy(settings, settings.gptomni_base_url),
        options={
            "history": settings.gptomni_history,
            "challenges": settings.gptomni_challenges,
            "probe": settings.gptomni_probe,
        },
    )


def _credentials(
    family: str, single: SecretStr | None, several: Sequence[Any], *, part: str = "value", name: str | None = None
) -> tuple[CredentialPlan, ...]:
    """Credentials of one family: its single variable first, then its JSON list, whose items are strings or objects."""
    plans = []
    if single is not None:
        value = single.get_secret_value().strip()
        _refuse_placeholder(name or f"{family}_API_KEY", value)
        plans.append(CredentialPlan(f"{family.lower()}-1", {part: Secret(value)}))
    for position, item in enumerate(several):
        plans.append(
            credential(
                item, where=f"{family}_CREDENTIALS[{position}]", alias=f"{family.lower()}-{len(plans) + 1}", part=part
            )
        )
    if len({plan.alias for plan in plans}) < len(plans):
        raise ConfigurationError(f"{family}_CREDENTIALS: two credentials have the same alias.")
    return tuple(plans)


def credential(item: Any, *, where: str, alias: str, part: str = "value") -> CredentialPlan:
    """One credential as people write it: a string, or an object of parts, alias, proxy and base_url.

    Raises ConfigurationError, naming `where` and showing nothing of the value.
    """
    if isinstance(item, str):
        item = {"value": item}
    if not isinstance(item, dict) or not all(isinstance(value, str) for value in item.values()):
        raise ConfigurationError(f"{where} must be a string, or an object whose members are strings.")
    facts = {name: value.strip() for name, value in item.items()}
    alias = facts.pop("alias", alias)
    proxy, base_url = facts.pop("proxy", None), facts.pop("base_url", None)
    if "value" in facts:
        facts[part] = facts.pop("value")
    if not facts or not all(facts.values()):
        raise ConfigurationError(f"{where} has no value.")
    for name, value in facts.items():
        _refuse_placeholder(f"{where}.{name}", value)
    parts = {name: Secret(value) for name, value in facts.items()}
    return CredentialPlan(alias, parts, proxy=Secret(proxy) if proxy else None, base_url=base_url)


def _refuse_placeholder(name: str, value: str) -> None:
    if is_placeholder(value):
        raise ConfigurationError(
            f"{name} still holds the sample's placeholder; put your own value there, or remove it."
        )


def _timeouts(settings: Settings, old: float | None = None) -> Timeouts:
    first, between, total = settings.default_timeouts
    if old is not None:
        first, between = max(old, _SHORTEST_FIRST_TOKEN), max(old, _SHORTEST_FIRST_TOKEN)
    return Timeouts(first_token=first, between_tokens=between, total=total)


def _proxy(settings: Settings, base_url: str) -> Secret | None:
    """The HTTP(S)_PROXY that applies to a base URL, unless NO_PROXY names its host or a suffix of it."""
    scheme, _, rest = base_url.partition("://")
    host = rest.split("/")[0].rpartition("@")[2].split(":")[0].lower()
    for entry in (part.strip().lstrip(".").lower() for part in settings.no_proxy.split(",")):
        if entry and (entry in ("*", host) or host.endswith(f".{entry}")):
            return None
    if host in {"127.0.0.1", "localhost", "::1"}:
        return None
    chosen = settings.https_proxy if scheme in {"https", "wss"} else settings.http_proxy
    return Secret(chosen.get_secret_value()) if chosen else None
