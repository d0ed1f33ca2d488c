"""The words that `parley` understands: commands that ask Parley, in groups, each with what all of them take."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from command.desk import Desk
from command.outcomes import OK

Run = Callable[[Namespace, Desk], int | None]


class Menu:
    """The commands of one group."""

    def __init__(self, parser: ArgumentParser) -> None:
        self._commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(self, name: str, run: Run, says: str, more: str = "") -> ArgumentParser:
        """A command. `says` completes its name to a sentence; `more` follows in its own help."""
        parser = self._commands.add_parser(name, help=says, description=described(says, more))
        return command(parser, run)


def command(parser: ArgumentParser, run: Run) -> ArgumentParser:
    """A command that asks Parley, with what all of them take."""
    group = parser.add_argument_group("where Parley is")
    group.add_argument("--url", help="its address; else PARLEY_URL, else NGINX_BIND and NGINX_PORT")
    group.add_argument(
        "--admin-key-file", type=Path, metavar="FILE", help="holds the key; else ADMIN_KEY of the environment or .env"
    )
    group.add_argument("--json", action="store_true", help="the answer as JSON, for programs")
    parser.set_defaults(run=run)
    return parser


def described(says: str, more: str = "") -> str:
    """A description: a sentence, and what follows."""
    return f"{says[:1].upper()}{says[1:]}. {more}".strip()


def confirmed(parser: ArgumentParser) -> None:
    """A command that asks before it does something that cannot be undone."""
    parser.add_argument("--yes", action="store_true", help="do not ask at a terminal whether you are sure")


def run(wishes: Namespace, desk: Desk) -> int:
    """Run what was asked for; the exit code."""
    chosen: Any = wishes.run
    code: int | None = chosen(wishes, desk)
    return OK if code is None else code
