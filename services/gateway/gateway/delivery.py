"""One streamed response under way: when its headers go out, and what keeps the connection alive while nothing is said.

Headers wait for the first event up to a short grace, so that an early refusal is a true 401, 429 or 503. After that
they go out with a comment, and a comment follows whenever the stream has been quiet for so long that a proxy might hang
up. One `Pulse` per process looks at all open streams; a chunk costs two assignments for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from starlette.types import Send

from gateway.wire.stream import KEEP_ALIVE
from parley.envelope import Headers

_FINEST, _COARSEST = 0.005, 0.5


PUT: Final = "parley.put"
"""Where a request's state has the `Put` of its response, if the server offers one."""
Put = Callable[[bytes], bool]
"""Puts a piece of a body that has begun on the wire at once, or says that it cannot."""


def put_nothing(_: bytes) -> bool:
    """Where the server cannot do so."""
    return False


class Pulse:
    """Beats for every open stream of the process."""

    def __init__(self, grace: float, heartbeat: float) -> None:
        self.tick: Final = max(_FINEST, min(_COARSEST, grace / 10, heartbeat / 10))
        self.grace_ticks: Final = max(1, round(grace / self.tick))
        # A tick less than asked for: quiet may have begun just after a tick.
        self.heartbeat_ticks: Final = max(1, int(heartbeat / self.tick) - 1)
        self._open: set[Delivery] = set()

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            await asyncio.sleep(self.tick)
            for delivery in tuple(self._open):
                delivery.quiet += 1
                if delivery.quiet >= delivery.patience:
                    delivery.beat()

    @contextlib.contextmanager
    def watching(self, delivery: Delivery) -> Iterator[None]:
        """Beat for this delivery meanwhile."""
        self._open.add(delivery)
        try:
            yield
        finally:
            self._open.discard(delivery)


class Delivery:
    """Sends the frames of one stream. `headers` is asked once, at the moment when they go out."""

    __slots__ = ("_beating", "_headers", "_pulse", "_put", "_send", "_writing", "begun", "patience", "quiet")

    def __init__(self, send: Send, headers: Callable[[], Headers], pulse: Pulse, put: Put) -> None:
        self._send = send
        self._put = put
        self._headers = headers
        self._pulse = pulse
        self._writing = False
        self._beating: asyncio.Task[None] | None = None
        self.begun = False
        """Whether the status line is out, so that a failure can only be told inside the stream."""
        self.quiet = 0
        """Ticks since something was last sent."""
        self.patience = pulse.grace_ticks

    def put(self, frames: bytes) -> bool:
        """Send frames at once, if that needs no waiting for anything; else False."""
        if not self.begun or self._writing or self._beating is not None or not self._put(frames):
            return False
        self.quiet = 0
        return True

    async def write(self, frames: bytes, *, last: bool = False) -> None:
        """Send frames; the headers go out with the first."""
        self._writing = True  # a reader may be slow: while he takes what he was given, comments would only pile up
        if self._beating is not None:
            await asyncio.wait((self._beating,))
        if not self.begun:
            await self._begin()
        await self._send({"type": "http.response.body", "body": frames, "more_body": not last})
        self._writing = False
        self.quiet = 0

    def beat(self) -> None:
        """Send the headers if they have not been sent, and a comment."""
        if not self._writing and self._beating is None:
            self._beating = asyncio.get_running_loop().create_task(self._beat())

    async def _beat(self) -> None:
        try:
            if not self.begun:
                await self._begin()
            await self._send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})
            self.quiet = 0
        finally:
            self._beating = None

    async def _begin(self) -> None:
        self.begun = True
        self.patience = self._pulse.heartbeat_ticks
        await self._send({"type": "http.response.start", "status": 200, "headers": self._headers()})
