"""All that a Redis holds, spelled out, for tests that look for what must not lie there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import redis

_READ: Final[Mapping[bytes, Callable[[redis.Redis, bytes], Any]]] = {
    b"string": lambda line, key: line.get(key),
    b"hash": lambda line, key: line.hgetall(key),
    b"list": lambda line, key: line.lrange(key, 0, -1),
    b"set": lambda line, key: list(line.sscan_iter(key)),
    b"zset": lambda line, key: line.zrange(key, 0, -1, withscores=True),
    b"stream": lambda line, key: line.xrange(key),
}


def contents(url: str) -> Iterator[tuple[str, bytes]]:
    """Every key: its name, and that name with all that is in it. A key of another type is a KeyError."""
    with redis.Redis.from_url(url) as line:
        for key in line.scan_iter(count=1000):
            kind = line.type(key)
            if kind != b"none":  # it came to its end since
                yield key.decode(), b"\n".join([key, spelled(_READ[kind](line, key))])


def spelled(value: Any) -> bytes:
    """A reply as text; bytes keep every letter that they have."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        return b"\n".join(spelled(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return b"\n".join(map(spelled, value))
    return str(value).encode()
