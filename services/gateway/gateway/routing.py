"""Which upstreams may answer a model name, in which order.

Ids are `upstream/model`; a bare `model` goes to the first configured upstream that has it; an unknown or missing name
goes to the default model if there is one (`shared/settled.md`, "Who serves a model name").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from parley.catalog import Catalog, Target, Upstream
from parley.chat.demands import refuse_unmet
from parley.chat.prompt import Prompt
from parley.errors import BadRequest, Failure, ModelNotFound
from parley.providers import Provider

Discovered = Callable[[str], Sequence[str]]
"""Model ids found at an upstream (by its name), the newest known list; empty when never asked."""


@dataclass(frozen=True, slots=True)
class Place:
    """A target made concrete: the upstream, who speaks to it, and the model's name there."""

    upstream: Upstream
    provider: Provider
    model: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The places that may answer one prompt, in order; `race`: all are asked at once, and the first to speak wins."""

    places: Sequence[Place]
    race: bool = False


@dataclass(frozen=True, slots=True)
class Directory:
    """Model names of one catalog."""

    catalog: Catalog
    providers: Mapping[str, Provider]
    """By upstream name."""
    discovered: Discovered = field(default=lambda _: ())

    def plan(self, prompt: Prompt) -> Plan:
        """Places to ask. Raises ModelNotFound, BadRequest (no model at all), or UnsupportedParameter."""
        places = [self._place(target) for target in self._targets(prompt.model)]
        able: list[Place] = []
        refusal: Failure | None = None
        for place in places:
            try:
                refuse_unmet(prompt, place.provider.features, f"model '{prompt.model or place.model}'")
            except Failure as unmet:
                refusal = refusal or unmet
            else:
                able.append(place)
        if not able and refusal:
            raise refusal
        route = self.catalog.routes.get(prompt.model)
        return Plan(able, race=route is not None and route.strategy == "parallel" and len(able) > 1)

    def offered(self) -> list[tuple[str, str]]:
        """(id, owner) of everything offered: bare ids once, and the prefixed form too where a bare id is ambiguous."""
        owners: dict[str, list[str]] = {}
        for upstream in self.catalog.upstreams.values():
            for model in self.models(upstream):
                owners.setdefault(model, []).append(upstream.name)
        listed = [(name, "parley") for name in self.catalog.routes]
        for model, names in owners.items():
            if model not in self.catalog.routes:
                listed.append((model, names[0]))
            if len(names) > 1:
                listed.extend((f"{name}/{model}", name) for name in names)
        return listed

    def find(self, model: str) -> tuple[str, str] | None:
        """(id, owner) of one offered model, by any of its names; None when there is none."""
        try:
            target = self._exactly(model)
        except ModelNotFound:
            return None
        return None if target is None else (model, "parley" if model in self.catalog.routes else target[0].upstream)

    def models(self, upstream: Upstream) -> Sequence[str]:
        """Ids an upstream has: the configured ones, then the discovered."""
        return tuple(dict.fromkeys((*upstream.models, *self.discovered(upstream.name))))

    def _targets(self, model: str) -> tuple[Target, ...]:
        found = self._exactly(model) if model else None
        if found:
            return found
        default = self._default()
        if default:
            return default
        if not model:
            raise BadRequest("you must provide a model parameter", param="model", code="missing_required_parameter")
        raise ModelNotFound(f"The model `{model}` does not exist or you do not have access to it.", param="model")

    def _exactly(self, model: str) -> tuple[Target, ...] | None:
        if (route := self.catalog.routes.get(model)) is not None:
            return tuple(target for target in route.targets if isinstance(target, Target))
        for upstream in self.catalog.upstreams.values():
            if self._has(upstream, model):
                return (Target(upstream.name, model),)
        name, slash, rest = model.partition("/")
        if slash and rest and name in self.catalog.upstreams:
            upstream = self.catalog.upstreams[name]
            # A list that was never discovered is no reason to refuse: the upstream knows its models best.
            if self._has(upstream, rest) or not self.discovered(name):
                return (Target(name, rest),)
        return None

    def _has(self, upstream: Upstream, model: str) -> bool:
        known = self.models(upstream)
        if model in known or model == upstream.default_model:
            return True
        base, colon, suffix = model.rpartition(":")  # `org/name:provider`, upstreams/huggingface.md section 1.1
        return bool(colon) and "/" not in suffix and base in known

    def _default(self) -> tuple[Target, ...] | None:
        if self.catalog.default_model:
            return self._exactly(self.catalog.default_model)
        real = [upstream for upstream in self.catalog.upstreams.values() if upstream.provider != "echo"]
        if len(real) == 1 and real[0].default_model:
            return (Target(real[0].name, real[0].default_model),)
        return None

    def _place(self, target: Target) -> Place:
        return Place(self.catalog.upstreams[target.upstream], self.providers[target.upstream], target.model)
