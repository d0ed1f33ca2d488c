"""Routes as people write them, and what is wrong with them: each mistake is told with its place.

routes:
  - model: gpt-4*                      # a name, or a pattern of names
    aliases: [clever]
    strategy: weighted
    targets: ["east/*", {target: west/big, weight: 3, defaults: {temperature: 0.2}}]
    fallback: [cheap]
    defaults: {top_p: 0.9}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, Field

from parley.catalog import AS_ASKED, Route, RouteNames, Strategy, Target, Upstream
from parley.configuration.entries import STRICT, DefaultsEntry
from parley.settings import ConfigurationError

_WEIGHING: Final = ("weighted", "least-busy", "sticky")
"""Strategies that look at weights."""


class TargetEntry(BaseModel):
    """`upstream/model`, with what differs for it; most are written as that text alone."""

    model_config = STRICT

    target: str
    """`upstream/model`; `upstream/*` for the name as it was asked."""
    weight: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] | None = None
    """How large its share is, for `weighted`, `least-busy` and `sticky`; None: 1. 0: only when all others failed."""
    defaults: DefaultsEntry = {}
    """Fields of a request (temperature, ...) that are as here where the request does not say."""


def _spelt_out(value: object) -> object:
    return {"target": value} if isinstance(value, str) else value


TargetOrText = Annotated[TargetEntry, BeforeValidator(_spelt_out, json_schema_input_type=str | TargetEntry)]


class RouteFacts(BaseModel):
    """What a route is, but for its name: its targets, and whom of them to ask first."""

    model_config = STRICT

    targets: Annotated[list[TargetOrText], Field(min_length=1)]
    """Who is asked: each `upstream/model`, or an object that says more of it."""
    strategy: Strategy = "failover"
    """Whom of the targets to ask first (docs/routes.md)."""
    aliases: list[Annotated[str, Field(min_length=1)]] = []
    """Other names for the same."""
    fallback: list[Annotated[str, Field(min_length=1)]] = []
    """Model names to go on with when no target answers."""
    defaults: DefaultsEntry = {}
    """Fields of a request that are as here where neither the request nor the target says."""


class RouteEntry(RouteFacts):
    """A route with its name, which may be a pattern of names."""

    model: Annotated[str, Field(min_length=1)]
    """The name that callers ask for, or a pattern: `*` stands for any letters but `/`, `**` for any."""


def route_of(entry: RouteEntry, where: str) -> Route:
    """The route that an entry describes. Raises ConfigurationError that begins with `where`."""
    for kind, names in (("an alias", entry.aliases), ("a fallback", entry.fallback)):
        for name in names:
            if AS_ASKED in name:
                raise ConfigurationError(f"{where}: '{name}' is a pattern; {kind} must be a name.")
    weights = [target.weight for target in entry.targets]
    if entry.strategy not in _WEIGHING and any(weight is not None for weight in weights):
        raise ConfigurationError(
            f"{where}: the strategy '{entry.strategy}' looks at no weight; {', '.join(_WEIGHING)} do."
        )
    if all(weight == 0 for weight in weights):
        raise ConfigurationError(f"{where}: at least one target needs a weight above 0.")
    return Route(
        entry.model,
        tuple(_target(target, f"{where}.targets[{i}]") for i, target in enumerate(entry.targets)),
        entry.strategy,
        tuple(entry.aliases),
        tuple(entry.fallback),
        entry.defaults,
    )


def _target(entry: TargetEntry, where: str) -> Target:
    upstream, slash, model = entry.target.partition("/")
    if not slash or not upstream or not model:
        raise ConfigurationError(f"{where}: the target '{entry.target}' must be written as upstream/model.")
    if AS_ASKED in model and model != AS_ASKED:
        raise ConfigurationError(
            f"{where}: the model of the target '{entry.target}' must be a name, or '*' for the name as it was asked."
        )
    return Target(upstream, model, 1.0 if entry.weight is None else entry.weight, entry.defaults)


def check_routes(
    routes: Sequence[Route], upstreams: Mapping[str, Upstream], place: Callable[[int], str], where: str = ""
) -> None:
    """Raise ConfigurationError unless every route can be followed to its end; it begins with `where`, and with the
    place of the route at fault (by its number)."""
    seen: dict[str, int] = {}
    for position, route in enumerate(routes):
        at = f"{where}{place(position)}"
        for name in (route.model, *route.aliases):
            if (other := seen.setdefault(name, position)) != position:
                raise ConfigurationError(f"{at}: '{name}' is a name or an alias of {place(other)} already.")
        for target in route.targets:
            if isinstance(target, Target) and target.upstream not in upstreams:
                raise ConfigurationError(
                    f"{at}: the route '{route.model}' names the upstream '{target.upstream}', "
                    f"which is not configured (there are: {', '.join(upstreams)})."
                )
    names = RouteNames(routes)
    for position, route in enumerate(routes):
        for number, name in enumerate(route.fallback):
            if names.find(name) is None and not _is_known(name, upstreams):
                raise ConfigurationError(
                    f"{where}{place(position)}.fallback[{number}]: '{name}' is neither a route nor a model that a "
                    "configured upstream is known to have; write it as upstream/model."
                )
    for position, route in enumerate(routes):
        if circle := _circle(route, names, [route]):
            way = " -> ".join(f"'{passed.model}'" for passed in circle)
            raise ConfigurationError(f"{where}{place(position)}: its fallback comes back to it: {way}.")


def _is_known(model: str, upstreams: Mapping[str, Upstream]) -> bool:
    name, slash, rest = model.partition("/")
    return (bool(slash and rest) and name in upstreams) or any(
        model in upstream.models or model == upstream.default_model for upstream in upstreams.values()
    )


def _circle(start: Route, names: RouteNames, way: list[Route]) -> list[Route] | None:
    """A way along fallbacks from the end of `way` back to `start`."""
    for following in _followers(way[-1], names):
        if following is start:
            return [*way, start]
        if following not in way and (found := _circle(start, names, [*way, following])):
            return found
    return None


def _followers(route: Route, names: RouteNames) -> Iterator[Route]:
    return (found for name in route.fallback if (found := names.find(name)) is not None)
