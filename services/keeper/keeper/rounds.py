"""How a control loop goes round: at its own pace, slower after failures, and never dying of one."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable

from parley.clock import sleep
from parley.errors import Failure

log = logging.getLogger(__name__)

_FIRST_PAUSE, _SLOWEST = 0.5, 60.0


async def rounds(
    name: str, pace: float, once: Callable[[], Awaitable[None]], ended: Callable[[bool], None] = lambda _: None
) -> None:
    """Call `once` every `pace` seconds for ever; after a failure soon again, then twice as late each time.

    `ended` is told of each whether it failed.
    """
    failures = 0
    while True:
        try:
            await once()
            failures = 0
        except Failure as failure:
            failures += 1
            log.warning("%s: %s", name, failure.message, extra={"reason": failure.reason, "failures": failures})
        except Exception:  # a bug in one round must not end the loop; the next round may go well
            failures += 1
            log.exception("%s failed", name)
        ended(failures > 0)
        pause = min(_FIRST_PAUSE * 2 ** min(failures, 30), max(_SLOWEST, pace)) if failures else pace
        await sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311  # spreads the rounds of several loops
