"""How long an answer may keep us waiting: for its first token, between tokens, in all.

One timer per answer, re-armed only when it fires, so that a token costs a few assignments. The timer cancels the task
that waits; whoever catches that cancellation asks `verdict` whether it was ours, and which Failure it stands for.
"""

from __future__ import annotations

import asyncio

from parley.catalog import Timeouts
from parley.errors import AnswerTimeout, Failure, FirstTokenTimeout, UpstreamStalled
from parley.leases import Lease


class Patience:
    """The patience with one answer. Begins at once; the task that makes it is the one that waits for events.

    What the request took before (in a queue, with others that failed) counts for the total, and for nothing else.
    """

    __slots__ = ("_due_now", "_failure", "_lease", "_loop", "_since", "_spoke", "_started", "_timer", "_times", "task")

    def __init__(self, timeouts: Timeouts, lease: Lease, before: float = 0.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._times = timeouts
        self._lease = lease
        # Asking for the task anew for each event would cost a system call.
        self.task = asyncio.current_task()
        """Who waits."""
        self._since = self._loop.time()
        self._started = self._since - before
        self._spoke = False
        self._due_now = True
        self._failure: Failure | None = None
        self._timer = self._loop.call_at(self._due(), self._look)

    def hears(self) -> None:
        """An event is here; until `waits`, what takes time is the caller, not the upstream."""
        self._due_now = False
        if not self._spoke:
            self._spoke = True  # from now on the shorter patience counts
            self._since = self._loop.time()
            self._timer.cancel()
            self._timer = self._loop.call_at(self._due(), self._look)

    def waits(self) -> None:
        """The next event is waited for."""
        self._due_now = True
        self._since = self._loop.time()

    def end(self) -> None:
        """Nothing is waited for any more."""
        self._timer.cancel()

    def verdict(self) -> Failure | None:
        """The Failure behind a cancellation of the task; None if somebody else cancelled it, too: a hang-up wins."""
        if self._failure is None or self.task is None or self.task.uncancel() > 0:
            return None
        return self._failure

    def _due(self) -> float:
        silent = self._times.between_tokens if self._spoke else self._times.first_token
        return min(max(self._since, self._lease.active) + silent, self._started + self._times.total)

    def _look(self) -> None:
        due = self._due()
        if not self._due_now:  # the caller is slow to take what we have: not the upstream's silence
            due = max(due, self._loop.time() + 0.25)
        elif self._loop.time() >= due:
            self._failure = self._overdue()
            if self.task is not None:
                self.task.cancel()
            return
        self._timer = self._loop.call_at(due, self._look)

    def _overdue(self) -> Failure:
        if self._loop.time() >= self._started + self._times.total:
            return AnswerTimeout(f"The upstream's answer took longer than {self._times.total:g} seconds.")
        if not self._spoke:
            return FirstTokenTimeout(f"The upstream said nothing for {self._times.first_token:g} seconds.")
        return UpstreamStalled(f"The upstream fell silent for {self._times.between_tokens:g} seconds.")
