"""All configuration that a request reads: upstreams, routes, callers, in one immutable snapshot.

A request holds the snapshot that it began with to its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final, Literal

from parley.patterns import Pattern, pattern
from parley.prices import NONE as NO_PRICES
from parley.prices import Prices
from parley.sealed import Secret

HangUp = Literal["cancel", "drain"]
Strategy = Literal["failover", "parallel", "round-robin", "random", "weighted", "least-busy", "fastest", "sticky"]
"""Whom a route asks first; the others follow as failover (but `parallel`, which asks all at once)."""
Defaults = Mapping[str, Any]
"""Fields of a request that are as written here where the request itself does not say."""
Unit = Literal["tokens", "money"]
Period = Literal["minute", "hour", "day", "week", "month", "total"]
AS_ASKED: Final = "*"
"""As the model of a target: the name that the caller asked for."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for an upstream, in seconds."""

    connect: float = 10.0
    first_token: float = 300.0
    between_tokens: float = 120.0
    total: float = 1200.0


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """How many sessions to keep warm, and how old (seconds) one may be when it is handed out."""

    size: int = 5
    age: float = 600.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent in each period of the calendar (UTC; a week begins on Monday), or in all (`total`)."""

    unit: Unit
    amount: int
    """Tokens, or millionths of the currency."""
    period: Period


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of what may be asked of us; 0: no limit. A minute and a day are any sliding 60 seconds and 24 hours."""

    requests_per_minute: int = 0
    requests_per_day: int = 0
    tokens_per_minute: int = 0
    tokens_per_day: int = 0
    concurrency: int = 0
    """Answers at a time."""
    budgets: tuple[Budget, ...] = ()


UNLIMITED: Final = Limits()


@dataclass(frozen=True, slots=True)
class CredentialPlan:
    """A credential as the operator wrote it: alias, secret parts, and what differs from its upstream."""

    alias: str
    parts: Mapping[str, Secret]
    guest: bool = False
    """True for a place that a guest account will fill; it has no parts of its own."""
    proxy: Secret | None = None
    base_url: str | None = None
    timeouts: Mapping[str, float] = field(default_factory=dict)
    """Fields of `Timeouts` that differ for this credential."""
    limits: Limits | None = None
    """What may be asked with it; None: as its upstream says for each."""
    disabled: bool = False
    """Configured, and not lent."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A configured place that a provider speaks to."""

    name: str
    provider: str
    base_url: str = ""
    credentials: tuple[CredentialPlan, ...] = ()
    models: tuple[str, ...] = ()
    """Model ids known without asking; discovery adds to them."""
    default_model: str | None = None
    concurrency: int = 0
    """Answers at a time per credential; 0: no limit."""
    per_minute: int = 0
    """Answers in any 60 seconds per credential; 0: no limit."""
    limits: Limits = UNLIMITED
    """What may be asked with each credential that has no limits of its own."""
    timeouts: Timeouts = Timeouts()
    pool: PoolPlan | None = None
    proxy: Secret | None = None
    hang_up: HangUp = "cancel"
    defaults: Defaults = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """What only this kind of provider understands; it checks them when it is made."""


@dataclass(frozen=True, slots=True)
class Target:
    """One place to ask: an upstream, and the model's name there."""

    upstream: str
    model: str
    weight: float = 1.0
    """How large its share is, where the strategy looks at that; 0: only when all others failed."""
    defaults: Defaults = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """A model name of ours, or a pattern of names (`gpt-4*`), its targets, and whom of them to ask first."""

    model: str
    targets: tuple[Target | Route, ...]
    """A route among them is asked in its own way, when its turn comes."""
    strategy: Strategy = "failover"
    aliases: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    """Model names to go on with when no target answers."""
    defaults: Defaults = field(default_factory=dict)
    """Those of a target go before these, and these before those of its upstream."""


class RouteNames:
    """Which route a model name takes: the one that has it as its name or alias, else the pattern that says most of it.

    A `*` stands for any letters but `/`: a pattern does not take `upstream/model` unless it is written so.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, Route] = {}
        found: list[tuple[str, Route]] = []
        for route in routes:
            for name in (route.model, *route.aliases):
                if AS_ASKED in name:
                    found.append((name, route))
                else:
                    self._exact.setdefault(name, route)
        found.sort(key=lambda named: len(named[0].replace(AS_ASKED, "")), reverse=True)  # stable: the first wins
        self._patterns = [(pattern(name), route) for name, route in found]

    def find(self, model: str) -> Route | None:
        """The route for a model name; None when none is meant."""
        if (route := self._exact.get(model)) is not None:
            return route
        return next((route for pattern, route in self._patterns if pattern.fullmatch(model)), None)

    def listed(self) -> Iterable[str]:
        """Every name and alias that is no pattern."""
        return self._exact


@dataclass(frozen=True, slots=True)
class Binding:
    """What a key reaches, whatever model name it is asked with."""

    names: Mapping[str, Route]
    """By the name in the request."""
    otherwise: Route | None = None
    """For every other name, and for none."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls us, known by an API key."""

    name: str
    """Unique, and never changed: what it used goes by it."""
    bound: Binding | None = None
    """None: every model of the catalog, by its name."""
    limits: Limits = UNLIMITED
    models: tuple[str, ...] = ()
    """Patterns of the models and routes that it may ask for; none: all."""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Where it may call from; none: anywhere."""
    expires: float | None = None
    """When the key ends to be valid, in seconds since the epoch."""
    disabled: bool = False
    contents: bool = False
    """Whether what is said is logged, because an operator asked for it."""
    defaults: Defaults = field(default_factory=dict)
    """Fields of its requests where they do not say; these go before all other defaults."""
    issued: bool = False
    """Whether the key may be revoked while we run, so that it is only good while we hear of that."""


@dataclass(frozen=True, slots=True)
class ModelLimit:
    """What may be asked of all models together that a pattern fits (`parley.patterns`)."""

    model: str
    limits: Limits


class ModelLimits:
    """Which limit a model has: the first whose pattern fits one of its names."""

    def __init__(self, limits: Iterable[ModelLimit] = ()) -> None:
        self.limits = tuple(limits)
        self._patterns: list[tuple[Pattern, ModelLimit]] = [(pattern(limit.model), limit) for limit in self.limits]

    def of(self, *names: str) -> ModelLimit | None:
        """The limit of a model that goes by these names."""
        if not self._patterns:
            return None
        return next((limit for fits, limit in self._patterns if any(map(fits.fullmatch, names))), None)


@dataclass(frozen=True, slots=True)
class Catalog:
    """One revision of everything; upstreams in the order of the configuration."""

    upstreams: Mapping[str, Upstream]
    routes: Mapping[str, Route] = field(default_factory=dict)
    default_model: str | None = None
    """The model id that serves unknown names, if one is set."""
    callers: Mapping[bytes, Caller] = field(default_factory=dict)
    """By the SHA-256 digest of their keys: the keys themselves are nowhere."""
    keyed: bool = False
    """Whether a key is asked for although none is known: those that were configured cannot be used."""
    prices: Prices = NO_PRICES
    model_limits: ModelLimits = field(default_factory=ModelLimits)
