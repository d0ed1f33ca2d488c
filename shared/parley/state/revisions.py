"""Revisions: what an operator changed while it runs, one whole document per revision, sealed, the newest ones kept.

A revision is written only upon the one that its author saw. Everybody looks at the number often, which costs a few
bytes, and reads the document when it has grown.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from parley.clock import now
from parley.sealed import Seal, UnsealError
from parley.state import keys, script
from parley.state.line import Line
from parley.state.records import LostKey

KEPT: Final = 200
"""Revisions that can be looked at and gone back to."""

Changes = dict[str, Any]
"""What differs from the environment and the file: plain JSON, secrets in clear; only ever kept sealed."""


class Conflict(Exception):
    """Somebody else wrote a revision first; `current` is its number."""

    def __init__(self, current: int) -> None:
        super().__init__(f"The configuration is at revision {current} by now.")
        self.current = current


class Revision(msgspec.Struct, frozen=True):
    """One entry of the log: who made which revision when (seconds since the epoch), and what it did, in words."""

    number: int
    at: float
    who: str
    what: str


class Forgotten(LookupError):
    """No such revision, or it is too old."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """The configuration's changes in Redis."""

    line: Line
    seal: Seal

    async def number(self) -> int:
        """The revision in force; 0 before the first. Raises StateUnavailable."""
        return int(await self.line.call("HGET", keys.CONFIG + "now", "revision") or 0)

    async def current(self) -> tuple[int, Changes]:
        """The revision in force and its changes. Raises StateUnavailable, LostKey."""
        number, sealed = await self.line.call("HMGET", keys.CONFIG + "now", "revision", "changes")
        return (int(number), self._opened(sealed)) if number else (0, {})

    async def past(self, number: int) -> Changes:
        """The changes of an earlier revision. Raises Forgotten, StateUnavailable, LostKey."""
        if number == 0:
            return {}
        sealed = await self.line.call("HGET", keys.CONFIG + "past", number)
        if sealed is None:
            raise Forgotten(f"There is no revision {number}, or it is older than the last {KEPT}.")
        return self._opened(sealed)

    async def write(self, changes: Changes, *, upon: int, who: str, what: str) -> int:
        """Put changes in force; the new revision's number. Raises Conflict, StateUnavailable."""
        entry = msgspec.json.encode(Revision(upon + 1, now(), who, what))
        number = int(await self.line.run(script.WRITE_CONFIG, keys.CONFIG, upon, entry, self._sealed(changes), KEPT))
        if number < 0:
            raise Conflict(await self.number())
        return number

    async def log(self) -> list[Revision]:
        """The kept revisions, the newest first. Raises StateUnavailable."""
        entries = await self.line.call("HVALS", keys.CONFIG + "log")
        found = [msgspec.json.decode(entry, type=Revision) for entry in entries]
        return sorted(found, key=lambda revision: revision.number, reverse=True)

    def _sealed(self, changes: Changes) -> str:
        packed = base64.b64encode(zlib.compress(msgspec.json.encode(changes))).decode()
        return self.seal.seal(packed, keys.CONFIG)

    def _opened(self, sealed: bytes) -> Changes:
        try:
            packed = self.seal.open(sealed.decode(), keys.CONFIG)
        except UnsealError:
            raise LostKey from None
        return msgspec.json.decode(zlib.decompress(base64.b64decode(packed)), type=dict[str, Any])
