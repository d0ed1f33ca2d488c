"""Several upstreams asked at once: the first to speak wins, the others are hung up on at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from gateway.trial import Trial
from parley.errors import Failure


async def race(runners: Sequence[Coroutine[Any, Any, Trial]]) -> Trial:
    """The trial of the first runner whose upstream speaks. Raises the first runner's Failure when none does.

    Nobody else is left running: those who have not spoken are cancelled, and one who spoke in the same moment as the
    winner is abandoned. When the caller hangs up, the winner is abandoned after them.
    """
    running = [asyncio.ensure_future(runner) for runner in runners]
    winner: Trial | None = None
    dismissal: asyncio.Future[None] | None = None
    try:
        waiting = set(running)
        while waiting and winner is None:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            # In the order of the route, should two have spoken in one moment.
            winner = next((task.result() for task in running if task in done and task.exception() is None), None)
        dismissal = _dismiss(running, winner)
        await asyncio.shield(dismissal)
    except BaseException:  # the caller hung up, or a bug of ours: what goes on to the end is only the clearing away
        # Who is dismissed already is not dismissed again: a second cancellation would break into his farewell.
        await asyncio.shield(_abandon(winner, dismissal or _dismiss(running, None)))
        raise
    if winner is None:
        raise _telling([task.exception() for task in running])
    winner.adopt()
    return winner


def _dismiss(running: Sequence[asyncio.Future[Trial]], winner: Trial | None) -> asyncio.Future[None]:
    async def dismiss() -> None:
        for task in running:
            task.cancel()
        for ended in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(ended, Trial) and ended is not winner:
                await ended.abandon()

    return asyncio.ensure_future(dismiss())


async def _abandon(winner: Trial | None, dismissal: asyncio.Future[None]) -> None:
    await asyncio.wait([dismissal])
    if winner is not None:
        await winner.abandon()


def _telling(problems: Sequence[BaseException | None]) -> BaseException:
    """A bug of ours first; else what the first of the route failed with."""
    told = [problem for problem in problems if problem is not None]
    return next((problem for problem in told if not isinstance(problem, Failure)), told[0])
