"""What operators changed: `/audit`."""

from __future__ import annotations

from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from console.listing import Page, StreamPaging, first_of
from console.parts import Here
from parley.state.audit import Audited

router = APIRouter(tags=["audit"])


class AuditQuery(StreamPaging):
    """Which of them."""

    what: Annotated[
        str | None, Field(max_length=100, description="Only these: `credential`, or `credential.rest`.")
    ] = None


class Change(BaseModel):
    """One change."""

    object: Literal["change"] = "change"
    id: str
    at: float
    who: Annotated[str, Field(description="`admin`: whoever has ADMIN_KEY.")]
    client: Annotated[str, Field(description="The address that it came from.")]
    what: Annotated[str, Field(description="KIND.VERB")]
    on: Annotated[str, Field(description="The name of what was changed.")]
    request_id: str
    details: dict[str, Any]


@router.get("/audit")
async def list_changes(here: Here, query: Annotated[AuditQuery, Query()]) -> Page[Change]:
    """Every change that was made through this API, the newest first; ten thousand are kept."""
    rows: list[Change] = []
    async with aclosing(here.state.audit.newest(query.after or "")) as kept:
        async for one in kept:
            if query.what is None or f"{one.entry.what}.".startswith(f"{query.what}."):
                rows.append(_change(one))
            if len(rows) > query.limit:
                break
    return first_of(rows, query, lambda row: row.id)


def _change(one: Audited) -> Change:
    entry = one.entry
    return Change(
        id=one.id,
        at=one.at,
        who=entry.who,
        client=entry.client,
        what=entry.what,
        on=entry.on,
        request_id=entry.request,
        details=entry.details,
    )
