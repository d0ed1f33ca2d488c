"""How an upstream is written, in `parley.yaml` and in what an operator changes while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from parley.catalog import CredentialPlan, PoolPlan, Upstream
from parley.configuration.credentials import credential
from parley.configuration.entries import STRICT, DefaultsEntry
from parley.configuration.limits import LimitsEntry, written
from parley.configuration.network import timeouts_of
from parley.sealed import Secret
from parley.settings import Settings

_POOLED: Final = frozenset({"h2ogpte"})
_CONCURRENCY: Final = {"claude-web": 1}
"""Answers at a time per credential, where nobody says and 'no limit' would harm the account."""


class TimeoutsEntry(BaseModel):
    """Seconds; what is left out is as the environment says."""

    model_config = STRICT

    connect: Annotated[float, Field(gt=0)] | None = None
    """Until there is a connection; else CONNECT_SECONDS."""
    first_token: Annotated[float, Field(gt=0)] | None = None
    """Until the first token; else FIRST_TOKEN_SECONDS."""
    between_tokens: Annotated[float, Field(gt=0)] | None = None
    """Of silence between two tokens; else BETWEEN_TOKENS_SECONDS."""
    total: Annotated[float, Field(gt=0)] | None = None
    """For the whole answer, all attempts together; else TOTAL_SECONDS."""


class PoolEntry(BaseModel):
    """Warm sessions to keep, and their greatest age in seconds."""

    model_config = STRICT

    size: Annotated[int, Field(ge=0, le=200)] = 5
    """How many are kept ready per credential; 0: none."""
    age: Annotated[float, Field(gt=0)] = 600.0
    """Seconds: one that is older is not handed out, and replaced."""


class UpstreamFacts(BaseModel):
    """What an upstream is, but for its name and its credentials."""

    model_config = STRICT

    provider: str
    """What kind of service it is (docs/upstreams.md)."""
    base_url: str = ""
    """Its address, with the path of its API; empty: where the provider's service is by itself."""
    guests: Annotated[int, Field(ge=0, le=20)] = 0
    """How many guest accounts to sign in, where the service has guests."""
    models: list[str] = []
    """Model ids known without asking; what the service lists is added."""
    default_model: str | None = None
    """Its model for requests that name none, or one that it does not know."""
    concurrency: Annotated[int, Field(ge=0)] | None = None
    """Answers at a time per credential; who comes later waits. 0: no limit. None: as the provider needs."""
    per_minute: Annotated[int, Field(ge=0)] = 0
    """Answers in any 60 seconds per credential: who comes later waits. 0: no limit."""
    limits: LimitsEntry = LimitsEntry()
    """How much may be asked with each credential that has no limits of its own: what is more is refused."""
    timeouts: TimeoutsEntry = TimeoutsEntry()
    """How long to wait for it."""
    pool: PoolEntry | None = None
    """Warm sessions, where the service has sessions; None: as the provider needs."""
    proxy: Annotated[str | None, Field(repr=False)] = None
    """The way to it: http://, https:// or socks5://. None: straight, whatever HTTP_PROXY says."""
    hang_up: Literal["cancel", "drain"] = "cancel"
    """When a caller leaves: end the answer upstream, or let it finish (30 s at most) for its token count."""
    defaults: DefaultsEntry = {}
    """Fields of a request that are as here where nobody before says: the request, the target, the route."""
    options: dict[str, Any] = {}
    """What only this provider understands (docs/configuration.md has a table for each)."""


UpstreamName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]


class UpstreamEntry(UpstreamFacts):
    """One upstream of `parley.yaml`."""

    name: UpstreamName
    """Yours to choose: models are asked for as `name/model`."""
    credentials: list[str | dict[str, Any]] = []
    """What opens it: each a text, or an object of its parts and what differs for it. None: where nothing is needed."""


def credentials_of(entry: UpstreamEntry, where: str) -> list[CredentialPlan]:
    """The credentials of an entry. Raises ConfigurationError that begins with `where`."""
    return [
        credential(item, where=f"{where}.credentials[{i}]", alias=f"{entry.name}-{i + 1}")
        for i, item in enumerate(entry.credentials)
    ]


def upstream_of(name: str, facts: UpstreamFacts, credentials: Sequence[CredentialPlan], settings: Settings) -> Upstream:
    """The upstream that is described, with these credentials and the guests that it wants: those that it has first."""
    guests = [plan for plan in credentials if plan.guest][: facts.guests]
    credentials = [plan for plan in credentials if not plan.guest]
    guests += [CredentialPlan(f"guest-{i + 1}", {}, guest=True) for i in range(len(guests), facts.guests)]
    # A server that asks for no key is still lent in turn, paced and rested.
    plans = (*credentials, *guests) or (CredentialPlan("open", {}),)
    pool = facts.pool or (PoolEntry() if facts.provider in _POOLED else None)
    return Upstream(
        name=name,
        provider=facts.provider,
        base_url=facts.base_url,
        credentials=plans,
        models=tuple(facts.models),
        default_model=facts.default_model,
        concurrency=_CONCURRENCY.get(facts.provider, 0) if facts.concurrency is None else facts.concurrency,
        per_minute=facts.per_minute,
        limits=facts.limits.limits(),
        timeouts=replace(timeouts_of(settings), **facts.timeouts.model_dump(exclude_none=True)),
        pool=PoolPlan(pool.size, pool.age) if pool else None,
        proxy=Secret(facts.proxy) if facts.proxy else None,
        hang_up=facts.hang_up,
        defaults=facts.defaults,
        options=facts.options,
    )


def facts_of(upstream: Upstream) -> UpstreamFacts:
    """An upstream as it would be written, wherever it comes from."""
    return UpstreamFacts(
        provider=upstream.provider,
        base_url=upstream.base_url,
        guests=sum(plan.guest for plan in upstream.credentials),
        models=list(upstream.models),
        default_model=upstream.default_model,
        concurrency=upstream.concurrency,
        per_minute=upstream.per_minute,
        limits=written(upstream.limits),
        timeouts=TimeoutsEntry(**asdict(upstream.timeouts)),
        pool=PoolEntry(size=upstream.pool.size, age=upstream.pool.age) if upstream.pool else None,
        proxy=upstream.proxy.reveal() if upstream.proxy else None,
        hang_up=upstream.hang_up,
        defaults=dict(upstream.defaults),
        options=dict(upstream.options),
    )
