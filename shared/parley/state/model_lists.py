"""Model lists: what upstreams said they have. One keeper asks them; every process reads, from its own copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from parley.clock import now
from parley.state import keys
from parley.state.line import Line
from parley.state.terms import ms

_WEEK: Final = 7 * 24 * 3600.0


class ModelList(msgspec.Struct, frozen=True):
    """The models of one upstream, in its order, and when it was asked (seconds since the epoch)."""

    models: tuple[str, ...]
    asked: float


class ModelLists:
    """The latest list of each upstream."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._lists: dict[str, ModelList] = {}

    def get(self, upstream: str) -> ModelList | None:
        """The list as this process last read it; does not ask anybody."""
        return self._lists.get(upstream)

    async def put(self, upstream: str, models: Sequence[str]) -> None:
        """Keep what an upstream said, for everybody."""
        found = self._lists[upstream] = ModelList(tuple(models), now())
        await self._line.call("SET", keys.models(upstream), msgspec.json.encode(found), "PX", ms(_WEEK))

    async def refresh(self, upstreams: Sequence[str]) -> None:
        """Read the lists of these upstreams anew."""
        if not upstreams:
            return
        found = await self._line.call("MGET", *(keys.models(upstream) for upstream in upstreams))
        for upstream, text in zip(upstreams, found, strict=True):
            if text is not None:
                self._lists[upstream] = msgspec.json.decode(text, type=ModelList)
