"""Now and sleep, replaceable in tests. Durations are seconds; what Redis compares is taken from Redis' own clock."""

from __future__ import annotations

import asyncio
import time


def now() -> float:
    """Seconds since the epoch."""
    return time.time()


def monotonic() -> float:
    """Seconds that never go back, for durations."""
    return time.monotonic()


async def sleep(seconds: float) -> None:
    """Let others run for so long."""
    await asyncio.sleep(seconds)
