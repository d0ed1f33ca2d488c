"""Admitting while Redis is slow or gone: each process keeps to its share of what was left, so that no limit is passed.

* What Redis said last counts: with every admission and refusal, and once a second of every scope that any process used.
  A scope that was not spoken of for a day is idle. What a process admitted since then is taken off its own share.
* In the window (minute, day, period of a budget) in which Redis last spoke, a process has its share of what was left
  then; later its share of the whole limit. What does not divide goes to the first processes in order of their names.
* Places of answers under way never come back from other processes in this time: one's own, and a share of the free.
* Where it cannot be known what is left (a month's budget of a key that nobody used for a day), nothing is admitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from parley.catalog import Budget, Limits, Period, Unit
from parley.clock import monotonic, now
from parley.errors import OverLimit, StateUnavailable
from parley.state import periods
from parley.state.overrun import overrun
from parley.state.scopes import REQUESTS, TOKENS, Amounts, Room, Scope, read_fullness, room
from parley.state.tally import Entry, Tally

_DAY: Final = 86_400.0
_MOST: Final = 10_000
"""Scopes kept in mind. Of one that had to be forgotten it is not known that it is idle."""
_SWEEP: Final = 60.0
_COME_BACK: Final = 1.0
_LONG: Final = ("week", "month", "total")
"""Periods in which something may have been spent although nobody spoke of the scope for a day."""


@dataclass(slots=True)
class _Purse:
    """One budget in one period: what Redis said, and what this process changed since."""

    number: int
    spent: int
    since: int = 0


@dataclass(slots=True)
class _Known:
    """What is known of a scope."""

    minute: Tally
    day: Tally
    seen: float
    told: bool = False
    """Whether Redis ever spoke of it."""
    held: int = 0
    running: int = 0
    running_then: int = 0
    """`running` when Redis said `held`."""
    purses: dict[tuple[Unit, Period], _Purse] = field(default_factory=dict)


@dataclass(slots=True)
class Part:
    """What one request took of one scope."""

    known: _Known
    limits: Limits
    minute: Entry | None
    day: Entry | None
    numbers: tuple[int, ...]
    """Of the budgets' periods."""


class Shares:
    """This process's shares."""

    def __init__(self, minute: float) -> None:
        self._minute = minute
        self._known: dict[str, _Known] = {}
        self._living = 0
        self._place = 0
        self._whole_since: float | None = None
        """When all scopes that changed were known; None: they are not."""
        self._overflow = -_DAY
        """When a scope had to be forgotten that is not idle."""
        self._swept = 0.0
        self._ahead = 0.0
        """Of our clock, by Redis' one."""

    def fleet(self, living: int, place: int) -> None:
        """So many processes admit, and this one has that place among them."""
        self._living, self._place = living, place

    # --- what Redis said ----------------------------------------------------------------------------------------------

    def saw(self, at: int, rows: Sequence[Sequence[Any]], *, whole: bool) -> None:
        """Redis told (at its moment `at`) how full these scopes are; with `whole` nothing more has changed."""
        moment = monotonic()
        self._ahead = at / 1000 - now()
        for row in rows:
            name, full = read_fullness(row)
            known = self._told(name, moment)
            known.minute.saw(*full.minute, moment)
            known.day.saw(*full.day, moment)
            known.held, known.running_then = full.running, known.running
            known.purses = {which: _Purse(*spending) for which, spending in full.spent.items()}
        if whole:
            self._sweep(moment)
            self._whole_since = moment if moment - self._overflow > _DAY else None

    def admitted(self, scopes: Sequence[Scope], amounts: Amounts, rows: Sequence[Sequence[int]]) -> list[Part]:
        """Redis admitted a request of ours, and replied how full its scopes are now."""
        moment = monotonic()
        parts = []
        for (name, limits), row in zip(scopes, rows, strict=True):
            known = self._told(name, moment)
            parts.append(self._enter(known, limits, amounts, moment, tuple(row[7::2])))
            self._full(known, limits, row, moment)
        return parts

    def refused(self, scopes: Sequence[Scope], rows: Sequence[Sequence[int]]) -> None:
        """Redis refused a request of ours, and replied how full its scopes are: others may have filled them."""
        moment = monotonic()
        for (name, limits), row in zip(scopes, rows, strict=True):
            self._full(self._told(name, moment), limits, row, moment)

    # --- our own part -------------------------------------------------------------------------------------------------

    def admit(self, scopes: Sequence[Scope], amounts: Amounts) -> tuple[list[Part], Room | None, Room | None]:
        """Admit a request within our shares of all its scopes. Raises OverLimit or StateUnavailable."""
        moment, clock = monotonic(), now() + self._ahead
        if not self._living:
            raise StateUnavailable("Redis does not answer, and our share is not known.", retry_after=_COME_BACK)
        found = [self._remembered(name, limits) for name, limits in scopes]
        for scope, known in zip(scopes, found, strict=True):
            if refusal := self._refusal(scope, known, amounts, moment, clock):
                refusal.requests, refusal.tokens = self._rooms(scopes, found, moment)
                raise refusal
        parts = []
        for (name, limits), known in zip(scopes, found, strict=True):
            self._known[name] = known
            numbers = tuple(periods.number(budget.period, clock) for budget in limits.budgets)
            parts.append(self._enter(known, limits, amounts, moment, numbers))
        return parts, *self._rooms(scopes, found, moment)

    def leave(self, parts: Sequence[Part], change: Amounts) -> None:
        """A request is over; it took so much more (or less) than was reserved for it."""
        moment = monotonic()
        for part in parts:
            known = part.known
            if part.minute:
                known.minute.change(part.minute, change.tokens, moment)
            if part.day:
                known.day.change(part.day, change.tokens, moment)
            if part.limits.concurrency:
                known.running -= 1
            for budget, number in zip(part.limits.budgets, part.numbers, strict=True):
                purse = known.purses.get((budget.unit, budget.period))
                if purse is not None and purse.number == number:
                    purse.since += change.of(budget.unit)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _full(self, known: _Known, limits: Limits, row: Sequence[int], moment: float) -> None:
        """So full is a scope now, all that we admitted included."""
        known.minute.saw(row[0], row[1], moment)
        known.day.saw(row[3], row[4], moment)
        known.held, known.running_then = row[6], known.running
        for budget, number, spent in zip(limits.budgets, row[7::2], row[8::2], strict=True):
            known.purses[budget.unit, budget.period] = _Purse(number, spent)

    def _told(self, name: str, moment: float) -> _Known:
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._new(moment)
        known.seen, known.told = moment, True
        return known

    def _new(self, seen: float) -> _Known:
        return _Known(Tally(self._minute, seen), Tally(_DAY, seen), seen)

    def _remembered(self, name: str, limits: Limits) -> _Known:
        """What is known of a scope. One that Redis did not speak of was not used in the last day.

        Raises StateUnavailable where that is not enough to know.
        """
        known = self._known.get(name)
        if known is not None and known.told:
            return known
        if self._whole_since is None or any(budget.period in _LONG for budget in limits.budgets):
            raise StateUnavailable("Redis does not answer, and it is not known what is left.", retry_after=_COME_BACK)
        return known or self._new(self._whole_since)

    def _enter(self, known: _Known, limits: Limits, amounts: Amounts, moment: float, numbers: tuple[int, ...]) -> Part:
        minute = limits.requests_per_minute or limits.tokens_per_minute
        day = limits.requests_per_day or limits.tokens_per_day
        if limits.concurrency:
            known.running += 1
        for budget, number in zip(limits.budgets, numbers, strict=True):
            self._purse(known, budget, number).since += amounts.of(budget.unit)
        return Part(
            known,
            limits,
            known.minute.add(moment, amounts.tokens) if minute else None,
            known.day.add(moment, amounts.tokens) if day else None,
            numbers,
        )

    def _purse(self, known: _Known, budget: Budget, number: int) -> _Purse:
        purse = known.purses.get((budget.unit, budget.period))
        if purse is None or purse.number < number:
            purse = known.purses[budget.unit, budget.period] = _Purse(number, 0)
        return purse

    def _refusal(self, scope: Scope, known: _Known, amounts: Amounts, moment: float, clock: float) -> OverLimit | None:
        name, limits = scope

        def refused(what: str | Budget, limit: int, wanted: int) -> OverLimit:
            return overrun(name, what, limit, wanted=wanted, retry_after=_COME_BACK)

        for tally, requests, tokens, per in (
            (known.minute, limits.requests_per_minute, limits.tokens_per_minute, "minute"),
            (known.day, limits.requests_per_day, limits.tokens_per_day, "day"),
        ):
            if requests and tally.left(requests, REQUESTS, self._share, moment) < 1:
                return refused(f"requests_per_{per}", requests, 1)
            if tokens and tally.left(tokens, TOKENS, self._share, moment) < amounts.tokens:
                return refused(f"tokens_per_{per}", tokens, amounts.tokens)
        if limits.concurrency:
            free = self._share(max(limits.concurrency - known.held, 0))
            if known.running >= known.running_then + free:
                return refused("concurrency", limits.concurrency, 1)
        for budget in limits.budgets:
            purse = self._purse(known, budget, periods.number(budget.period, clock))
            wanted = amounts.of(budget.unit)
            if purse.since + wanted > self._share(max(budget.amount - purse.spent, 0)):
                return refused(budget, budget.amount, wanted)
        return None

    def _rooms(
        self, scopes: Sequence[Scope], found: Sequence[_Known], moment: float
    ) -> tuple[Room | None, Room | None]:
        rows = [self._row(limits, known, moment) for (_, limits), known in zip(scopes, found, strict=True)]
        return room(scopes, rows, REQUESTS), room(scopes, rows, TOKENS)

    def _row(self, limits: Limits, known: _Known, moment: float) -> list[int]:
        """As `admit.lua` would reply: what is not left of our share counts as used."""
        row: list[int] = []
        for tally, amounts in (
            (known.minute, (limits.requests_per_minute, limits.tokens_per_minute)),
            (known.day, (limits.requests_per_day, limits.tokens_per_day)),
        ):
            row += [limit - tally.left(limit, what, self._share, moment) for what, limit in enumerate(amounts)]
            row.append(round(tally.length * 1000))
        return row

    def _share(self, amount: int) -> int:
        return amount // self._living + (self._place < amount % self._living)

    def _sweep(self, moment: float) -> None:
        """Forget what is idle, and keep what is kept within bounds."""
        if moment < self._swept + _SWEEP and len(self._known) <= _MOST:
            return
        self._swept = moment
        oldest_first = sorted(self._known, key=lambda name: self._known[name].seen)
        for nth, name in enumerate(oldest_first):
            known = self._known[name]
            idle = moment - known.seen > _DAY
            if not idle and len(oldest_first) - nth <= _MOST:
                break
            if not known.running:
                del self._known[name]
                if not idle:
                    self._overflow = moment
