"""How long we wait for a job of h2oGPTe's, and how often we look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from parley.clock import monotonic, sleep

_FIRST: Final = 0.1
_LONGEST: Final = 2.0


async def looks(seconds: float) -> AsyncIterator[None]:
    """One step per look: at once, then ever more rarely, until the time is over."""
    over = monotonic() + seconds
    pause = _FIRST
    yield
    while (left := over - monotonic()) > 0:
        await sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST)
        yield
