"""The audit: every change that an operator made, in a stream of which the newest are kept. No secret is in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final, NamedTuple

import msgspec

from parley.state import keys
from parley.state.line import Line
from parley.state.streams import backwards, moment

KEPT: Final = 10_000


class Entry(msgspec.Struct, frozen=True):
    """One change. Who made it, from where; what was done to what; and the request that asked for it."""

    who: str
    client: str
    what: str
    """VERB of a kind of thing: `credential.rest`."""
    on: str
    """Its name."""
    request: str
    details: dict[str, Any] = {}
    """What was said about it; no secrets."""


class Audited(NamedTuple):
    """An entry of the audit, as it is kept."""

    id: str
    """Later ones have greater ids."""
    at: float
    """Seconds since the epoch, on Redis' clock."""
    entry: Entry


class Audit:
    """Writes and reads entries. Raises StateUnavailable."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def write(self, entry: Entry) -> None:
        """Keep an entry."""
        said = msgspec.json.encode(entry)
        await self._line.call("XADD", keys.AUDIT, "MAXLEN", "~", KEPT, "*", "entry", said)

    async def newest(self, before: str = "") -> AsyncGenerator[Audited, None]:
        """Entries, the newest first; those before that id, if one is given."""
        async for identity, fields in backwards(self._line, keys.AUDIT, before):
            yield Audited(identity, moment(identity), msgspec.json.decode(fields[b"entry"], type=Entry))
