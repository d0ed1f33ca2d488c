"""Redis' clock in the hands of a test: the scripts read the time from a list that the test writes.

Far in the future, because what a script lets expire at a moment is gone at once if that is past by the true clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import redis as redis_py

from parley.state import keys, script

TIME = b"redis.call('TIME')"
WHEN = b"redis.call('LRANGE', 'clock', 0, 1)"


class Clockwork:
    """A Redis whose time stands still until it is moved."""

    def __init__(self, client: redis_py.Redis, *start: int) -> None:
        self.client = client
        self.now = int(datetime(*(start or (2101, 1, 30, 23, 59, 58)), tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc]
        self._step = 0
        self._shas: dict[str, str] = {}

    def move(self, milliseconds: int) -> None:
        self.now += milliseconds

    def run(self, what: script.Script, *arguments: Any, prefix: str = keys.LIMITS) -> Any:
        return self.runs(what, [arguments], prefix=prefix)[0][1]

    def runs(
        self, what: script.Script, calls: Iterable[Sequence[Any]], step: int = 0, prefix: str = keys.LIMITS
    ) -> list[tuple[int, Any]]:
        """Run a script again and again, `step` milliseconds apart; returns each moment and reply.

        Each call comes at another microsecond.
        """
        pipe, moments = self.client.pipeline(transaction=False), []
        for arguments in calls:
            self._step = (self._step + 20) % 1000
            pipe.delete("clock")
            pipe.rpush("clock", self.now // 1000, self.now % 1000 * 1000 + self._step)
            pipe.evalsha(self._loaded(what), 1, prefix, *arguments)
            moments.append(self.now)
            self.now += step
        return list(zip(moments, pipe.execute()[2::3], strict=True))

    def _loaded(self, what: script.Script) -> str:
        if what.name not in self._shas:
            self._shas[what.name] = self.client.script_load(what.text.replace(TIME, WHEN))
        return self._shas[what.name]


@contextmanager
def clockwork(url: str) -> Iterator[Clockwork]:
    with redis_py.Redis.from_url(url, decode_responses=True) as client:
        client.flushall()
        yield Clockwork(client)
        client.flushall()
