"""`parley audit`: who changed what."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from command.desk import Desk
from command.reading import count
from command.telling import instant

HELP: Final = "every change that was made while Parley runs, the newest first"
MORE: Final = "Also what is no revision: rests, tests and resets. The newest ten thousand are kept."


def arguments(parser: ArgumentParser) -> None:
    """What the command understands."""
    parser.add_argument("what", nargs="?", metavar="WHAT", help="only these: credential, or credential.rest")
    parser.add_argument("--last", type=count, default=20, metavar="N", help="the newest so many (20)")


def audit(wishes: Namespace, desk: Desk) -> None:
    """Who changed what."""
    rows = desk.front.every("audit", what=wishes.what, limit=min(wishes.last, 1000))
    found = list(islice(rows, wishes.last))
    if desk.telling.as_json:
        desk.telling.json(found)
        return
    desk.telling.table(
        ("AT", "BY", "FROM", "WHAT", "OF", "REVISION>", "MORE", "REQUEST"),
        [
            (
                instant(one["at"]),
                one["who"],
                one["client"],
                one["what"],
                one["on"],
                one["details"].get("revision"),
                _more(one["details"]),
                one["request_id"],
            )
            for one in found
        ],
        nothing="Nothing of the kind was changed.",
    )


def _more(details: Mapping[str, Any]) -> str:
    places = ", ".join(details.get("changed", ()))
    rest = {
        name: value
        for name, value in details.items()
        if name not in ("revision", "changed") and value not in ("", None)
    }
    return "; ".join(filter(None, [places, *(f"{name.replace('_', ' ')} {value}" for name, value in rest.items())]))
