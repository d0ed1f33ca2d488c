"""Which upstreams may answer a model name.

Ids are `upstream/model`. A route goes before them, by its name or an alias, else by its pattern; a bare `model` goes to
the first configured upstream that has it; an unknown or missing name goes to the default model if there is one
(`shared/settled.md`, "Who serves a model name"). A key that is bound to routes of its own reaches those, and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from msgspec import structs

from parley.catalog import AS_ASKED, Binding, Caller, Catalog, Defaults, Route, RouteNames, Strategy, Target, Upstream
from parley.chat.defaults import filled
from parley.chat.demands import refuse_unmet
from parley.chat.prompt import Prompt
from parley.errors import BadRequest, Failure, ModelNotFound
from parley.patterns import pattern
from parley.providers import Provider

Discovered = Callable[[str], Sequence[str]]
"""Model ids found at an upstream (by its name), the newest known list; empty when never asked."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target made concrete: the upstream, who speaks to it, and the model's name there."""

    upstream: Upstream
    provider: Provider
    model: str
    weight: float = 1.0
    defaults: Defaults = field(default_factory=dict)

    def asked(self, prompt: Prompt) -> Prompt:
        """The prompt as it is put here."""
        full = filled(prompt, self.defaults) if self.defaults else prompt
        return structs.replace(full, model=self.model)


@dataclass(frozen=True, slots=True)
class Choice:
    """A route made concrete for one prompt: who of its targets can answer it, and how to choose among them."""

    route: str
    members: Sequence[Candidate | Choice]
    strategy: Strategy
    weight: float = 1.0

    @property
    def candidates(self) -> Iterator[Candidate]:
        """Everybody in it, in the order of the configuration."""
        for member in self.members:
            if isinstance(member, Candidate):
                yield member
            else:
                yield from member.candidates


Choices = Sequence[Candidate | Choice]
"""The first is asked; the others are fallbacks, in order."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Model names of one catalog."""

    catalog: Catalog
    providers: Mapping[str, Provider]
    """By upstream name."""
    discovered: Discovered = field(default=lambda _: ())
    _names: RouteNames = field(init=False)
    _made: dict[int, Choice] = field(init=False, default_factory=dict)
    """Routes that are the same for every name, made concrete once; by the identity of the catalog's own."""

    def __post_init__(self) -> None:
        routes = list(self.catalog.routes.values())
        object.__setattr__(self, "_names", RouteNames(routes))
        for caller in self.catalog.callers.values():
            if (bound := caller.bound) is not None:
                routes += [*bound.names.values(), *([bound.otherwise] if bound.otherwise else [])]
        for route in routes:
            if not _passes_on(route):
                self._made[id(route)] = self._choice(route, "")

    def choices(self, prompt: Prompt, caller: Caller | None = None) -> Choices:
        """Who may answer. Raises ModelNotFound, BadRequest (no model at all), or UnsupportedParameter."""
        bound = caller.bound if caller is not None else None
        meant = self._named(prompt.model) if bound is None else [self._bound(bound, prompt.model)]
        if caller is not None and caller.models and not _allowed(caller, *called(meant[0], prompt.model)):
            raise _unknown(prompt.model)
        unmet: list[Failure] = []
        able = [found for choice in meant if (found := self._able(choice, prompt, unmet)) is not None]
        if not able:
            raise unmet[0]
        return able

    def offered(self, caller: Caller | None = None) -> list[tuple[str, str]]:
        """(id, owner) of everything offered: bare ids once, and the prefixed form too where a bare id is ambiguous."""
        if caller is not None and caller.bound is not None:
            return self._offered_to(caller.bound)
        if caller is not None and caller.models:
            return [(name, owner) for name, owner in self.offered() if self.find(name, caller) is not None]
        owners: dict[str, list[str]] = {}
        for upstream in self.catalog.upstreams.values():
            for model in self.models(upstream):
                owners.setdefault(model, []).append(upstream.name)
        routes = list(self._names.listed())
        listed = [(name, "parley") for name in routes]
        for model, names in owners.items():
            if model not in routes:
                listed.append((model, names[0]))
            if len(names) > 1:
                listed.extend((f"{name}/{model}", name) for name in names)
        return listed

    def find(self, model: str, caller: Caller | None = None) -> tuple[str, str] | None:
        """(id, owner) of one offered model, by any of its names; None when there is none."""
        if caller is not None and caller.bound is not None:
            return next((offered for offered in self._offered_to(caller.bound) if offered[0] == model), None)
        meant = self._exactly(model)
        if meant is None:
            return None
        names = (meant.model, model) if isinstance(meant, Route) else (f"{meant.upstream}/{meant.model}", meant.model)
        if caller is not None and caller.models and not _allowed(caller, *names):
            return None
        return (model, "parley" if isinstance(meant, Route) else meant.upstream)

    def models(self, upstream: Upstream) -> Sequence[str]:
        """Ids an upstream has: the configured ones, then the discovered."""
        return tuple(dict.fromkeys((*upstream.models, *self.discovered(upstream.name))))

    # --- names --------------------------------------------------------------------------------------------------------

    def _named(self, model: str) -> Choices:
        meant = (self._exactly(model) if model else None) or self._default()
        if meant is None:
            raise _unknown(model) if model else _nameless()
        if isinstance(meant, Target):
            return [self._candidate(meant, model)]
        found: list[Candidate | Choice] = []
        self._follow(meant, model, found, [])
        return found

    def _follow(self, route: Route, model: str, found: list[Candidate | Choice], way: list[Route]) -> None:
        """The route and its fallbacks, each once. Circles were refused when the configuration was read."""
        if route in way:
            return
        way.append(route)
        found.append(self._choice(route, model))
        for name in route.fallback:
            following = self._exactly(name)
            if isinstance(following, Route):
                self._follow(following, name, found, way)
            elif following is not None:
                found.append(self._candidate(following, name))

    def _bound(self, bound: Binding, model: str) -> Choice:
        route = bound.names.get(model, bound.otherwise)
        if route is None:
            raise _unknown(model)
        return self._choice(route, model)

    def _exactly(self, model: str) -> Route | Target | None:
        if (route := self._names.find(model)) is not None:
            return route
        for upstream in self.catalog.upstreams.values():
            if self._has(upstream, model):
                return Target(upstream.name, model)
        name, slash, rest = model.partition("/")
        if slash and rest and name in self.catalog.upstreams:
            upstream = self.catalog.upstreams[name]
            # A list that was never discovered is no reason to refuse: the upstream knows its models best.
            if self._has(upstream, rest) or not self.discovered(name):
                return Target(name, rest)
        return None

    def _has(self, upstream: Upstream, model: str) -> bool:
        known = self.models(upstream)
        if model in known or model == upstream.default_model:
            return True
        base, colon, suffix = model.rpartition(":")  # `org/name:provider`, upstreams/huggingface.md section 1.1
        return bool(colon) and "/" not in suffix and base in known

    def _default(self) -> Route | Target | None:
        if self.catalog.default_model:
            return self._exactly(self.catalog.default_model)
        real = [upstream for upstream in self.catalog.upstreams.values() if upstream.provider != "echo"]
        if len(real) == 1 and real[0].default_model:
            return Target(real[0].name, real[0].default_model)
        return None

    def _offered_to(self, bound: Binding) -> list[tuple[str, str]]:
        names = list(bound.names)
        if bound.otherwise is not None:
            for candidate in self._choice(bound.otherwise, "").candidates:
                names += [candidate.model] if candidate.model else self.models(candidate.upstream)
        return [(name, "parley") for name in dict.fromkeys(names)]

    # --- made concrete ------------------------------------------------------------------------------------------------

    def _choice(self, route: Route, model: str, outer: Defaults | None = None) -> Choice:
        if not outer and (made := self._made.get(id(route))) is not None:
            return made
        defaults = {**outer, **route.defaults} if outer else route.defaults
        members = [
            self._candidate(target, model, defaults)
            if isinstance(target, Target)
            else self._choice(target, model, defaults)
            for target in route.targets
        ]
        return Choice(route.model, members, route.strategy)

    def _candidate(self, target: Target, model: str, outer: Defaults | None = None) -> Candidate:
        upstream = self.catalog.upstreams[target.upstream]
        defaults: Defaults = {**upstream.defaults, **outer} if outer else upstream.defaults
        if target.defaults:
            defaults = {**defaults, **target.defaults}
        there = (model or upstream.default_model or "") if target.model == AS_ASKED else target.model
        return Candidate(upstream, self.providers[upstream.name], there, target.weight, defaults)

    def _able(self, choice: Candidate | Choice, prompt: Prompt, unmet: list[Failure]) -> Candidate | Choice | None:
        """The same without those who cannot honour the prompt; None when nobody can, and `unmet` says why."""
        if isinstance(choice, Choice):
            able = [found for member in choice.members if (found := self._able(member, prompt, unmet)) is not None]
            if able == choice.members:
                return choice
            return replace(choice, members=able) if able else None
        try:
            if not choice.model:
                raise _nameless()
            full = filled(prompt, choice.defaults) if choice.defaults else prompt
            refuse_unmet(full, choice.provider.features, f"model '{prompt.model or choice.model}'")
        except Failure as refused:
            unmet.append(refused)
            return None
        return choice


def called(meant: Candidate | Choice, model: str) -> tuple[str, ...]:
    """What is asked for goes by: a route's name and that by which it was asked; or `upstream/model`, and the model."""
    if isinstance(meant, Choice):
        return (meant.route, model) if model else (meant.route,)
    return (f"{meant.upstream.name}/{meant.model}", meant.model)


def _allowed(caller: Caller, *names: str) -> bool:
    return any(pattern(text).fullmatch(name) for text in caller.models for name in names)


def _passes_on(route: Route) -> bool:
    """Whether a target of it gets the name as it was asked."""
    return any(
        _passes_on(target) if isinstance(target, Route) else target.model == AS_ASKED for target in route.targets
    )


def _nameless() -> BadRequest:
    return BadRequest("you must provide a model parameter", param="model", code="missing_required_parameter")


def _unknown(model: str) -> ModelNotFound:
    return ModelNotFound(f"The model `{model}` does not exist or you do not have access to it.", param="model")
