"""Turns: how a caller waits for a credential, in a queue that the whole fleet shares.

A caller holds a ticket and asks again when the script says so: soon when it is near the head of the queue, at the known
moment when only pacing is in the way. A ticket that does not ask is forgotten after three seconds, so a killed process
blocks nobody for longer. Why there is nothing to subscribe to: docs/decisions/0003-waiting-by-ticket.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from parley.clock import sleep
from parley.errors import Failure, LimitReached, NothingToLend, QueueFull
from parley.state.verdict import LIMITS

Ask = Callable[[], Awaitable[Any]]
Renew = Callable[[list[Any]], Awaitable[None]]

_MOST_RENEWALS: Final = 3
_COME_BACK: Final = 1.0
_MUCH_LATER: Final = 30.0
_FULL: Final = {
    b"busy": "Every credential for '{upstream}' is busy, and it would take too long to wait for one.",
    b"limits": "Every credential for '{upstream}' has reached its limits, and it would take too long to wait for room.",
    b"queue": "Every credential for '{upstream}' is busy, and too many requests already wait for one.",
}
"""Why nothing is lent in time."""


async def in_turn(upstream: str, reply: list[Any], ask: Ask, renew: Renew) -> list[Any]:
    """Wait, from the first `reply` on, until something is lent (or nothing is enrolled), and return that reply.

    Raises NothingToLend, LimitReached or QueueFull; or what a renewal raised, if nothing else can be lent. LimitReached
    without a moment to come back means that the request never fits.
    """
    failure: Failure | None = None
    renewals = 0
    while True:
        match reply[0]:
            case b"wait":
                await sleep(reply[1] / 1000)
            case b"renew":
                if renewals == _MOST_RENEWALS and failure:
                    raise failure
                renewals += 1
                try:
                    await renew(reply)
                except Failure as failed:
                    failure = failed
            case b"never":
                raise LimitReached(
                    f"The request is too large for the limits of each credential for '{upstream}', or for what is left."
                )
            case b"resting":
                raise failure or _resting(upstream, reply[1], reply[2].decode())
            case b"full":
                raise QueueFull(_FULL[reply[2]].format(upstream=upstream), retry_after=_seconds(reply[1], _COME_BACK))
            case _:
                return reply
        reply = await ask()


def _resting(upstream: str, milliseconds: int, reason: str) -> Failure:
    later = _seconds(milliseconds, _MUCH_LATER)
    if reason in LIMITS:
        return LimitReached(f"'{upstream}' asked us to slow down.", retry_after=later)
    why = f" ({reason})" if reason else ""
    return NothingToLend(f"No credential for '{upstream}' can be used just now{why}.", retry_after=later)


def _seconds(milliseconds: int, otherwise: float) -> float:
    return milliseconds / 1000 if milliseconds > 0 else otherwise
