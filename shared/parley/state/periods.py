"""Periods: the calendar of budgets, in UTC, as `lua/_period.lua` has it. For when Redis cannot be asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from parley.catalog import Period

_SECONDS: Final = {"minute": 60, "hour": 3600, "day": 86_400, "week": 7 * 86_400}
_THURSDAY: Final = 3 * 86_400  # what the first day of 1970 was; a week begins on Monday


def number(period: Period, moment: float) -> int:
    """The number of the period that a moment (seconds since the epoch) is in."""
    if period == "total":
        return 0
    if period == "month":
        date = datetime.fromtimestamp(moment, UTC)
        return date.year * 12 + date.month - 1
    return int(moment + (_THURSDAY if period == "week" else 0)) // _SECONDS[period]


def end(period: Period, moment: float) -> float | None:
    """When the period that a moment is in ends; None for one that never does."""
    if period == "total":
        return None
    following = number(period, moment) + 1
    if period == "month":
        return datetime(following // 12, following % 12 + 1, 1, tzinfo=UTC).timestamp()
    return float(following * _SECONDS[period] - (_THURSDAY if period == "week" else 0))
