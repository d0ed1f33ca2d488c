"""Retries: what asking again may cost, as a share of all that is asked, over all replicas.

One bucket of tokens in Redis. Each request of a caller puts in a share of a token (0.1), each further call at an
upstream takes one, and a call that brings an answer gives it back: what is capped is calls that bring nothing, which is
what a storm is made of. The bucket drifts back to a floor (10) within seconds, so that a quiet fleet may retry too, and
what was saved in good times does not feed the storm afterwards.

A request that succeeds at once asks nobody: what it puts in is counted here, and told when a token is asked for.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final

from parley.clock import monotonic, sleep
from parley.errors import StateUnavailable
from parley.state import keys, script
from parley.state.line import Line
from parley.state.terms import ms

_PAUSES: Final = (0.05, 0.4)
"""Seconds between two looks for a token: the first, and the longest."""


class _Bucket:
    """Tokens that drift back to a level."""

    def __init__(self, level: float, memory: float) -> None:
        self.level, self._memory = level, memory
        self._tokens, self._at = level, monotonic()

    def tokens(self) -> float:
        """What is in it now."""
        moment = monotonic()
        self._tokens = self.level + (self._tokens - self.level) * math.exp((self._at - moment) / self._memory)
        self._at = moment
        return self._tokens

    def add(self, tokens: float) -> None:
        """Put some in, or take some out."""
        self._tokens = self.tokens() + tokens


class Retries:
    """The fleet's budget, as this process draws on it. While Redis is away each process has its own, smaller one."""

    def __init__(
        self,
        line: Line,
        living: Callable[[], int] = lambda: 1,
        *,
        share: float = 0.1,
        floor: float = 10.0,
        memory: float = 10.0,
    ) -> None:
        self._line = line
        self._living = living
        self._share, self._floor, self._memory = share, floor, memory
        self._earned = _Bucket(0.0, memory)
        self._own: _Bucket | None = None
        """In use while Redis is away; kept, lest one that comes and goes brings a new floor each time."""

    def called(self) -> None:
        """A caller asked for something."""
        self._earned.add(self._share)

    async def may(self, patience: float = 0.0) -> bool:
        """Take a token, waiting so many seconds for one at most: whether an upstream may be asked again."""
        until = monotonic() + patience
        pause, longest = _PAUSES
        while not await self._take():
            if monotonic() + pause > until:
                return False
            await sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
            pause = min(2 * pause, longest)
        return True

    def helped(self) -> None:
        """The call that a token was taken for brought an answer, or was not made: the token goes back. Not awaited."""
        if not self._line.send(script.RETRY, keys.RETRIES, 1, 0, self._floor, ms(self._memory)) and self._own:
            self._own.add(1.0)

    async def _take(self) -> bool:
        earned = self._earned.tokens()
        self._earned.add(-earned)
        try:
            reply = await self._line.run(script.RETRY, keys.RETRIES, earned, 1, self._floor, ms(self._memory))
        except StateUnavailable:
            own = self._own = self._own or _Bucket(self._floor / max(self._living(), 1), self._memory)
            own.level = self._floor / max(self._living(), 1)
            own.add(earned)
            if taken := own.tokens() >= 1.0:
                own.add(-1.0)
            return taken
        return bool(reply)
