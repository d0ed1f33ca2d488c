"""How a command ends: its exit code, and what it raises instead of an answer.

0  done, or nothing wrong was found
1  refused, or a fault was found      Refused
2  not used as it should be           Misused (argparse ends so, too)
3  nobody could be asked              Unreachable: try again later, or say where Parley is
"""

from __future__ import annotations

from typing import Final

OK: Final = 0
REFUSED: Final = 1
MISUSED: Final = 2
UNREACHABLE: Final = 3


class Outcome(Exception):
    """A sentence for whoever typed the command, and its exit code."""

    exit_code = REFUSED


class Refused(Outcome):
    """Parley says no; `code` and `status` are those of its answer."""

    def __init__(self, sentence: str, *, code: str = "", status: int = 0) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status

    @property
    def stale(self) -> bool:
        """Whether somebody else changed the configuration since it was looked at."""
        return self.status == 412


class Misused(Outcome):
    """The words make no sense together."""

    exit_code = MISUSED


class Unreachable(Outcome):
    """Nobody who could answer was reached."""

    exit_code = UNREACHABLE
