"""Lists: every one comes in pages, `limit` long, and says where to go on (`next`, to be asked for as `after`).

A page goes on behind a mark (what it is ordered by), not at a number, so that what comes or goes meanwhile makes
nothing appear twice or be left out.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Annotated, Final, Generic, Literal, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from parley.errors import BadRequest

T = TypeVar("T")
Mark = tuple[str | int | float, ...]

MOST: Final = 1000


class Paging(BaseModel):
    """What every list may be asked."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MOST, description="How many at most.")] = 100
    after: Annotated[str | None, Field(max_length=1000, description="`next` of the page before.")] = None


class StreamPaging(Paging):
    """The same, of what comes in the order in which it happened, the newest first."""

    after: Annotated[str | None, Field(pattern=r"^\d{1,20}-\d{1,20}$", description="`next` of the page before.")] = None


class Page(BaseModel, Generic[T]):
    """Some of a list, in its order."""

    object: Literal["list"] = "list"
    data: list[T]
    has_more: Annotated[bool, Field(description="Whether there are more behind these.")]
    next: Annotated[str | None, Field(description="Where the next page begins: ask for it as `after`.")]


def page(rows: Iterable[T], paging: Paging, mark: Callable[[T], Mark]) -> Page[T]:
    """A page of all `rows`, put in the order of their marks. Raises BadRequest for an `after` that is none of ours."""
    ordered = sorted(rows, key=mark)
    if paging.after is not None:
        behind = _read(paging.after)
        try:
            ordered = [row for row in ordered if mark(row) > behind]
        except TypeError:
            raise _foreign() from None
    return first_of(ordered, paging, lambda row: _written(mark(row)))


def first_of(rows: Iterable[T], paging: Paging, cursor: Callable[[T], str]) -> Page[T]:
    """The page that begins with the first of `rows`, which are in order and may be more than fit."""
    some = list(islice(rows, paging.limit + 1))
    more = len(some) > paging.limit
    del some[paging.limit :]
    return Page[T](data=some, has_more=more, next=cursor(some[-1]) if more else None)


def _written(mark: Mark) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(mark)).decode().rstrip("=")


def _read(cursor: str) -> Mark:
    try:
        raw = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        return msgspec.json.decode(raw, type=Mark)
    except (ValueError, msgspec.DecodeError):
        raise _foreign() from None


def _foreign() -> BadRequest:
    return BadRequest("after is not the `next` of a page of this list.", param="after", code="invalid_cursor")
