"""What was used, read: series, sums, and who used most.

A point holds a whole minute, hour or day (UTC); the newest one still grows. Minutes reach back a day, hours 31 days,
days a year. Reading folds what was told until then, so that nothing is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from parley.state import keys
from parley.state.line import Line
from parley.state.meter import BOUNDS, ERRORS, FIELDS, ROOM, Room, Subject, fold

Resolution = Literal["minute", "hour", "day"]
SECONDS: Final[dict[Resolution, int]] = {"minute": 60, "hour": 3600, "day": 86400}
REST: Final = ""
"""The name of all those that have no series of their own; people read it as `other`."""

_AT_ONCE: Final = 50
"""Series asked for together: Redis serves others in between."""
_MOST_FOLDS: Final = 1000
_WIDTH: Final = len(FIELDS)
_PLACE: Final = {name: place for place, name in enumerate(FIELDS)}
_TOOK, _WAITED = (slice(_PLACE[name], _PLACE[name] + len(BOUNDS) + 1) for name in ("took_0", "waited_0"))
_decode = msgspec.msgpack.Decoder(list[int]).decode


@dataclass(frozen=True, slots=True)
class Histogram:
    """How long it took: answers in each bucket (`BOUNDS`, and one for the rest), and seconds in all."""

    buckets: tuple[int, ...]
    seconds: float

    @property
    def count(self) -> int:
        """Answers in all."""
        return sum(self.buckets)

    def quantile(self, share: float) -> float | None:
        """Seconds that `share` of the answers stayed below, as far as buckets tell: linear inside of each."""
        wanted = share * self.count
        below, lower = 0, 0.0
        for bucket, upper in zip(self.buckets, (*BOUNDS, BOUNDS[-1]), strict=True):
            if bucket and below + bucket >= wanted:
                return lower + (upper - lower) * (wanted - below) / bucket
            below, lower = below + bucket, upper
        return None


class Amounts:
    """What was used: requests, tokens, cost, times."""

    __slots__ = ("_amounts",)

    def __init__(self, amounts: Iterable[int] = ()) -> None:
        given = list(amounts)
        self._amounts = given + [0] * (_WIDTH - len(given))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Amounts) and self._amounts == other._amounts

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"Amounts({ {name: amount for name, amount in zip(FIELDS, self._amounts, strict=True) if amount} })"

    def add(self, other: Amounts) -> None:
        """Add what somebody else used, or the same at another time."""
        self._amounts = [mine + theirs for mine, theirs in zip(self._amounts, other._amounts, strict=True)]

    def of(self, field: str) -> int:
        """One of `FIELDS`."""
        return self._amounts[_PLACE[field]]

    @property
    def requests(self) -> int:
        """Requests that ended; of upstreams and credentials: attempts."""
        return self.of("requests")

    @property
    def errors(self) -> dict[str, int]:
        """How many of them failed, by kind; `hung_up` is a caller that left."""
        return {kind: count for kind in ERRORS if (count := self.of(kind))}

    @property
    def tokens(self) -> int:
        """Of prompt and completion, measured and estimated."""
        return sum(self.of(name) for name in ("prompt", "completion", "estimated_prompt", "estimated_completion"))

    @property
    def cost(self) -> int:
        """Millionths of the price table's currency; of models without a price nothing is in it."""
        return self.of("cost")

    @property
    def took(self) -> Histogram:
        """How long answers took, from the request to the end."""
        return Histogram(tuple(self._amounts[_TOOK]), self.of("took_ms") / 1000)

    @property
    def waited(self) -> Histogram:
        """How long it took to the first token; of those that had one."""
        return Histogram(tuple(self._amounts[_WAITED]), self.of("waited_ms") / 1000)

    def told(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "requests": self.requests,
            "errors": self.errors,
            "tokens": {
                "prompt": self.of("prompt"),
                "completion": self.of("completion"),
                "cached": self.of("cached"),
                "reasoning": self.of("reasoning"),
                "estimated_prompt": self.of("estimated_prompt"),
                "estimated_completion": self.of("estimated_completion"),
            },
            "cost": self.cost,
            "duration": {"seconds": self.took.seconds, "buckets": list(self.took.buckets)},
            "first_token": {"seconds": self.waited.seconds, "buckets": list(self.waited.buckets)},
        }


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, from `start` to before `end` (seconds since the epoch), and how finely it is looked at."""

    resolution: Resolution
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Point:
    """What was used in one minute, hour or day."""

    start: int
    """Seconds since the epoch."""
    amounts: Amounts


class Readings:
    """Reads what every process told. Raises StateUnavailable."""

    def __init__(self, line: Line, room: Room = ROOM) -> None:
        self._line = line
        self._room = room

    async def names(self, subject: Subject) -> list[str]:
        """Names with a series of their own, the most used first, and REST if there are others."""
        await self._fold()
        names = [name.decode() for name in await self._line.call("ZREVRANGE", f"{keys.USAGE}placed:{subject}", 0, -1)]
        others = await self._line.call("EXISTS", *(_series(resolution, subject, REST) for resolution in SECONDS))
        return [*names, REST] if others else names

    async def series(self, subject: Subject, name: str, span: Span) -> list[Point]:
        """Points that began within `span`, the oldest first; where nothing was used there is none."""
        await self._fold()
        return await self._points(subject, name, span, await self._now())

    async def sums(self, subject: Subject, span: Span) -> dict[str, Amounts]:
        """What every name used within `span`; who used nothing is left out."""
        found: dict[str, Amounts] = {}
        names, moment = await self.names(subject), await self._now()
        for some in (names[at : at + _AT_ONCE] for at in range(0, len(names), _AT_ONCE)):
            read = [self._points(subject, name, span, moment) for name in some]
            for name, points in zip(some, await asyncio.gather(*read), strict=True):
                if points:
                    found[name] = total(points)
        return found

    async def top(
        self, subject: Subject, span: Span, *, by: str = "requests", most: int = 10
    ) -> list[tuple[str, Amounts]]:
        """Who used most within `span`, by one of `FIELDS` or `tokens`; REST is not somebody, and left out."""
        used = await self.sums(subject, span)
        used.pop(REST, None)
        return ranked(used, by)[:most]

    async def _points(self, subject: Subject, name: str, span: Span, moment: float) -> list[Point]:
        seconds = SECONDS[span.resolution]
        newest = int((moment - span.start) // seconds) + 2  # there are no more points than that since the start
        if newest <= 0:
            return []
        raw = await self._line.call("LRANGE", _series(span.resolution, subject, name), -newest, -1)
        points = (_point(packed, seconds) for packed in raw)
        return [point for point in points if span.start <= point.start < span.end]

    async def _now(self) -> float:
        return float((await self._line.call("TIME"))[0])

    async def _fold(self) -> None:
        for _ in range(_MOST_FOLDS):  # under load there is always a little more: it need not become empty
            if await fold(self._line, self._room) == 0:
                return


def total(points: Iterable[Point]) -> Amounts:
    """The sum of some points."""
    whole = Amounts()
    for point in points:
        whole.add(point.amounts)
    return whole


def ranked(used: Mapping[str, Amounts], by: str) -> list[tuple[str, Amounts]]:
    """The greatest first; those who used the same in the order of their names."""

    def much(amounts: Amounts) -> int:
        return amounts.tokens if by == "tokens" else amounts.of(by)

    return sorted(used.items(), key=lambda item: (-much(item[1]), item[0]))


def _series(resolution: Resolution, subject: Subject, name: str) -> str:
    return f"{keys.USAGE}{resolution}:{subject}:{name}"


def _point(packed: bytes, seconds: int) -> Point:
    slot, *amounts = _decode(packed)
    spread: list[int] = []
    for amount in amounts:
        if amount < 0:
            spread += [0] * -amount
        else:
            spread.append(amount)
    return Point(slot * seconds, Amounts(spread))
