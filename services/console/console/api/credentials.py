"""Credentials as they stand: state, health, leases and who holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from console.api.upstreams import ConfiguredCredential, configured
from console.editing import InForce
from console.editor import Seen
from console.found import credential_named, upstream_named
from console.listing import Page, Paging, page
from console.parts import Here, Parts
from parley.catalog import CredentialPlan, Upstream
from parley.clock import now
from parley.state.holders import Held
from parley.state.readings import Amounts, Span, total
from parley.state.records import Records
from parley.state.standing import CredentialStanding, idle

router = APIRouter(tags=["credentials"])

_LATELY: Final = 3600.0
_NOT_AT_FAULT: Final = ("refused", "hung_up")
"""Errors of callers, which say nothing of a credential."""

State = Literal["ok", "resting", "probing", "new", "expired", "disabled"]


class Rest(BaseModel):
    """A cooldown."""

    reason: Annotated[str, Field(description="A code, or `operator: ...` for one that an operator began.")]
    seconds: Annotated[float, Field(description="Until it is over.")]


class ModelRest(Rest):
    """A cooldown for one model: it is lent for others."""

    model: Annotated[str, Field(description="The upstream's name of it.")]


class Failed(BaseModel):
    """The last failure."""

    at: float
    reason: str


class Health(BaseModel):
    """What real traffic and free probes told, shared by all replicas."""

    last_success: float | None
    last_failure: Failed | None
    served: Annotated[int, Field(description="Answers since it is known.")]
    failed: Annotated[int, Field(description="Failures that it was to blame for, since it is known.")]
    strikes: Annotated[int, Field(description="Failures in a row that sent it to rest; each doubles the rest.")]
    requests: Annotated[int, Field(description="Attempts of the last hour.")]
    success_rate: Annotated[
        float | None, Field(description="Share of those that went well, but for callers' own mistakes; null: none.")
    ]


class Lease(BaseModel):
    """The right to use it for one answer."""

    id: str
    process: Annotated[str, Field(description="Who holds it.")]
    seconds: Annotated[float, Field(description="Until it ends, unless its process says that it still uses it.")]
    session: Annotated[bool, Field(description="Whether a warm session goes with it.")]


class Credential(BaseModel):
    """A credential as it stands; what it consists of is never shown."""

    object: Literal["credential"] = "credential"
    upstream: str
    alias: str
    id: Annotated[str, Field(description="A name of its secret that does not give it away.")]
    state: Annotated[
        State,
        Field(
            description="probing: its rest is over, one request finds out; new: a guest to be; disabled: never lent."
        ),
    ]
    guest: bool
    generation: Annotated[int, Field(description="Grows with every renewal.")]
    rest: Rest | None
    models: Annotated[list[ModelRest], Field(description="What it rests for while it is lent for others.")]
    health: Health
    leases: list[Lease]
    paced: Annotated[int, Field(description="Answers of the last 60 seconds, where they are counted for pacing.")]
    sessions: Annotated[int, Field(description="Warm sessions that are ready.")]
    renewing: Annotated[bool, Field(description="Whether somebody renews it just now.")]
    configuration: Annotated[
        ConfiguredCredential | None,
        Field(description="As it is configured; null for one that the configuration dropped."),
    ] = None


@router.get("/credentials")
async def list_all_credentials(here: Here, seen: InForce, paging: Annotated[Paging, Query()]) -> Page[Credential]:
    """The credentials of all upstreams, by upstream and alias."""
    return _configured(here, seen, await _listed(here, here.offer.catalog.upstreams.values(), paging))


@router.get("/upstreams/{upstream}/credentials")
async def list_credentials(
    upstream: str, here: Here, seen: InForce, paging: Annotated[Paging, Query()]
) -> Page[Credential]:
    """The credentials of an upstream, by alias."""
    return _configured(here, seen, await _listed(here, [upstream_named(here, upstream)], paging))


@router.get("/upstreams/{upstream}/credentials/{alias}")
async def get_credential(upstream: str, alias: str, here: Here, seen: InForce) -> Credential:
    """One credential, by its alias or its id."""
    credential = await _found(here, upstream, alias)
    credential.configuration = configured(here.editor, seen.view, credential.upstream, credential.alias)
    return credential


async def _found(here: Parts, upstream: str, alias: str) -> Credential:
    place = upstream_named(here, upstream)
    if (off := next((plan for plan in _off(place) if plan.alias == alias), None)) is not None:
        return _disabled(here, place, off, Amounts())
    row = await credential_named(here, place, alias)
    held = await here.state.holders.of(upstream, [row.id])
    points = await here.state.readings.series("credential", f"{upstream}/{row.alias}", _lately())
    return _credential(place, row, held, total(points))


def _configured(here: Parts, seen: Seen, rows: Page[Credential]) -> Page[Credential]:
    for row in rows.data:
        row.configuration = configured(here.editor, seen.view, row.upstream, row.alias)
    return rows


async def _listed(here: Parts, upstreams: Iterable[Upstream], paging: Paging) -> Page[Credential]:
    used = await here.state.readings.sums("credential", _lately())
    found: list[Credential] = []
    for upstream in upstreams:
        rows = (await here.state.vault.snapshot(upstream)).credentials
        held: dict[str, list[Held]] = {row.id: [] for row in rows}
        for one in await here.state.holders.of(upstream.name, held):
            held[one.credential].append(one)
        found += [_credential(upstream, row, held[row.id], _used(used, upstream, row.alias)) for row in rows]
        found += [_disabled(here, upstream, plan, _used(used, upstream, plan.alias)) for plan in _off(upstream)]
    return page(found, paging, lambda row: (row.upstream, row.alias, row.id))


def _lately() -> Span:
    moment = now()
    return Span("minute", moment - _LATELY, moment + 60)


def _used(used: Mapping[str, Amounts], upstream: Upstream, alias: str) -> Amounts:
    return used.get(f"{upstream.name}/{alias}") or Amounts()


def _off(upstream: Upstream) -> Iterable[CredentialPlan]:
    return (plan for plan in upstream.credentials if plan.disabled)


def _disabled(here: Parts, upstream: Upstream, plan: CredentialPlan, used: Amounts) -> Credential:
    """One that nobody is lent: it does not stand anywhere."""
    name = Records(here.state.revisions.seal).name(upstream, plan)
    credential = _credential(upstream, idle(name, plan.alias, guest=plan.guest), (), used)
    credential.state = "disabled"
    return credential


def _credential(upstream: Upstream, row: CredentialStanding, held: Iterable[Held], used: Amounts) -> Credential:
    return Credential(
        upstream=upstream.name,
        alias=row.alias,
        id=row.id,
        state="resting" if row.rests else row.state if row.state != "ok" else "probing" if row.half_open else "ok",
        guest=row.guest,
        generation=row.generation,
        rest=Rest(reason=row.reason, seconds=row.rests) if row.rests else None,
        models=[ModelRest(model=one.model, reason=one.reason, seconds=one.rests) for one in row.models],
        health=_health(row, used),
        leases=[
            Lease(id=one.lease, process=one.process, seconds=one.seconds, session=bool(one.session)) for one in held
        ],
        paced=row.paced,
        sessions=row.ready,
        renewing=row.renewing > 0,
    )


def _health(row: CredentialStanding, used: Amounts) -> Health:
    errors = used.errors
    telling = used.requests - sum(errors.get(kind, 0) for kind in _NOT_AT_FAULT)
    failed = sum(count for kind, count in errors.items() if kind not in _NOT_AT_FAULT)
    return Health(
        last_success=row.last_ok,
        last_failure=None if row.last_failed is None else Failed(at=row.last_failed, reason=row.last_failure),
        served=row.served,
        failed=row.failed,
        strikes=row.strikes,
        requests=used.requests,
        success_rate=round((telling - failed) / telling, 4) if telling > 0 else None,
    )
