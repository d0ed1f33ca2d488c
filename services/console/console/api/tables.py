"""Usage as CSV (RFC 4180, UTF-8), row by row as it is read.

A name may be a caller's invention. One that a spreadsheet would take for a formula has a `'` in front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable
from typing import Final

from console.api.used import quantiles
from parley.state.meter import ERRORS
from parley.state.readings import Amounts, Point

_TOKENS: Final = ("prompt", "completion", "cached", "reasoning", "estimated_prompt", "estimated_completion")
_TIMES: Final = ("mean", "p50", "p90", "p99")
_COLUMNS: Final = (
    "requests",
    "failed",
    "tokens",
    *_TOKENS,
    "cost",
    *(f"duration_{name}" for name in _TIMES),
    *(f"first_token_{name}" for name in _TIMES),
    *(f"error_{kind}" for kind in ERRORS),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Cell = str | int | float | None


async def sums(rows: Iterable[tuple[str, Amounts]]) -> AsyncIterator[bytes]:
    """A row per name."""
    yield _row("name", *_COLUMNS)
    for name, amounts in rows:
        yield _row(_text(name), *_cells(amounts))


async def series(rows: AsyncIterator[tuple[str, list[Point]]]) -> AsyncIterator[bytes]:
    """A row per name and point."""
    yield _row("at", "name", *_COLUMNS)
    async for name, points in rows:
        yield b"".join(_row(point.start, _text(name), *_cells(point.amounts)) for point in points)


def _cells(amounts: Amounts) -> Iterable[Cell]:
    errors = amounts.errors
    yield from (amounts.requests, sum(errors.values()), amounts.tokens)
    yield from (amounts.of(name) for name in _TOKENS)
    yield amounts.cost / 1e6
    for measured in (amounts.took, amounts.waited):
        yield round(measured.seconds / measured.count, 3) if measured.count else None
        yield from quantiles(measured).values()
    yield from (errors.get(kind, 0) for kind in ERRORS)


def _text(name: str) -> str:
    return f"'{name}" if name.startswith(_FORMULA) else name


def _row(*cells: Cell) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
