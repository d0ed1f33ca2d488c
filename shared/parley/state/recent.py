"""Recent requests: the records of those that ended within the last hour, the newest ten thousand, to be found by id.

A record is the line that the journal has of it: each attempt, who was blamed, tokens, cost. What was said stays in the
log, also where an operator asked for it there (`contents`).
Nobody waits for it, and what ended while Redis is away is in the journal only. Told every 100 ms in one call, a
request costs its gateway about a microsecond; ten thousand records take some 8 MB of Redis.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final, NamedTuple

import msgspec

from parley.state import keys, script
from parley.state.line import Line
from parley.state.streams import backwards, moment
from parley.state.terms import ms

KEPT: Final = 10_000
LIFE: Final = 3600.0
_TOGETHER: Final = 0.1
_MOST_TOGETHER: Final = 200
_LONGEST: Final = 16_384
"""Bytes of a record; none that is longer is kept."""
_SAID: Final = b',"contents":'


class Recorded(NamedTuple):
    """A record as it is kept."""

    id: str
    """Later ones have greater ids."""
    at: float
    """When it was told, in seconds since the epoch, on Redis' clock."""
    record: dict[str, Any]


class Recent:
    """Tells Redis of requests that ended, and finds them there."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._records: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    def note(self, record: bytes) -> None:
        """A request ended; `record` is JSON. Never fails, and nothing is waited for."""
        if _SAID in record:
            record = _without_words(record)
        if not record or len(record) > _LONGEST:
            return
        self._records.append(record)
        if len(self._records) >= _MOST_TOGETHER:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TOGETHER, self.flush)

    def flush(self) -> None:
        """Tell what there is, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        records, self._records = self._records, []
        if records:
            self._line.send(script.NOTE_REQUESTS, keys.REQUESTS, KEPT, ms(LIFE), *records)

    async def newest(self, before: str = "") -> AsyncGenerator[Recorded, None]:
        """Records, the newest first; those before that id, if one is given. Raises StateUnavailable."""
        async for identity, fields in backwards(self._line, keys.REQUESTS, before):
            yield Recorded(identity, moment(identity), msgspec.json.decode(fields[b"record"], type=dict[str, Any]))

    async def of(self, request_id: str) -> list[Recorded]:
        """Every record of a request, the newest first: a client may use an id twice. Raises StateUnavailable."""
        named = b'"request_id":' + msgspec.json.encode(request_id)
        return [
            Recorded(identity, moment(identity), msgspec.json.decode(fields[b"record"], type=dict[str, Any]))
            async for identity, fields in backwards(self._line, keys.REQUESTS)
            if named in fields[b"record"]
        ]


def _without_words(record: bytes) -> bytes:
    members = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    members.pop("contents", None)
    return msgspec.json.encode(members)
