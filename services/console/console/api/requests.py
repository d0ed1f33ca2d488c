"""What became of requests: the records of the last hour, to be found by id."""

from __future__ import annotations

from contextlib import aclosing
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from console.listing import Page, Paging, StreamPaging, first_of, page
from console.parts import Here
from console.refusals import NotFound
from parley.state.recent import Recorded

router = APIRouter(tags=["requests"])

Outcome = Literal["done", "failed", "refused", "hung_up"]
_OURS: Final = ("event", "level", "service", "time", "request_id", "attempts")


class RequestsQuery(StreamPaging):
    """Which of them."""

    caller: Annotated[str | None, Field(max_length=200, description="Of this key.")] = None
    model: Annotated[str | None, Field(max_length=512, description="For this model, as it was asked for.")] = None
    upstream: Annotated[str | None, Field(max_length=200, description="That this upstream was tried for.")] = None
    outcome: Outcome | None = None


class Request(BaseModel):
    """A request that ended."""

    object: Literal["request"] = "request"
    id: Annotated[str, Field(description="Of this record; it grows with time.")]
    request_id: str
    at: Annotated[float, Field(description="When it ended.")]
    attempts: Annotated[list[dict[str, Any]], Field(description="Each try: where, how it failed, who was blamed.")]
    record: Annotated[dict[str, Any], Field(description="All else that the log has of it (docs/operating.md).")]


@router.get("/requests")
async def list_requests(here: Here, query: Annotated[RequestsQuery, Query()]) -> Page[Request]:
    """Requests that ended within the last hour, the newest first; ten thousand are kept."""
    rows: list[Request] = []
    async with aclosing(here.state.recent.newest(query.after or "")) as kept:
        async for one in kept:
            if _fits(one.record, query):
                rows.append(_request(one))
            if len(rows) > query.limit:
                break
    return first_of(rows, query, lambda row: row.id)


@router.get("/requests/{request_id}")
async def get_request(request_id: str, here: Here, paging: Annotated[Paging, Query()]) -> Page[Request]:
    """The records of one request, by the `x-request-id` that its answer had. A client may have used an id twice."""
    found = await here.state.recent.of(request_id)
    if not found:
        raise NotFound("There is no record of this request: it is older than an hour, or still under way.")
    return page(map(_request, found), paging, lambda row: (-row.at, row.id))


def _fits(record: dict[str, Any], query: RequestsQuery) -> bool:
    return (
        (query.caller is None or record.get("caller") == query.caller)
        and (query.model is None or record.get("model") == query.model)
        and (query.outcome is None or record.get("outcome") == query.outcome)
        and (query.upstream is None or any(each["upstream"] == query.upstream for each in record.get("attempts", ())))
    )


def _request(one: Recorded) -> Request:
    record = one.record
    return Request(
        id=one.id,
        request_id=record.get("request_id", ""),
        at=one.at,
        attempts=record.get("attempts", []),
        record={name: value for name, value in record.items() if name not in _OURS},
    )
