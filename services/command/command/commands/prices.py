"""`parley prices`: what tokens cost."""

from __future__ import annotations

from argparse import Namespace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from command.desk import Desk
from command.menu import Menu, confirmed
from command.reading import facts

HELP: Final = "what tokens cost: the table that budgets of money and usage go by"
MORE: Final = "The first line that fits a model counts, so the table is put as a whole."


def arguments(menu: Menu) -> None:
    """What the group understands."""
    menu.add("show", show_prices, "the table in force; prices are per million tokens")
    put = menu.add("put", put_prices, "another table, in the place of the one that is in force")
    put.add_argument(
        "file", type=Path, metavar="FILE", help="`prices` as in parley.yaml (YAML or JSON; -: standard input)"
    )
    remove = menu.add("remove", remove_prices, "the table of parley.yaml again")
    confirmed(remove)


def show_prices(_wishes: Namespace, desk: Desk) -> None:
    """The table."""
    _told(desk, desk.front.get("prices"))


def put_prices(wishes: Namespace, desk: Desk) -> None:
    """Another table."""
    found = facts(wishes.file)
    _told(desk, desk.front.send("PUT", "prices", body=found.get("prices", found)))


def remove_prices(_wishes: Namespace, desk: Desk) -> None:
    """The file's table again."""
    desk.sure("Go back to the prices of parley.yaml?")
    desk.front.send("DELETE", "prices")
    _told(desk, desk.front.get("prices"))


def _told(desk: Desk, found: dict[str, Any]) -> None:
    if desk.telling.as_json:
        desk.telling.json(found)
        return
    entry = found["entry"]
    desk.telling.table(
        ("MODEL", "PROMPT>", "ANSWER>", "CACHED>", "CURRENCY", "FROM"),
        [
            (
                line["model"],
                *(_price(line.get(name)) for name in ("prompt", "completion", "cached")),
                entry.get("currency", "USD"),
                found["source"],
            )
            for line in entry.get("models", ())
        ],
        nothing="Nothing has a price. `parley prices put FILE` says what tokens cost.",
    )


def _price(amount: float | str | None) -> str:
    return "" if amount is None else f"{Decimal(str(amount)).normalize():f}"
