"""Streams of Redis, read backwards: what came last comes first."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Final

from parley.state.line import Line

_AT_ONCE: Final = 200


async def backwards(line: Line, key: str, before: str = "") -> AsyncGenerator[tuple[str, Mapping[bytes, bytes]], None]:
    """Entries with their ids, those before an id if one is given; some at a time, so that Redis serves others too.

    Raises StateUnavailable.
    """
    end = f"({before}" if before else "+"
    while entries := await line.call("XREVRANGE", key, end, "-", "COUNT", _AT_ONCE):
        for raw, words in entries:
            yield raw.decode(), dict(zip(words[::2], words[1::2], strict=True))
        end = f"({entries[-1][0].decode()}"


def moment(identity: str) -> float:
    """When an entry came to be, by its id: seconds since the epoch, on Redis' clock."""
    return int(identity.partition("-")[0]) / 1000
