"""The events of a body, on the shorter of two ways.

The ordinary way: bytes arrive, the reader's task wakes, and each event climbs a chain of generators, each of which
waits for the one before it. While all of that chain waits for us, there is a shorter way: the events that there are
go to the lease's `ear` together, which says how many it took; and while it waits for the upstream, they are read where
their bytes arrive, in the socket's own callback. What the ear does not take (an end, a failure, words for a slow
caller) goes the ordinary way, in its order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Protocol, Self

from parley.chat.events import Event
from parley.leases import Lease
from parley.transports.connection import Exchange


class Reads(Protocol):
    """Bytes of an answer into events, however they are cut. Pure."""

    @property
    def done(self) -> bool:
        """Whether the service said that this was all."""
        ...

    def feed(self, chunk: bytes, /) -> Iterable[Event]:
        """The events that `chunk` completes. Raises Failure after those that came before it."""
        ...


class Hearing:
    """Iterates over the events that `body` reads in `chunks`, until it is done or they end."""

    __slots__ = ("_body", "_chunks", "_events", "_lease", "_problem")

    def __init__(self, chunks: AsyncIterator[bytes], body: Reads, lease: Lease) -> None:
        self._chunks = chunks
        self._body = body
        self._lease = lease
        self._events: deque[Event] = deque()
        self._problem: Exception | None = None
        if isinstance(chunks, Exchange):
            chunks.offer(self._take)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event. Raises as the transport and the body do, after the events that came before."""
        while True:
            if self._events:
                self._offer()
                if self._events:
                    return self._events.popleft()
            if self._problem is not None:
                raise self._problem
            if self._body.done:
                raise StopAsyncIteration
            chunk = await self._chunks.__anext__()
            if chunk:
                self._read(chunk)

    def _offer(self) -> None:
        """Let who listens take what has come: he waits for it, since we were asked."""
        if (ear := self._lease.ear) is not None:
            for _ in range(ear(list(self._events))):
                self._events.popleft()

    def _read(self, chunk: bytes) -> None:
        try:
            self._events.extend(self._body.feed(chunk))
        except Exception as problem:  # noqa: BLE001  # raised in its turn
            self._problem = problem

    def _take(self, pieces: list[bytes]) -> bool:
        """Read what came while the reader waits. Whether he may go on waiting; else there is something for him."""
        ear, body = self._lease.ear, self._body
        if ear is None:
            return False
        events: list[Event] = []
        taken = 0
        try:
            try:
                for piece in pieces:
                    events += body.feed(piece)
            finally:
                if events:
                    taken = ear(events)
        except Exception as problem:  # noqa: BLE001  # raised in its turn
            self._problem = problem
        pieces.clear()
        if taken == len(events) and self._problem is None and not body.done:
            return True
        self._events.extend(events[taken:])
        pieces.append(b"")
        return False
