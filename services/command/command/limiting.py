"""Limits as words of a command, and as they are shown."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping
from typing import Any, Final, get_args

from parley.catalog import Period

_COUNTS: Final = (
    ("rpm", "requests_per_minute", "requests in any 60 seconds"),
    ("rpd", "requests_per_day", "requests in any 24 hours"),
    ("tpm", "tokens_per_minute", "tokens in any 60 seconds"),
    ("tpd", "tokens_per_day", "tokens in any 24 hours"),
    ("concurrency", "concurrency", "answers at a time"),
)
_BUDGET: Final = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>tokens|money)?/(?P<period>[a-z]+)")


def limit_arguments(parser: ArgumentParser) -> None:
    """What can be limited."""
    group = parser.add_argument_group("limits (docs/limits.md); 0: none")
    for short, name, meaning in _COUNTS:
        words = (f"--{short}",) if short == name else (f"--{short}", f"--{name.replace('_', '-')}")
        group.add_argument(*words, dest=name, type=_count, metavar="N", help=meaning)
    group.add_argument(
        "--budget",
        action="append",
        type=_budget,
        metavar="AMOUNT/PERIOD",
        help="money, or tokens, of a period (minute, hour, day, week, month, total): 20/month, 500000tokens/day; may "
        "be repeated; none: no budget",
    )


def limits_of(wishes: Namespace) -> dict[str, Any]:
    """Those that were said."""
    said = {name: getattr(wishes, name) for _, name, _ in _COUNTS if getattr(wishes, name) is not None}
    if wishes.budget:
        said["budgets"] = [budget for budget in wishes.budget if budget is not None]
    return said


def limits_said(entry: Mapping[str, Any] | None) -> str:
    """Limits in a few words: `60 rpm, 20/month`."""
    entry = entry or {}
    said = [f"{entry[name]:,} {short}" for short, name, _ in _COUNTS if entry.get(name)]
    for budget in entry.get("budgets", ()):
        unit = " tokens" if budget["unit"] == "tokens" else ""
        said.append(f"{budget['amount']:,g}{unit}/{budget['period']}")
    return ", ".join(said)


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ArgumentTypeError("a limit is not negative")
    return number


def _budget(text: str) -> dict[str, Any] | None:
    if text == "none":
        return None
    found = _BUDGET.fullmatch(text)
    if found is None or found["period"] not in get_args(Period):
        raise ArgumentTypeError(f"{text!r} is no budget such as 20/month or 500000tokens/day")
    return {"unit": found["unit"] or "money", "amount": float(found["amount"]), "period": found["period"]}
