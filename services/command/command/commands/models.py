"""`parley models`: what callers see."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Final

from command.desk import Desk

HELP: Final = "models and routes that callers see"
MORE: Final = (
    "As /v1/models tells them to whoever has API_MASTER_KEY, or the key in --key-file: a key that may ask for some "
    "models only sees those."
)


def arguments(parser: ArgumentParser) -> None:
    """What the command understands."""
    parser.add_argument("--upstream", metavar="NAME", help="only those of this one")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="holds a caller's key; else API_MASTER_KEY")


def models(wishes: Namespace, desk: Desk) -> None:
    """What callers see."""
    found = [one for one in desk.front.models() if wishes.upstream in (None, one["owned_by"])]
    if desk.telling.as_json:
        desk.telling.json(found)
        return
    desk.telling.table(
        ("MODEL", "OF"),
        [(one["id"], one["owned_by"]) for one in found],
        nothing=f"The upstream {wishes.upstream} shows no models." if wishes.upstream else "There are no models.",
    )
