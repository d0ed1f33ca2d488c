"""Scopes: whatever has limits (a key, a model), how full it is, and how much room that leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from parley.catalog import Budget, Limits, Period, Unit
from parley.state.wire import Argument

Scope = tuple[str, Limits]
"""A name, the same in every process, and the limits that go with it now."""

REQUESTS: Final = 0
TOKENS: Final = 1


class Amounts(NamedTuple):
    """What a request takes, at worst or in truth; or by how much the truth differs."""

    tokens: int
    cost: int
    """Millionths of the currency."""

    def of(self, unit: Unit) -> int:
        """What counts for a budget of this unit."""
        return self.cost if unit == "money" else self.tokens


NOTHING: Final = Amounts(0, 0)


class Room(NamedTuple):
    """What is left of a limit, as the `x-ratelimit-*` headers tell it."""

    limit: int
    remaining: int
    reset: float
    """Seconds until all of it is back, if nothing more is asked."""


class Spending(NamedTuple):
    """What was spent of a budget in one period, which is told apart from others by its number."""

    number: int
    amount: int


@dataclass(frozen=True, slots=True)
class Fullness:
    """How full a scope is."""

    minute: tuple[int, int]
    """Requests and tokens of the last minute; tokens as reserved where an answer is still under way."""
    day: tuple[int, int]
    """The same of the last 24 hours."""
    running: int
    """Answers under way."""
    spent: Mapping[tuple[Unit, Period], Spending]


@lru_cache(4096)
def effective(limits: Limits) -> Limits | None:
    """The limits with one budget per unit and period, the smallest; None when nothing is limited."""
    budgets: dict[tuple[Unit, Period], Budget] = {}
    for budget in sorted(limits.budgets, key=lambda budget: -budget.amount):
        budgets[budget.unit, budget.period] = budget
    found = replace(limits, budgets=tuple(budgets.values()))
    return None if found == Limits() else found


@lru_cache(4096)
def facts(limits: Limits) -> tuple[Argument, ...]:
    """Limits as the scripts read them (`lua/_scopes.lua`)."""
    found: list[Argument] = [
        limits.requests_per_minute,
        limits.tokens_per_minute,
        limits.requests_per_day,
        limits.tokens_per_day,
        limits.concurrency,
        len(limits.budgets),
    ]
    for budget in limits.budgets:
        found += (budget.unit, budget.period, budget.amount)
    return tuple(found)


def room(scopes: Iterable[Scope], rows: Iterable[Sequence[int]], what: int) -> Room | None:
    """The room of the tightest limit of requests (or of tokens), by the rows that `admit.lua` replies."""
    tightest: Room | None = None
    for (_, limits), row in zip(scopes, rows, strict=True):
        minute, day = (
            (limits.requests_per_minute, limits.requests_per_day)
            if what == REQUESTS
            else (limits.tokens_per_minute, limits.tokens_per_day)
        )
        for limit, used, empty in ((minute, row[what], row[2]), (day, row[3 + what], row[5])):
            if limit and (tightest is None or limit - used < tightest.remaining):
                tightest = Room(limit, max(limit - used, 0), empty / 1000)
    return tightest


def read_fullness(row: Sequence[Any]) -> tuple[str, Fullness]:
    """A scope's name and fullness, from a row of what `fullness.lua` replies."""
    spent: dict[tuple[Unit, Period], Spending] = {}
    for at in range(6, len(row), 3):
        unit, _, period = row[at].decode().partition(":")
        spent[cast(Unit, unit), cast(Period, period)] = Spending(row[at + 1], row[at + 2])
    return row[0].decode(), Fullness((row[1], row[2]), (row[3], row[4]), row[5], spent)
