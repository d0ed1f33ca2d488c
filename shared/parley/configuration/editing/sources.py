"""What environment and files say, described in the words of the changes, and which of them says it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from pydantic import BaseModel

from parley.catalog import CredentialPlan, Upstream
from parley.configuration.editing.places import Described, Place
from parley.configuration.environment import upstreams_of
from parley.configuration.families import Environment
from parley.configuration.file import FileContent, read_content
from parley.configuration.keys import digest
from parley.configuration.limits import written
from parley.configuration.model_config import read_model_config
from parley.configuration.network import timeouts_of
from parley.configuration.upstreams import credentials_of, facts_of, upstream_of

Source = Literal["built-in", "environment", "file", "model-config", "changes"]

ECHO: Final = {"provider": "echo", "models": ["echo"], "default_model": "echo"}
_NOT_FACTS: Final = {"name", "credentials"}


@dataclass(slots=True)
class Sources:
    """What there is without any change."""

    document: Described = field(
        default_factory=lambda: {"upstreams": {}, "credentials": {}, "routes": {}, "keys": {}, "limits": {}}
    )
    origin: dict[Place, Source] = field(default_factory=dict)

    def add(self, place: Place, entry: Any, source: Source) -> None:
        """Say something at a place, instead of what was said there."""
        *way, name = place
        at = self.document
        for part in way:
            at = at.setdefault(part, {})
        at[name] = entry
        self.origin[place] = source

    def add_credentials(self, upstream: str, plans: Iterable[CredentialPlan], source: Source) -> None:
        """Say which credentials an upstream has, instead of those that it had."""
        self.document["credentials"].pop(upstream, None)
        for place in [place for place in self.origin if place[:2] == ("credentials", upstream)]:
            del self.origin[place]
        for plan in plans:
            self.add(("credentials", upstream, plan.alias), item_of(plan), source)


def read_sources(settings: Environment) -> Sources:
    """What environment and files say now. Raises ConfigurationError."""
    sources = Sources()
    content = read_content(settings)
    for upstream in upstreams_of(settings).upstreams:
        _add_upstream(sources, upstream, settings, "environment")
    _add_file(sources, content, settings)
    old = read_model_config(settings)
    for upstream in old.upstreams:
        _add_upstream(sources, upstream, settings, "model-config")
    for hashed, caller in old.callers.items():
        sources.add(("keys", caller.name), {"hash": hashed.hex(), "bound": True}, "model-config")
    if "echo" not in sources.document["upstreams"]:
        sources.add(("upstreams", "echo"), dict(ECHO), "built-in")
        sources.add_credentials("echo", [CredentialPlan("open", {})], "built-in")
    if content.default_model or settings.default_model:
        source: Source = "file" if content.default_model else "environment"
        sources.add(("default_model",), content.default_model or settings.default_model, source)
    return sources


def _add_upstream(sources: Sources, upstream: Upstream, settings: Environment, source: Source) -> None:
    facts = facts_of(upstream).model_dump(mode="json", exclude_defaults=True)
    usual = asdict(timeouts_of(settings))
    timeouts = {name: seconds for name, seconds in facts.pop("timeouts", {}).items() if seconds != usual[name]}
    sources.add(("upstreams", upstream.name), {**facts, **({"timeouts": timeouts} if timeouts else {})}, source)
    sources.add_credentials(upstream.name, upstream.credentials, source)


def _add_file(sources: Sources, content: FileContent, settings: Environment) -> None:
    for position, entry in enumerate(content.upstreams):
        plans = credentials_of(entry, f"{settings.parley_config}: upstreams[{position}]")
        sources.add(("upstreams", entry.name), as_json(entry, exclude=_NOT_FACTS), "file")
        sources.add_credentials(entry.name, upstream_of(entry.name, entry, plans, settings).credentials, "file")
    for route in content.routes:
        sources.add(("routes", route.model), as_json(route, exclude={"model"}), "file")
    for key in content.keys:
        facts = as_json(key, exclude={"name", "key", "hash"})
        sources.add(("keys", key.name), {"hash": key.hash or digest(key.key), **facts}, "file")
    for limit in content.limits:
        sources.add(("limits", limit.model), as_json(limit, exclude={"model"}), "file")
    if content.prices.models or content.prices.model_fields_set:
        sources.add(("prices",), as_json(content.prices), "file")


def as_json(entry: BaseModel, exclude: Iterable[str] = ()) -> dict[str, Any]:
    """An entry as it was written, in JSON's own types."""
    return entry.model_dump(mode="json", exclude_unset=True, exclude=set(exclude))


def item_of(plan: CredentialPlan) -> dict[str, Any]:
    """A credential as it would be written, its secrets in clear; one of a guest says so."""
    item: dict[str, Any] = {name: part.reveal() for name, part in plan.parts.items()}
    if plan.guest:
        item["guest"] = True
    if plan.proxy is not None:
        item["proxy"] = plan.proxy.reveal()
    if plan.base_url is not None:
        item["base_url"] = plan.base_url
    if plan.timeouts:
        item["timeouts"] = dict(plan.timeouts)
    if plan.limits is not None:
        item["limits"] = as_json(written(plan.limits))
    if plan.disabled:
        item["disabled"] = True
    return item
