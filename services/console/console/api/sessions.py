"""Warm sessions: how many there are of each upstream, and how to be rid of those that are ready."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from console.audited import Audited
from console.found import upstream_named
from console.listing import Page, Paging, page
from console.parts import Here, Parts
from parley.catalog import Upstream

router = APIRouter(tags=["sessions"])


class Sessions(BaseModel):
    """The sessions of an upstream."""

    object: Literal["sessions"] = "sessions"
    upstream: str
    ready: Annotated[int, Field(description="Warm, for the next answers.")]
    leased: Annotated[int, Field(description="In use by an answer.")]
    to_close: Annotated[int, Field(description="To be closed upstream; the keeper does.")]
    wanted: Annotated[int, Field(description="How many are kept ready per credential; 0: none.")]
    credentials: Annotated[dict[str, int], Field(description="Ready ones, by the alias of their credential.")]


class Flushed(BaseModel):
    """What was done."""

    object: Literal["sessions.flushed"] = "sessions.flushed"
    upstream: str
    closed: Annotated[int, Field(description="Ready ones that are used by no answer any more, and closed upstream.")]


@router.get("/sessions")
async def list_sessions(here: Here, paging: Annotated[Paging, Query()]) -> Page[Sessions]:
    """The sessions of every upstream that has any or wants some, by upstream."""
    every = [await _sessions(here, upstream) for upstream in here.offer.catalog.upstreams.values()]
    some = (row for row in every if row.wanted or row.ready or row.leased or row.to_close)
    return page(some, paging, lambda row: (row.upstream,))


@router.post("/sessions/{upstream}/flush")
async def flush_sessions(upstream: str, here: Here, audited: Audited) -> Flushed:
    """Use no session that is ready now; the keeper closes them and opens new ones. Those in use go on."""
    place = upstream_named(here, upstream)
    rows = (await here.state.vault.snapshot(place)).credentials
    closed = sum([await here.state.pool.weed(place, row.id, 0.0) for row in rows])
    await audited("sessions.flush", upstream, closed=closed)
    return Flushed(upstream=upstream, closed=closed)


async def _sessions(here: Parts, upstream: Upstream) -> Sessions:
    standing = await here.state.vault.snapshot(upstream)
    ready = {row.alias: row.ready for row in standing.credentials if row.ready}
    return Sessions(
        upstream=upstream.name,
        ready=sum(ready.values()),
        leased=await here.state.holders.sessions(upstream.name),
        to_close=standing.doomed,
        wanted=upstream.pool.size if upstream.pool else 0,
        credentials=ready,
    )
