"""What was used, told to Redis: exactly once, never waited for, and later where Redis was away.

Each finished request is one entry, pushed to an inbox in the turn of the event loop in which it ended. So a replica
that is killed loses what ended in that very turn and nothing else. Entries have a number; those whose push was not
answered are pushed again, in order, when Redis is back, and the fold leaves out numbers that it saw. What a process has
not yet told is kept in its memory, the latest `_MOST_UNTOLD` entries, and is lost if it ends before Redis is back.

The inbox is folded into series by a script (`lua/usage_fold.lua`): whoever's push makes it a multiple of `_FOLD_EVERY`
long asks for that, and so does whoever reads (`parley.state.readings`). To fold costs a multiple of a push, and nearly
as much for one entry as for many.

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
from typing import Any, Final, Literal

import msgspec

from parley.chat.events import Usage
from parley.clock import now
from parley.errors import KINDS
from parley.state import keys, script
from parley.state.line import Line
from parley.state.wire import Argument

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

_AT: Final = {name: place for place, name in enumerate(FIELDS, 1)}
_TOOK, _WAITED = _AT["took_0"], _AT["waited_0"]
_FOLD_EVERY: Final = 64
_FOLD_AT_MOST: Final = 128
_MOST_AT_ONCE: Final = 200
_MOST_UNTOLD: Final = 50_000

INBOX: Final = keys.USAGE + "inbox"
Amounts = list[int]
"""FIELD, AMOUNT, FIELD, AMOUNT, ...: what is to be added; fields are counted from 1."""
Part = tuple[tuple[str, ...], Amounts]
"""Amounts, and the subjects that they are added to: SUBJECT, NAME, SUBJECT, NAME, ..."""

_encode = msgspec.msgpack.Encoder().encode

log = logging.getLogger(__name__)


def amounts(took: float, waited: float | None, usage: Usage | None, cost: int | None, error: str = "") -> Amounts:
    """What one request or attempt adds: seconds in all and to the first token, tokens, millionths, how it failed."""
    added = [1, 1, _AT["took_ms"], round(took * 1000), _TOOK + bisect_left(BOUNDS, took), 1]
    if waited is not None:
        added += (_AT["waited_ms"], round(waited * 1000), _WAITED + bisect_left(BOUNDS, waited), 1)
    if usage is not None:
        if usage.measured:
            added += (_AT["prompt"], usage.prompt, _AT["completion"], usage.completion)
        else:
            added += (_AT["estimated_prompt"], usage.prompt, _AT["estimated_completion"], usage.completion)
        if usage.cached:
            added += (_AT["cached"], usage.cached)
        if usage.reasoning:
            added += (_AT["reasoning"], usage.reasoning)
    if cost:
        added += (_AT["cost"], cost)
    if error:
        added += (_AT[error], 1)
    return added


def fold(line: Line, room: Room = ROOM) -> asyncio.Future[int]:
    """Have the inbox folded, as much of it as is folded at a time; the future has the number of entries left."""
    return line.run(script.FOLD_USAGE, keys.USAGE, *_told(room))


def _told(room: Room) -> tuple[Argument, ...]:
    return (_FOLD_AT_MOST, len(FIELDS), *(word for pair in room.items() for word in pair))


class Meter:
    """Tells what was used; one per process."""

    def __init__(self, line: Line, room: Room = ROOM) -> None:
        self._line = line
        self._fold = _told(room)
        self._number = 0
        self._untold: deque[bytes] = deque()
        """Entries not known to be in Redis, the oldest first."""
        self._pushed = 0
        """How many of them are under way, in the current try."""
        self._try = 0
        self._lost = 0
        line.on_up.append(self._push_again)

    @property
    def untold(self) -> int:
        """Entries that Redis was not told of yet."""
        return len(self._untold)

    @property
    def lost(self) -> int:
        """Entries that were given up because there were too many of them."""
        return self._lost

    def tell(self, *parts: Part) -> None:
        """A request is over; this is what it used. Never fails, and nothing is waited for."""
        self._number += 1
        self._untold.append(_encode((self._line.name, self._number, int(now()), *parts)))
        if len(self._untold) > _MOST_UNTOLD and not self._pushed:
            self._untold.popleft()
            if not self._lost:
                log.error("Redis was away for so long that not all that was used is remembered any more")
            self._lost += 1
        self._push()

    def _push(self) -> None:
        """Push what is not under way; nearly always that is one entry."""
        while self._line.up and (left := len(self._untold) - self._pushed):
            number = min(left, _MOST_AT_ONCE)
            entries = islice(self._untold, self._pushed, self._pushed + number)
            self._pushed += number
            self._line.call("RPUSH", INBOX, *entries).add_done_callback(partial(self._taken, self._try, number))

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
            self._untold.popleft()
        self._pushed -= number
        if answer.result() % _FOLD_EVERY < number:
            self._line.send(script.FOLD_USAGE, keys.USAGE, *self._fold)
