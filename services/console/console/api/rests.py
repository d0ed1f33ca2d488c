"""Rests by hand: a credential or a whole upstream pauses for a while, or goes on at once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from console.audited import Audited
from console.found import credential_named, upstream_named
from console.parts import Here

router = APIRouter(tags=["credentials"])

Sentence = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class RestAsked(BaseModel):
    """For how long, and why."""

    model_config = ConfigDict(extra="forbid", strict=True)

    seconds: Annotated[float, Field(gt=0, le=30 * 86_400, description="From now on, whatever rest there was.")]
    reason: Annotated[Sentence, Field(description="For people; it is shown in /health to who has a key.")] = ""


@router.post("/upstreams/{upstream}/credentials/{alias}/rest", status_code=204)
async def rest_credential(upstream: str, alias: str, asked: RestAsked, here: Here, audited: Audited) -> Response:
    """Lend a credential to nobody for a while. Running answers go on; afterwards one request finds out how it is."""
    row = await credential_named(here, upstream_named(here, upstream), alias)
    await here.state.rests.begin(upstream, row.id, asked.seconds, asked.reason)
    await audited("credential.rest", f"{upstream}/{row.alias}", seconds=asked.seconds, reason=asked.reason)
    return Response(status_code=204)


@router.delete("/upstreams/{upstream}/credentials/{alias}/rest", status_code=204)
async def end_rest_of_credential(upstream: str, alias: str, here: Here, audited: Audited) -> Response:
    """Lift a credential's cooldown, whoever began it. There need not be one."""
    row = await credential_named(here, upstream_named(here, upstream), alias)
    if await here.state.rests.end(upstream, row.id):
        await audited("credential.rest.end", f"{upstream}/{row.alias}", was=row.reason)
    return Response(status_code=204)


@router.post("/upstreams/{upstream}/rest", status_code=204)
async def rest_upstream(upstream: str, asked: RestAsked, here: Here, audited: Audited) -> Response:
    """Ask an upstream nothing for a while; routes go on to their other targets."""
    upstream_named(here, upstream)
    await here.state.rests.begin(upstream, "", asked.seconds, asked.reason)
    await audited("upstream.rest", upstream, seconds=asked.seconds, reason=asked.reason)
    return Response(status_code=204)


@router.delete("/upstreams/{upstream}/rest", status_code=204)
async def end_rest_of_upstream(upstream: str, here: Here, audited: Audited) -> Response:
    """Lift an upstream's cooldown. There need not be one."""
    upstream_named(here, upstream)
    if await here.state.rests.end(upstream, ""):
        await audited("upstream.rest.end", upstream)
    return Response(status_code=204)
