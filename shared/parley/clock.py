"""Now and sleep, replaceable in tests. Durations are seconds; what Redis compares is taken from Redis' own clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator


def now() -> float:
    """Seconds since the epoch."""
    return time.time()


def monotonic() -> float:
    """Seconds that never go back, for durations."""
    return time.monotonic()


async def sleep(seconds: float) -> None:
    """Let others run for so long."""
    await asyncio.sleep(seconds)


async def looks(seconds: float, *, first: float = 0.1, longest: float = 2.0) -> AsyncIterator[None]:
    """One step per look at a job of somebody else's: at once, then ever more rarely, until the time is over."""
    over = monotonic() + seconds
    pause = first
    yield
    while (left := over - monotonic()) > 0:
        await sleep(min(pause, left))
        pause = min(pause * 2, longest)
        yield
