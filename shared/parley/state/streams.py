"""Streams of Redis, read backwards: what came last comes first."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Final

from parley.state.line import Line

_AT_ONCE: Final = 200
_GREATEST: Final = 2**64 - 1
"""Of either part of an id."""


async def backwards(line: Line, key: str, before: str = "") -> AsyncGenerator[tuple[str, Mapping[bytes, bytes]], None]:
    """Entries with their ids, those before an id (two numbers, `-` between) if one is given; some at a time, so that
    Redis serves others too. Raises StateUnavailable.
    """
    end = "+"
    if before:
        at, number = (min(int(part), _GREATEST) for part in before.split("-"))
        if not at and not number:
            return  # Redis calls it a mistake to ask for what is before the first id that can be
        end = f"({at}-{number}"
    while entries := await line.call("XREVRANGE", key, end, "-", "COUNT", _AT_ONCE):
        for raw, words in entries:
            yield raw.decode(), dict(zip(words[::2], words[1::2], strict=True))
        end = f"({entries[-1][0].decode()}"


def moment(identity: str) -> float:
    """When an entry came to be, by its id: seconds since the epoch, on Redis' clock."""
    return int(identity.partition("-")[0]) / 1000
