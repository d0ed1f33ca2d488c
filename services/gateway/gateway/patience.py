"""How long an answer may keep us waiting: for its first token, between tokens, in all.

One timer per answer, re-armed only when it fires, so that a token costs two assignments. The timer cancels the task
that waits, and the cancellation is turned into a Failure here: no time-out block ever surrounds a `yield`.
"""

from __future__ import annotations

import asyncio

from parley.catalog import Timeouts
from parley.chat.events import Events
from parley.errors import AnswerTimeout, Failure, FirstTokenTimeout, UpstreamStalled
from parley.leases import Lease


class _Watch:
    def __init__(self, timeouts: Timeouts, lease: Lease) -> None:
        self.loop = asyncio.get_running_loop()
        self.timeouts = timeouts
        self.lease = lease
        self.started = self.loop.time()
        self.since = self.started
        self.spoke = False
        self.waiting: asyncio.Task[object] | None = None
        self.failure: Failure | None = None
        self.timer = self.loop.call_at(self._due(), self._look)

    def begin(self) -> None:
        """The first token is here: from now on the shorter patience counts."""
        self.spoke = True
        self.since = self.loop.time()
        self.timer.cancel()
        self.timer = self.loop.call_at(self._due(), self._look)

    def _due(self) -> float:
        silent = self.timeouts.between_tokens if self.spoke else self.timeouts.first_token
        return min(max(self.since, self.lease.active) + silent, self.started + self.timeouts.total)

    def _look(self) -> None:
        due = self._due()
        if self.waiting is None:  # the caller is slow to take what we have: not the upstream's silence
            due = max(due, self.loop.time() + 0.25)
        elif self.loop.time() >= due:
            self.failure = self._overdue()
            self.waiting.cancel()
            return
        self.timer = self.loop.call_at(due, self._look)

    def _overdue(self) -> Failure:
        if self.loop.time() >= self.started + self.timeouts.total:
            return AnswerTimeout(f"The upstream's answer took longer than {self.timeouts.total:g} seconds.")
        if not self.spoke:
            return FirstTokenTimeout(f"The upstream said nothing for {self.timeouts.first_token:g} seconds.")
        return UpstreamStalled(f"The upstream fell silent for {self.timeouts.between_tokens:g} seconds.")


async def patiently(events: Events, timeouts: Timeouts, lease: Lease) -> Events:
    """Pass `events` on; raise FirstTokenTimeout, UpstreamStalled or AnswerTimeout when they keep us waiting."""
    watch = _Watch(timeouts, lease)
    # Whoever takes the first event takes them all; asking for the task anew each time would cost a system call.
    task = asyncio.current_task()
    try:
        while True:
            watch.waiting = task
            watch.since = watch.loop.time()
            try:
                event = await anext(events)
            except StopAsyncIteration:
                return
            except asyncio.CancelledError:
                # Ours only if nobody else cancelled the task at the same moment: a hang-up wins.
                if watch.failure is None or task is None or task.uncancel() > 0:
                    raise
                raise watch.failure from None
            watch.waiting = None
            if not watch.spoke:
                watch.begin()
            yield event
    finally:
        watch.timer.cancel()
        await events.aclose()
