"""What an operator changes while Parley runs: one document of plain JSON, laid over the environment and the file.

    {"upstreams":   {NAME: entry | null},          as in parley.yaml, but without name and credentials
     "credentials": {UPSTREAM: {ALIAS: item | null}},
     "routes":      {MODEL: entry | null},
     "keys":        {NAME: issued key | null},
     "limits":      {PATTERN: limits | null},
     "prices":      entry,                         instead of the file's
     "default_model": MODEL | null}

`null` takes away what environment or file have. What says nothing new of a credential keeps its secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, Field, ValidationError

from parley.catalog import AS_ASKED, Caller, CredentialPlan, ModelLimit, Route, Upstream
from parley.configuration.credentials import changed_credential
from parley.configuration.entries import STRICT, mistakes
from parley.configuration.keys import IssuedKey, Name, digest, refuse_reserved
from parley.configuration.limits import LimitsEntry
from parley.configuration.prices import PricesEntry, prices_of
from parley.configuration.routes import RouteEntry, route_of
from parley.configuration.upstreams import UpstreamFacts, UpstreamName, upstream_of
from parley.prices import Prices
from parley.settings import ConfigurationError, Settings

T = TypeVar("T")

Alias = Annotated[str, Field(min_length=1, max_length=100)]


class Document(BaseModel):
    """All changes. An empty one changes nothing."""

    model_config = STRICT

    upstreams: dict[UpstreamName, UpstreamFacts | None] = {}
    credentials: dict[UpstreamName, dict[Alias, dict[str, Any] | None]] = {}
    routes: dict[str, RouteEntry | None] = {}
    keys: dict[Name, IssuedKey | None] = {}
    limits: dict[Annotated[str, Field(min_length=1)], LimitsEntry | None] = {}
    prices: PricesEntry | None = None
    default_model: str | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """What there is before the changes, or after them."""

    upstreams: Mapping[str, Upstream]
    routes: Mapping[str, Route]
    callers: Mapping[bytes, Caller]
    limits: Mapping[str, ModelLimit]
    prices: Prices
    default_model: str | None


def read_document(changes: Mapping[str, Any]) -> Document:
    """The document in its own words. Raises ConfigurationError."""
    try:
        return Document.model_validate(changes)
    except ValidationError as problem:
        raise ConfigurationError(mistakes(problem)) from None


def changed(base: Base, document: Document, settings: Settings) -> Base:
    """What there is when the changes are laid over it. Raises ConfigurationError that says where."""
    return Base(
        upstreams=_upstreams(base.upstreams, document, settings),
        routes=_laid_over(base.routes, {model: _route(model, entry) for model, entry in document.routes.items()}),
        callers=_callers(base.callers, document.keys, settings),
        limits=_laid_over(
            base.limits,
            {model: ModelLimit(model, entry.limits()) if entry else None for model, entry in document.limits.items()},
        ),
        prices=prices_of(document.prices) if document.prices is not None else base.prices,
        default_model=_default(base, document),
    )


def _upstreams(base: Mapping[str, Upstream], document: Document, settings: Settings) -> dict[str, Upstream]:
    facts: dict[str, Upstream | None] = {}
    for name, entry in document.upstreams.items():
        before = base.get(name)
        credentials = before.credentials if before else ()
        facts[name] = None if entry is None else upstream_of(name, entry, credentials, settings)
    upstreams = _laid_over(base, facts)
    for name, items in document.credentials.items():
        if name not in upstreams:
            if any(items.values()):
                raise ConfigurationError(f"credentials.{name}: there is no upstream of that name.")
            continue
        upstreams[name] = _with_credentials(upstreams[name], items)
    return upstreams


_WITHOUT_SECRET: Final = CredentialPlan("open", {})


def _with_credentials(upstream: Upstream, items: Mapping[str, dict[str, Any] | None]) -> Upstream:
    plans = {plan.alias: plan for plan in upstream.credentials}
    opened = set(plans) == {"open"}
    for alias, item in items.items():
        where = f"credentials.{upstream.name}.{alias}"
        if item is None:
            plans.pop(alias, None)
            continue
        plan = changed_credential(plans.get(alias, CredentialPlan(alias, {})), item, where=where)
        if plan.alias != alias:
            raise ConfigurationError(f"{where}: its alias is {alias}, and cannot be another.")
        if not plan.parts and alias not in plans:
            raise ConfigurationError(f"{where} has no value.")
        plans[alias] = plan
    if opened and len(plans) > 1 and not plans.get("open", _WITHOUT_SECRET).parts:
        plans.pop("open", None)  # nothing was needed there, and now something is
    if not plans:
        raise ConfigurationError(
            f"credentials.{upstream.name}: its last credential cannot be taken away; disable it, or take the upstream "
            "away."
        )
    return replace(upstream, credentials=tuple(plans.values()))


def _route(model: str, entry: RouteEntry | None) -> Route | None:
    if entry is None:
        return None
    if entry.model != model:
        raise ConfigurationError(f"routes.{model}: its model is {model}, and cannot be another.")
    return route_of(entry, f"routes.{model}")


def _callers(
    base: Mapping[bytes, Caller], keys: Mapping[str, IssuedKey | None], settings: Settings
) -> dict[bytes, Caller]:
    master = bytes.fromhex(digest(settings.master_key.get_secret_value())) if settings.master_key else b""
    callers = {known: caller for known, caller in base.items() if caller.name not in keys}
    for name, key in keys.items():
        refuse_reserved(name, f"keys.{name}")
        for known, caller in key.callers(name) if key else ():
            if known in callers or known == master:
                other = callers[known].name if known in callers else "master"
                raise ConfigurationError(f"keys.{name}: it is the same key as '{other}'.")
            callers[known] = caller
    return callers


def _default(base: Base, document: Document) -> str | None:
    if "default_model" not in document.model_fields_set:
        return base.default_model
    if AS_ASKED in (document.default_model or ""):
        raise ConfigurationError(f"default_model: '{document.default_model}' is a pattern; it must be a name.")
    return document.default_model


def _laid_over(base: Mapping[str, T], changes: Mapping[str, T | None]) -> dict[str, T]:
    """What is changed keeps its place; what is new comes last."""
    merged: dict[str, T | None] = {**base, **changes}
    return {name: entry for name, entry in merged.items() if entry is not None}
