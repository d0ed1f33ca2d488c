"""Rests by hand: an operator sends a credential or a whole upstream to rest, or ends a rest early.

A rest by hand is one like every other: nobody is lent the credential meanwhile, running answers go on, and when it is
over one real request finds out whether all is well. Ending one says the same to every replica at once.
"""

from __future__ import annotations

from parley.state import keys, script
from parley.state.line import Line
from parley.state.terms import ms

BY_HAND = "operator"
"""The reason that such a rest has, in front of what the operator says."""


class Rests:
    """Begins and ends rests. `credential` is an id; empty means the upstream itself. Raises StateUnavailable."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def begin(self, upstream: str, credential: str, seconds: float, why: str) -> None:
        """Rest from now on for so long, whatever rest there was."""
        reason = f"{BY_HAND}: {why}" if why else BY_HAND
        await self._line.run(script.REST_BY_HAND, keys.prefix(upstream), credential, max(ms(seconds), 1), reason)

    async def end(self, upstream: str, credential: str) -> bool:
        """Rest no longer; whether it did."""
        return bool(await self._line.run(script.REST_BY_HAND, keys.prefix(upstream), credential, 0, ""))
