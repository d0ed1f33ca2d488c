"""Types that choose among other tokens, resolved once: what each token reaches, by the name that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from parley.catalog import Binding, Defaults, Route, Strategy, Target
from parley.configuration.model_config.entries import Entry
from parley.settings import ConfigurationError

_STRATEGIES: Final[dict[str, Strategy]] = {"round-robin": "round-robin", "random": "random", "parallel": "parallel"}


class Bindings:
    """Collects entries; `resolved` tells what each usable one reaches."""

    def __init__(self, where: str, advise: Callable[[str], None]) -> None:
        self._where = where
        self._advise = advise
        self._known: dict[str, Binding] = {}
        self._entries: list[Entry] = []
        self._routers: dict[str, Entry] = {}

    def add(self, entry: Entry, target: Target, defaults: Defaults) -> None:
        """An entry of its own upstream."""
        self._entries.append(entry)
        self._known[entry.token] = Binding({}, Route(entry.label, (target,), defaults=defaults))

    def later(self, entry: Entry) -> None:
        """A router, which may name entries that are still to come."""
        self._entries.append(entry)
        self._routers[entry.token] = entry

    def resolved(self) -> Iterator[tuple[Entry, Binding]]:
        """Every usable entry with what it reaches. Raises ConfigurationError for a circle."""
        for entry in self._entries:
            if (bound := self._bound(entry.token, [])) is not None:
                yield entry, bound

    def _bound(self, token: str, way: list[Entry]) -> Binding | None:
        entry = self._routers.get(token)
        if entry is None or token in self._known:
            return self._known.get(token)
        if entry in way:
            circle = " -> ".join(str(passed.position) for passed in [*way[way.index(entry) :], entry])
            raise ConfigurationError(f"{self._where}: {entry.name} comes back to itself: entries {circle}.")
        try:
            by_name = entry.type == "model-name-router"
            bound = self._by_name(entry, [*way, entry]) if by_name else self._pooled(entry, [*way, entry])
        except _Empty as reason:
            self._advise(f"{self._where}: {entry.name} is left out, and its token opens nothing: {reason}.")
            del self._routers[token]  # said once
            return None
        self._known[token] = bound
        return bound

    def _pooled(self, entry: Entry, way: list[Entry]) -> Binding:
        strategy = self._strategy(entry)
        pool = entry.config.get("token_pool")
        if not isinstance(pool, list) or not pool:
            raise _Empty("its token_pool must be a list of tokens")
        members = [
            found
            for number, token in enumerate(pool, 1)
            if (found := self._member(entry, token, f"token {number} of its pool", way)) is not None
        ]
        names = dict.fromkeys(name for member in members for name in member.names)
        chosen = {
            name: self._choice(entry, strategy, [m.names.get(name, m.otherwise) for m in members]) for name in names
        }
        others = self._choice(entry, strategy, [member.otherwise for member in members])
        bound = Binding({name: route for name, route in chosen.items() if route is not None}, others)
        if not bound.names and bound.otherwise is None:
            raise _Empty("no token of its pool can be used")
        return bound

    def _by_name(self, entry: Entry, way: list[Entry]) -> Binding:
        table = entry.config.get("model-2-token")
        if not isinstance(table, dict) or not table:
            raise _Empty('its model-2-token must be an object: {"model name": "token"}')
        names: dict[str, Route] = {}
        otherwise: Binding | None = None
        for name, token in table.items():
            found = self._member(entry, token, f"the token of '{name}'", way)
            if name == "default":
                otherwise = found
            elif found is not None and (route := found.names.get(name, found.otherwise)) is not None:
                names[name] = route
        if otherwise is not None:
            # What its default tells apart by names, it tells apart, too; but not what it names itself.
            names = {**{name: route for name, route in otherwise.names.items() if name not in table}, **names}
        bound = Binding(names, otherwise.otherwise if otherwise else None)
        if not bound.names and bound.otherwise is None:
            raise _Empty("no token that it names can be used")
        return bound

    def _member(self, entry: Entry, token: Any, which: str, way: list[Entry]) -> Binding | None:
        found = self._bound(token.strip(), way) if isinstance(token, str) else None
        if found is None:
            self._advise(f"{self._where}: {entry.name}: {which} is not the token of a usable entry, and is left out.")
        return found

    @staticmethod
    def _choice(entry: Entry, strategy: Strategy, routes: list[Route | None]) -> Route | None:
        targets = tuple(route for route in routes if route is not None)
        return Route(entry.label, targets, strategy) if targets else None

    @staticmethod
    def _strategy(entry: Entry) -> Strategy:
        said = entry.config.get("router_strategy", "parallel" if entry.type == "parallel" else None)
        strategy = _STRATEGIES.get(said) if isinstance(said, str) else None
        if strategy is None:
            raise _Empty(f"its router_strategy must be one of {', '.join(_STRATEGIES)}")
        return strategy


class _Empty(Exception):  # nothing went wrong: the entry is left out, and the text says why
    """A router that reaches nobody."""
