"""`parley usage`: what was used, by key, model, upstream or credential."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any, Final

from command.desk import Desk
from command.outcomes import Misused
from command.reading import past
from command.telling import Cell, Toned, moment

HELP: Final = "what was used, by key, model, upstream or credential"
MORE: Final = (
    "Sums of the last day, unless you say otherwise. Minutes reach back a day, hours a month, days a year. A key's or "
    "model's request counts once, an upstream's or credential's with each attempt."
)


def arguments(parser: ArgumentParser) -> None:
    """What the command understands."""
    parser.add_argument(
        "subject", nargs="?", default="key", choices=("key", "model", "upstream", "credential"), help="by what (key)"
    )
    parser.add_argument("--from", dest="start", type=past, metavar="TIME", help="2026-11-01, or 7d ago (a day before)")
    parser.add_argument("--to", dest="end", type=past, metavar="TIME", help="the same (now)")
    parser.add_argument("--grain", choices=("minute", "hour", "day"), help="else as fits the time asked for")
    parser.add_argument("--series", action="store_true", help="by time, not in sums")
    parser.add_argument("--name", action="append", help="only of this one; may be repeated")
    parser.add_argument(
        "--by", choices=("requests", "tokens", "cost", "errors", "name"), help="sums: who comes first (requests)"
    )
    parser.add_argument("--csv", action="store_true", help="everything that is known, as CSV")


def usage(wishes: Namespace, desk: Desk) -> None:
    """What was used."""
    if wishes.csv and wishes.json:
        raise Misused("--csv and --json are two answers; choose one.")
    if wishes.series and wishes.by:
        raise Misused("--by orders sums; series are in the order of time.")
    path = ("usage", wishes.subject, *(("series",) if wishes.series else ()))
    query: dict[str, Any] = {"from_": wishes.start, "to": wishes.end, "grain": wishes.grain, "name": wishes.name}
    if not wishes.series:
        query["by"] = wishes.by
    if wishes.csv:
        for piece in desk.front.lines(*path, **query, format="csv"):
            desk.telling.write(piece)
        return
    found = list(desk.front.every(*path, **query))
    if desk.telling.as_json:
        desk.telling.json(found)
    elif wishes.series:
        _table(
            desk,
            ("AT", "NAME"),
            [((moment(point["at"]), one["name"]), point) for one in found for point in one["points"]],
        )
    else:
        _table(desk, ("NAME",), [((one["name"],), one) for one in found])


def _table(desk: Desk, first: tuple[str, ...], rows: list[tuple[tuple[str, ...], Mapping[str, Any]]]) -> None:
    priced = any(used["cost"] for _, used in rows)
    currency = next((used["currency"] for _, used in rows), "")
    desk.telling.table(
        (
            *first, "REQUESTS>", "FAILED>", "TOKENS>", "PROMPT>", "ANSWER>", *([f"{currency}>"] if priced else []),
            "FIRST TOKEN>", "HALF WITHIN>", "90 % WITHIN>",
        ),
        [(*names, *_cells(used, priced=priced)) for names, used in rows],
        nothing="Nothing was used in that time.",
    )  # fmt: skip


def _cells(used: Mapping[str, Any], *, priced: bool) -> list[Cell]:
    tokens = used["tokens"]
    cells: list[Cell] = [
        used["requests"],
        Toned(f"{used['failed']:,}", "bad") if used["failed"] else 0,
        tokens["total"],
        tokens["prompt"] + tokens["estimated_prompt"],
        tokens["completion"] + tokens["estimated_completion"],
    ]
    if priced:
        cells.append(f"{used['cost']:,.4f}")
    return [*cells, *map(_took, (used["first_token"]["p50"], used["duration"]["p50"], used["duration"]["p90"]))]


def _took(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f} s"
