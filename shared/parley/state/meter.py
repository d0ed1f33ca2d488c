"""What was used, told to Redis: exactly once, never waited for, and later where Redis was away.

What ended within 20 ms is one entry, added up by subject, and pushed to an inbox. So a replica that is killed loses
what ended in its last 20 ms and was not pushed yet, and nothing else. Entries have a number; those whose push was not
answered are pushed again, in order, when Redis is back, and the fold leaves out numbers that it saw. While Redis is
away an entry holds a second. What a process has not yet told is kept in its memory, the latest 16 MB, and is lost if
the process ends before Redis is back.

The inbox is folded into series by a script (`lua/usage_fold.lua`), a few milliseconds' worth at a time: whoever's push
makes it a multiple of `_FOLD_EVERY` long asks for that, and so does whoever reads (`parley.state.readings`).

A subject is a key, a model, an upstream or a credential. Each has a series of its own, and no combination has. Only the
names used most lately have one (`ROOM`); the others are counted together. For that a request counts half after a day,
and a name without a series takes the place of the least used as soon as it was used twice as much; that one's series
is poured into the common one, so that sums stay right.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

import msgspec

from parley.chat.events import Usage
from parley.clock import now
from parley.errors import KINDS
from parley.state import keys, script
from parley.state.line import Line

Subject = Literal["key", "model", "upstream", "credential"]
Room = Mapping[Subject, int]
ROOM: Final[Room] = {"key": 1000, "model": 100, "upstream": 50, "credential": 200}
"""How many names have a series of their own. All of them, busy in every minute of a year, fill some 170 MB of Redis."""

BOUNDS: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Upper bounds of the histograms in seconds; a last bucket holds what took longer."""
_BUCKETS: Final = range(len(BOUNDS) + 1)
ERRORS: Final = (*KINDS, "hung_up")
"""What an error is counted as; the last is no failure: the caller left."""
FIELDS: Final = (
    "requests",
    "took_ms",
    "prompt",
    "completion",
    "waited_ms",
    "cost",
    *(f"took_{i}" for i in _BUCKETS),
    *(f"waited_{i}" for i in _BUCKETS),
    "cached",
    "reasoning",
    "estimated_prompt",
    "estimated_completion",
    "hung_up",
    *KINDS,
)
"""What a point of a series holds, in this order; Redis holds the numbers alone, so that new fields go to the end."""

_AT: Final = {name: place for place, name in enumerate(FIELDS)}
_TOOK_MS, _TOOK, _WAITED_MS, _WAITED = (_AT[name] for name in ("took_ms", "took_0", "waited_ms", "waited_0"))
_MEASURED, _ESTIMATED, _CACHED, _COST = (_AT[name] for name in ("prompt", "estimated_prompt", "cached", "cost"))
_TOGETHER: Final = 0.02
_TOGETHER_AWAY: Final = 1.0
_FOLD_EVERY: Final = 32
_FOLD_AT_MOST: Final = 150
"""Minutes of subjects in one call of the script: each takes some 30 us."""
_MOST_AT_ONCE: Final = 200
_MOST_BYTES: Final = 16_000_000

INBOX: Final = keys.USAGE + "inbox"
Names = tuple[str, ...]
"""Subjects that the same is added to: SUBJECT, NAME, SUBJECT, NAME, ..."""

_encode = msgspec.msgpack.Encoder().encode

log = logging.getLogger(__name__)


def fold(line: Line, room: Room = ROOM) -> asyncio.Future[int]:
    """Have the inbox folded, as much of it as is folded at a time; the future has the number of entries left."""
    words = (word for pair in room.items() for word in pair)
    return line.run(script.FOLD_USAGE, keys.USAGE, _FOLD_AT_MOST, len(FIELDS), *words)


class Meter:
    """Tells what was used; one per process."""

    def __init__(self, line: Line, room: Room = ROOM) -> None:
        self._line = line
        self._room = room
        self._sums: dict[Names, list[int]] = {}
        """What ended since the last entry was written."""
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._number = 0
        self._untold: deque[_Entry] = deque()
        """Entries not known to be in Redis, the oldest first."""
        self._size = 0
        """Bytes of them."""
        self._pushed = 0
        """How many of them are under way, in the current try."""
        self._try = 0
        self._lost = 0
        line.on_up.append(self._push_again)

    @property
    def untold(self) -> int:
        """Requests and attempts that Redis was not told of yet."""
        return sum(entry.requests for entry in self._untold) + sum(row[0] for row in self._sums.values())

    @property
    def lost(self) -> int:
        """Those that were given up because Redis was away for too long."""
        return self._lost

    def add(
        self, names: Names, took: float, waited: float | None, usage: Usage | None, cost: int | None, *, error: str = ""
    ) -> None:
        """One request or attempt ended: seconds in all and to the first token, tokens, millionths, how it failed.

        Never fails, and nothing is waited for.
        """
        row = self._sums.get(names)
        if row is None:
            row = self._sums[names] = [0] * len(FIELDS)
            if self._timer is None:
                self._began = now()
                self._timer = asyncio.get_running_loop().call_later(_TOGETHER, self._write)
        row[0] += 1
        row[_TOOK_MS] += round(took * 1000)
        row[_TOOK + bisect_left(BOUNDS, took)] += 1
        if waited is not None:
            row[_WAITED_MS] += round(waited * 1000)
            row[_WAITED + bisect_left(BOUNDS, waited)] += 1
        if usage is not None:
            at = _MEASURED if usage.measured else _ESTIMATED
            row[at] += usage.prompt
            row[at + 1] += usage.completion
            row[_CACHED] += usage.cached
            row[_CACHED + 1] += usage.reasoning
        if cost:
            row[_COST] += cost
        if error:
            row[_AT[error]] += 1

    def flush(self) -> None:
        """Push what there is, now: the process ends."""
        if self._timer is not None:
            self._timer.cancel()
            self._write(at_once=True)

    def _write(self, *, at_once: bool = False) -> None:
        """Make an entry, unless Redis is away and it may as well grow."""
        away = not self._line.up
        if away and not at_once and now() - self._began < _TOGETHER_AWAY:
            self._timer = asyncio.get_running_loop().call_later(_TOGETHER_AWAY, self._write)
            return
        self._timer = None
        self._number += 1
        parts = [(names, _sparse(row)) for names, row in self._sums.items()]
        data = _encode((self._line.name, self._number, int(self._began), *parts))
        self._untold.append(_Entry(data, sum(row[0] for row in self._sums.values())))
        self._size += len(data)
        self._sums = {}
        while self._size > _MOST_BYTES and not self._pushed:
            self._give_up()
        self._push()

    def _give_up(self) -> None:
        entry = self._untold.popleft()
        self._size -= len(entry.data)
        if not self._lost:
            log.error("Redis was away for so long that not all that was used is remembered any more")
        self._lost += entry.requests

    def _push(self) -> None:
        """Push what is not under way; nearly always that is one entry."""
        while self._line.up and (left := len(self._untold) - self._pushed):
            number = min(left, _MOST_AT_ONCE)
            entries = islice(self._untold, self._pushed, self._pushed + number)
            self._pushed += number
            answer = self._line.call("RPUSH", INBOX, *(entry.data for entry in entries))
            answer.add_done_callback(partial(self._taken, self._try, number))

    def _push_again(self) -> None:
        self._try += 1
        self._pushed = 0
        self._push()

    def _taken(self, of_try: int, number: int, answer: asyncio.Future[Any]) -> None:
        failed = answer.cancelled() or answer.exception() is not None
        if of_try != self._try:
            return  # it was, or will be, pushed again
        if failed:
            self._try += 1  # whatever becomes of those behind it: order is kept, so they are pushed again too
            self._pushed = 0
            return
        for _ in range(number):
            self._size -= len(self._untold.popleft().data)
        self._pushed -= number
        if answer.result() % _FOLD_EVERY < number:
            self._fold()

    def _fold(self) -> None:
        fold(self._line, self._room).add_done_callback(self._folded)

    def _folded(self, answer: asyncio.Future[int]) -> None:
        if not answer.cancelled() and answer.exception() is None and answer.result() >= _FOLD_EVERY:
            self._fold()


class _Entry(NamedTuple):
    data: bytes
    requests: int


def _sparse(row: list[int]) -> list[int]:
    """FIELD, AMOUNT, FIELD, AMOUNT, ..., fields counted from 1."""
    return [word for field, amount in enumerate(row, 1) if amount for word in (field, amount)]
