"""All configuration that a request reads: upstreams, routes, callers, in one immutable snapshot.

A request holds the snapshot that it began with to its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from parley.sealed import Secret

HangUp = Literal["cancel", "drain"]
Strategy = Literal["failover", "parallel"]


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
    timeouts: Timeouts = Timeouts()
    pool: PoolPlan | None = None
    proxy: Secret | None = None
    hang_up: HangUp = "cancel"
    options: Mapping[str, Any] = field(default_factory=dict)
    """What only this kind of provider understands; it checks them when it is made."""


@dataclass(frozen=True, slots=True)
class Target:
    """One place to ask: an upstream, and the model's name there."""

    upstream: str
    model: str


@dataclass(frozen=True, slots=True)
class Route:
    """A model name of ours and its targets: tried in order until one speaks, or all at once."""

    model: str
    targets: tuple[Target, ...]
    strategy: Strategy = "failover"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls us, known by an API key."""

    name: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """One revision of everything; upstreams in the order of the configuration."""

    upstreams: Mapping[str, Upstream]
    routes: Mapping[str, Route] = field(default_factory=dict)
    default_model: str | None = None
    """The model id that serves unknown names, if one is set."""
