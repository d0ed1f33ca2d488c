"""The hang-up policy `drain`: when the caller goes, the upstream may finish, so that its own count of tokens is known.

Capped in time. The events run in a task of their own, because a cancelled caller must not cancel them.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Final

from gateway.accounting import Attempt, Tally
from parley.chat.events import Event, Events, Usage

LONGEST_DRAIN: Final = 30.0
"""Seconds an upstream may go on after its caller left."""

_drains: set[asyncio.Task[None]] = set()  # keeps running drains from being collected


async def draining(events: Events, tally: Tally, attempt: Attempt) -> Events:
    """Pass `events` on; if we are closed early, let them end unheard. The tally waits for what they used."""
    box: asyncio.Queue[Event | BaseException | None] = asyncio.Queue(1)
    left = False

    async def pump() -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, Usage):
                        attempt.usage = event
                    if not left:
                        await box.put(event)
            last: BaseException | None = None
        except Exception as problem:  # noqa: BLE001  # carried over to the caller's side, raised there
            last = problem
        if not left:
            await box.put(last)

    task = asyncio.create_task(pump())
    try:
        while (item := await box.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        left = True
        if not task.done():
            while not box.empty():
                box.get_nowait()
            tally.drains()
            _drains.add(task)
            task.add_done_callback(_drains.discard)
            task.add_done_callback(lambda _: tally.drained())
            asyncio.get_running_loop().call_later(LONGEST_DRAIN, task.cancel)


async def end_drains() -> None:
    """Hang up everywhere: this process ends, and what is not known by now will not be."""
    for task in list(_drains):
        task.cancel()
    await asyncio.gather(*_drains, return_exceptions=True)
