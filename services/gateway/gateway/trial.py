"""One attempt at one candidate, from the lease to its return."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from gateway.accounting import Attempt, Tally
from gateway.drain import draining
from gateway.patience import Patience
from gateway.routing import Candidate
from parley.chat.events import Event, Events, Stop, Usage
from parley.chat.prompt import Prompt
from parley.clock import monotonic
from parley.errors import Failure, UpstreamTruncated
from parley.leases import Lease
from parley.providers.optional import OpensSessions, opener
from parley.state.vault import Vault

_ENDINGS: Final = (Stop, Usage)


class Trial:
    """`begin` it, then be inside it while its events are read: on every way out, what was lent is given back once."""

    __slots__ = (
        "_closing",
        "_ended",
        "_events",
        "_going",
        "_patience",
        "_vault",
        "asked",
        "attempt",
        "candidate",
        "first",
        "lease",
    )

    asked: Prompt
    """The prompt as it was put to the candidate."""
    first: Event
    """The event that `begin` waited for; `next` gives those after it."""
    _events: Events
    _patience: Patience

    def __init__(self, vault: Vault, candidate: Candidate, lease: Lease, attempt: Attempt) -> None:
        self._vault = vault
        self.candidate = candidate
        self.lease = lease
        self.attempt = attempt
        attempt.asked, attempt.lease = monotonic(), lease
        self._going: set[int] = set()
        self._ended = False
        self._closing = False

    async def begin(self, prompt: Prompt, tally: Tally) -> None:
        """Ask, and wait for the first event. Raises Failure; then the trial is over."""
        self.asked, provider = prompt, self.candidate.provider
        try:
            opening = opener(provider)
            if opening is not None and self.lease.session is None:
                # Shielded: a session that is made while the caller hangs up must still be noted, to be deleted.
                await asyncio.shield(asyncio.ensure_future(self._open(opening)))
            self._events = provider.stream(prompt, self.lease)
            if self.candidate.upstream.hang_up == "drain":
                self._events = draining(self._events, tally, self.attempt)
            self._patience = Patience(self.lease.place.timeouts, self.lease, monotonic() - tally.started)
            self.first = await anext(self._events)
        except StopAsyncIteration:
            nothing = UpstreamTruncated("The upstream's answer ended without a finish reason.")
            await self._close(nothing)
            raise nothing from None
        except BaseException as problem:
            if (failure := await self._close(problem)) is not None:
                raise failure from None
            raise
        self.attempt.first_event = monotonic()
        self._vault.works(self.lease)
        self._hears(self.first)

    async def next(self) -> Event | None:
        """The next event; None after the last. Raises Failure."""
        self._patience.waits()
        try:
            event = await self._events.__anext__()  # anext() with a default is a third slower
        except StopAsyncIteration:
            return None
        self._hears(event)
        return event

    def shorten(self, say: Callable[[list[Event]], bool], said: Callable[[Event], None]) -> None:
        """Let what comes while `next` waits go to `say` at once, and, if taken, to `said`: `next` gives the others."""
        if self.candidate.upstream.hang_up == "drain":
            return  # they come to us from another task, which may be ahead of us

        going, patience, attempt = self._going, self._patience, self.attempt

        def hear(events: list[Event]) -> int:
            count = 0
            for event in events:
                # A choice that has not begun, or that ends, changes more than the answer's words.
                if isinstance(event, _ENDINGS) or event.choice not in going:
                    break
                count += 1
            if count < len(events):
                events = events[:count]
            if not events or not say(events):
                return 0
            patience.waits()
            attempt.events += count
            for event in events:
                said(event)
            return count

        self.lease.ear = hear

    def suffices(self) -> None:
        """We cut the answer short ourselves: that it goes on is no fault of anybody's."""
        self._going.clear()
        self._ended = True

    def _hears(self, event: Event) -> None:
        self._patience.hears()
        self.attempt.events += 1
        if isinstance(event, Stop):
            self._going.discard(event.choice)
            self._ended = True
        elif not isinstance(event, Usage):
            self._going.add(event.choice)

    def adopt(self) -> None:
        """From now on the current task is the one that waits: the trial was begun in another."""
        self._patience.task = asyncio.current_task()

    async def abandon(self) -> None:
        """Nobody wants this one: hang up; it is not to blame. Where that is under way or done, nothing happens."""
        await self._close(asyncio.CancelledError())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        failure = await self._close(problem)
        if failure is not None and failure is not problem:
            raise failure from None

    async def _close(self, problem: BaseException | None) -> Failure | None:
        """Hang up and give back what was lent; the failure that this trial ended with, if it did."""
        if self._closing:  # a generator cannot be closed by two tasks at a time, and a lease goes back once
            return None
        self._closing = True
        failure: Failure | None = None
        if hasattr(self, "_patience"):
            self._patience.end()
            if isinstance(problem, asyncio.CancelledError):
                failure = self._patience.verdict()
        self.lease.ear = None
        try:
            if hasattr(self, "_events"):
                await self._events.aclose()
        finally:
            if isinstance(problem, Failure):
                failure = problem
            elif problem is None and (self._going or not self._ended):
                failure = UpstreamTruncated("The upstream's answer ended without a finish reason.")
            self._settle(problem, failure)
        return failure

    def _settle(self, problem: BaseException | None, failure: Failure | None) -> None:
        self.attempt.ended = monotonic()
        if failure is not None:
            self.lease.credential.keep_out_of(failure, self.candidate.upstream)
            self.attempt.failure = failure
            self._vault.give_back(self.lease, failure)
        else:  # where something went wrong it was a hang-up, or a bug of ours: nobody upstream is to blame
            aborted = problem is not None and self.attempt.first_event is None
            self._vault.give_back(self.lease, None, aborted=aborted)

    async def _open(self, provider: OpensSessions) -> None:
        self._vault.note_session(self.lease, await provider.open_session(self.lease.credential))
