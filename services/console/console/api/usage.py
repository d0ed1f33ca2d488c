"""What was used, by key, model, upstream or credential: sums, series, and both as CSV."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, model_validator

from console.api import tables
from console.api.used import OTHER, Used
from console.listing import Page, Paging, page
from console.parts import Here, Parts
from parley.clock import now
from parley.state.meter import Subject
from parley.state.readings import REST, SECONDS, Amounts, Point, Resolution, Span

router = APIRouter(tags=["usage"])

_HOUR, _DAY = 3600.0, 86_400.0
_FINE: Final[tuple[tuple[float, Resolution], ...]] = ((3 * _HOUR, "minute"), (14 * _DAY, "hour"))
_CSV: Final = "text/csv"

By = Literal["requests", "tokens", "cost", "errors", "name"]


def _moment(value: Any) -> Any:
    """Seconds since the epoch, of these or of an RFC 3339 date-time; what has no zone is UTC."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


class UsageQuery(Paging):
    """Of which time, and of whom."""

    from_: Annotated[
        str | None,
        Field(alias="from", max_length=40, description="RFC 3339, or seconds since the epoch; else a day before `to`."),
    ] = None
    to: Annotated[str | None, Field(max_length=40, description="The same; else now.")] = None
    grain: Annotated[
        Resolution | None,
        Field(description="Minutes reach back a day, hours a month, days a year; else as fits the time asked for."),
    ] = None
    name: Annotated[
        list[Annotated[str, Field(max_length=512)]] | None, Field(max_length=100, description="Only these.")
    ] = None
    by: Annotated[By, Field(description="Sums: who comes first.")] = "requests"
    format: Literal["json", "csv"] | None = None
    _span: Span

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        try:
            end = now() if self.to is None else _moment(self.to)
            start = end - _DAY if self.from_ is None else _moment(self.from_)
        except (ValueError, OverflowError):
            raise ValueError("from and to must be RFC 3339 date-times, or seconds since the epoch") from None
        if not 0 <= start < end < 1e11:
            raise ValueError("from must be before to")
        fitting: Resolution = next((each for most, each in _FINE if end - start <= most), "day")
        grain = self.grain or fitting
        seconds = SECONDS[grain]
        self._span = Span(grain, start // seconds * seconds, end)
        return self

    @property
    def span(self) -> Span:
        """The time asked for, from the beginning of a whole minute, hour or day."""
        return self._span


class Sum(Used):
    """What one name used in the time asked for."""

    object: Literal["usage"] = "usage"
    name: Annotated[str, Field(description=OTHER)]


class Moment(Used):
    """What was used in one minute, hour or day."""

    at: Annotated[int, Field(description="When it began.")]


class Series(BaseModel):
    """What one name used, by time; where nothing was used there is no point."""

    object: Literal["usage.series"] = "usage.series"
    name: Annotated[str, Field(description=OTHER)]
    grain: Resolution
    points: list[Moment]


_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "JSON, or CSV for `format=csv` or `Accept: text/csv`", "content": {_CSV: {}}}
}


@router.get("/usage/{subject}", response_model=Page[Sum], responses=_RESPONSES)
async def get_usage(
    subject: Subject, here: Here, query: Annotated[UsageQuery, Query()], request: Request
) -> Page[Sum] | Response:
    """What every name used, in sums; who used most comes first."""
    found = await here.state.readings.sums(subject, query.span)
    currency = here.offer.catalog.prices.currency
    wanted = {_named(name): amounts for name, amounts in found.items() if _asked_for(name, query)}
    if _as_csv(request, query):
        ordered = sorted(wanted.items(), key=lambda item: _place(item, query.by))
        return _file(f"usage-{subject}", tables.sums(ordered))
    rows = page(wanted.items(), query, lambda item: _place(item, query.by))
    data = [Sum(name=name, **Used.told(amounts, currency)) for name, amounts in rows.data]
    return Page[Sum](data=data, has_more=rows.has_more, next=rows.next)


@router.get("/usage/{subject}/series", response_model=Page[Series], responses=_RESPONSES)
async def get_usage_series(
    subject: Subject, here: Here, query: Annotated[UsageQuery, Query()], request: Request
) -> Page[Series] | Response:
    """What every name used, by minute, hour or day; by name."""
    names = [name for name in await here.state.readings.names(subject) if _asked_for(name, query)]
    if _as_csv(request, query):
        return _file(f"usage-{subject}-{query.span.resolution}", tables.series(_read(here, subject, names, query.span)))
    some = page(names, query, lambda name: (_named(name),))
    currency = here.offer.catalog.prices.currency
    data: list[Series] = []
    async for name, points in _read(here, subject, some.data, query.span):
        told = [Moment(at=point.start, **Used.told(point.amounts, currency)) for point in points]
        data.append(Series(name=name, grain=query.span.resolution, points=told))
    return Page[Series](data=data, has_more=some.has_more, next=some.next)


async def _read(here: Parts, subject: Subject, names: list[str], span: Span) -> AsyncIterator[tuple[str, list[Point]]]:
    for name in names:
        yield _named(name), await here.state.readings.series(subject, name, span)


def _named(name: str) -> str:
    return "other" if name == REST else name


def _asked_for(name: str, query: UsageQuery) -> bool:
    return query.name is None or _named(name) in query.name


def _place(item: tuple[str, Amounts], by: By) -> tuple[int, str]:
    name, amounts = item
    if by == "name":
        return 0, name
    much = {"tokens": amounts.tokens, "errors": sum(amounts.errors.values())}
    return -(much[by] if by in much else amounts.of(by)), name


def _as_csv(request: Request, query: UsageQuery) -> bool:
    if query.format is not None:
        return query.format == "csv"
    return request.headers.get("accept", "").partition(";")[0].strip().lower() == _CSV


def _file(name: str, rows: AsyncIterator[bytes]) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(rows, media_type=f"{_CSV}; charset=utf-8", headers=headers)
