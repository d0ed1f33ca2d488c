"""One connection to Redis: commands go out as they come, replies come back in their order.

redis-py makes the connection (sign-in, TLS, Sentinel, database, name). Then its transport is given this protocol, so
that a reply goes from the socket through hiredis to the future that waits for it, and nothing else runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from parley.state.address import Dial
from parley.state.script import Script

Argument = str | bytes | int | float
Late = Callable[[tuple[Argument, ...], Any], None]
"""Told the command and the reply of a call whose caller is gone."""

_NOTHING: Final = object()

log = logging.getLogger(__name__)


class Call:
    """A command under way. `limit` is how long its answer may take, in seconds from when it was written (0: for ever);
    `due` is the loop's time by which that is over, 0 while it is not known or does not matter."""

    __slots__ = ("command", "due", "future", "late", "limit", "script")

    def __init__(
        self,
        command: tuple[Argument, ...],
        limit: float = 0.0,
        future: asyncio.Future[Any] | None = None,
        late: Late | None = None,
        script: Script | None = None,
    ) -> None:
        self.command = command
        self.due = 0.0
        self.limit = limit
        self.future = future
        self.late = late
        self.script = script


class Wire(asyncio.Protocol):
    """A connection that is signed in. `settle` gets every call with its reply; `lost` is told once that it broke."""

    def __init__(
        self,
        connection: AbstractConnection,
        transport: asyncio.Transport,
        settle: Callable[[Call, Any], None],
        lost: Callable[[Wire], None],
    ) -> None:
        self.under_way: deque[Call] = deque()
        self._connection = connection
        self._settle = settle
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._outbox: list[bytes] = []
        self._unsent: list[Call] = []
        self._reader = hiredis.Reader(
            protocolError=hiredis.ProtocolError, replyError=ResponseError, notEnoughData=_NOTHING
        )
        self._transport = transport
        transport.set_protocol(self)

    @classmethod
    async def connect(
        cls, dial: Dial, patience: float, settle: Callable[[Call, Any], None], lost: Callable[[Wire], None]
    ) -> Wire:
        """Dial. Raises RedisError, OSError, TimeoutError."""
        connection = dial()
        try:
            async with asyncio.timeout(patience):
                await connection.connect()  # type: ignore[no-untyped-call]
            # redis-py has no public way to its transport; this is the one place that reaches for it.
            writer = cast(asyncio.StreamWriter, connection._writer)
            return cls(connection, cast(asyncio.Transport, writer.transport), settle, lost)
        except BaseException:
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)
            raise

    def put(self, call: Call) -> None:
        """Send a command; all of one turn of the loop are written together."""
        packed = hiredis.pack_command(call.command)  # type: ignore[arg-type]  # its stub knows one argument only
        self.under_way.append(call)
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox.append(packed)
        self._unsent.append(call)

    async def hang_up(self) -> None:
        """Close without a word; what is under way is not settled."""
        self._transport.abort()
        with contextlib.suppress(RedisError, OSError):
            await self._connection.disconnect(nowait=True)

    def abort(self) -> None:
        """Break the connection; `lost` will be told."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Replies, in the order of the commands."""
        reader = self._reader
        reader.feed(data)
        try:
            while (reply := reader.gets()) is not _NOTHING:
                self._settle(self.under_way.popleft(), reply)
        except (hiredis.ProtocolError, IndexError):
            log.exception("Redis sent what cannot be a reply")
            self.abort()

    def connection_lost(self, problem: Exception | None) -> None:
        """The other side is gone, or we hung up."""
        self._lost(self)

    def _flush(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"".join(self._outbox))
        self._outbox.clear()
        written = self._loop.time()  # a busy loop may come to this late, which is no fault of Redis
        for call in self._unsent:
            call.due = written + call.limit if call.limit else 0.0
        self._unsent.clear()
