"""One connection to an upstream: HTTP/1.1, one exchange at a time, parsed by httptools.

An `Exchange` is one request and its answer, and the byte stream of an `httpx.Response`. It ends in one of three ways:
complete, failed (broken off, silent, not HTTP), or abandoned by us, which closes the connection at once. Only a
complete one leaves its connection usable. A body without a stated length is complete when the upstream closes the
connection properly, and broken off when it resets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Self, cast

import httptools
import httpx

from parley.catalog import Timeouts
from parley.errors import (
    Failure,
    FirstTokenTimeout,
    UpstreamBroken,
    UpstreamMalformed,
    UpstreamStalled,
    UpstreamTruncated,
)
from parley.transports.public import is_public

_LARGEST_HEAD: Final = 256 * 1024
_MOST_UNREAD: Final = 256 * 1024
"""Bytes that may wait for a slow reader before the upstream is not read any more."""

Head = tuple[int, list[tuple[bytes, bytes]]]


class Exchange(httpx.AsyncByteStream):
    """A request under way. `head` comes first; iterating gives the body as it arrives; `aclose` abandons the rest."""

    def __init__(self, connection: Connection, timeouts: Timeouts) -> None:
        self._loop = connection.loop
        self.head: asyncio.Future[Head] = self._loop.create_future()
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._connection = connection
        self._timeouts = timeouts
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._sized = False
        self._parts: list[bytes] = []
        self._unread = 0
        self._paused = False
        self._reader: asyncio.Future[None] | None = None
        self._taker: Callable[[list[bytes]], bool] | None = None
        self.complete = False
        self._failure: Failure | None = None
        self._heard = 0.0
        self._asked = self._loop.time()
        self._timer = self._loop.call_later(timeouts.first_token, self._look)

    @property
    def unheard(self) -> bool:
        """Whether nothing of an answer has come."""
        return not self._heard

    # --- what the upstream does: called by the connection ---

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._heard = self._loop.time()
        if not self.head.done():
            self._head_size += len(data)
            if self._head_size > _LARGEST_HEAD:
                self.fail(UpstreamMalformed("The upstream's answer has an endless head."))
                return
        assert self._parser is not None  # noqa: S101  # an ended exchange is not given bytes any more
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.fail(UpstreamMalformed("The upstream's answer is not HTTP."))
            return
        if self._parts:
            waits = self._reader is not None and not self._reader.done()  # then all that is unread came just now
            if waits and self._taker is not None and self._taker(self._parts):
                self._unread = 0
                return
            self._wake()
        if self._unread > _MOST_UNREAD and not self._paused:
            self._paused = True
            self._connection.pause(True)

    def connection_lost(self, problem: Exception | None) -> None:
        """The connection is gone."""
        if self.head.done():
            if problem is None and not self._sized:
                self._end()
            else:
                self.fail(UpstreamTruncated("The upstream's answer broke off."))
        else:
            self.fail(UpstreamBroken("The upstream closed the connection before it answered."))

    # --- what the parser finds ---

    def on_message_begin(self) -> None:
        """A head begins; after the end, it is an answer that nobody asked for."""
        if self.complete:
            self._connection.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers.append((name, value))
        lower = name.lower()
        if lower == b"content-length" or (lower == b"transfer-encoding" and value.lower().endswith(b"chunked")):
            self._sized = True

    def on_headers_complete(self) -> None:
        """The head is whole."""
        assert self._parser is not None  # noqa: S101  # it is what calls
        status: int = self._parser.get_status_code()
        if status < 200:  # "early hints" and the like; the answer is still to come
            self._headers = []
            return
        if status in (204, 304):
            self._sized = True
        if not self.head.done():
            self.head.set_result((status, self._headers))

    def on_body(self, part: bytes) -> None:
        """A piece of the body."""
        self._parts.append(part)
        self._unread += len(part)

    def on_message_complete(self) -> None:
        """The body is whole."""
        if self.head.done() and self._parser is not None:
            self._end(reusable=self._parser.should_keep_alive())

    # --- what the reader does ---

    def offer(self, taker: Callable[[list[bytes]], bool]) -> None:
        """Give `taker` what comes while the reader waits. It may take pieces out, and say that he can go on waiting."""
        if self._parser is not None:  # else nothing comes any more
            self._taker = taker

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The body in the pieces that have arrived. Raises UpstreamTruncated, UpstreamStalled, UpstreamMalformed."""
        while not self._parts:
            if self._failure is not None:
                raise self._failure
            if self.complete:
                raise StopAsyncIteration
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        part = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._unread = 0
        if self._paused:
            self._paused = False
            self._connection.pause(False)
        return part

    async def aclose(self) -> None:
        """Close the connection, unless the answer is complete."""
        self.abandon()

    def abandon(self) -> None:
        """Nobody wants the rest."""
        if not self.complete:
            self.fail(UpstreamTruncated("The answer was abandoned."))
        self.head.cancel()

    def fail(self, failure: Failure) -> None:
        """End the exchange with its connection."""
        if self.complete or self._failure is not None:
            return
        self._failure = failure
        self._timer.cancel()
        self._parser = self._taker = None  # they refer to us: without this, only the garbage collector would free all
        self._connection.abort()
        if not self.head.done():
            self.head.set_exception(failure)
            self.head.exception()  # whoever waited is told; if nobody does any more, that is no mishap
        self._wake()

    # --- inside ---

    def _end(self, *, reusable: bool = False) -> None:
        if self.complete or self._failure is not None:
            return
        self.complete = True
        self._timer.cancel()
        self._parser = self._taker = None
        self._connection.release(reusable=reusable)
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _look(self) -> None:
        """See whether the upstream has been silent for too long; one timer for the whole exchange."""
        times, waiting_for_head = self._timeouts, not self.head.done()
        longest = times.first_token if waiting_for_head else max(times.first_token, times.between_tokens)
        silent = self._loop.time() - max(self._heard, self._asked)
        if silent < longest or self._parts:  # what nobody has read yet is not the upstream's silence
            self._timer = self._loop.call_later(max(longest - silent, 1.0), self._look)
        elif waiting_for_head:
            self.fail(FirstTokenTimeout("The upstream did not answer in time."))
        else:
            self.fail(UpstreamStalled("The upstream fell silent."))


class Connection(asyncio.Protocol):
    """A connection, and the exchange that it serves. `freed` is called when it can serve the next one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, freed: Callable[[Connection], None]) -> None:
        self.loop = loop
        self.idle_since = 0.0
        self._freed = freed
        self._exchange: Exchange | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def usable(self) -> bool:
        """Whether the next request can be sent."""
        return self._transport is not None and not self._transport.is_closing() and self._exchange is None

    @property
    def public(self) -> bool:
        """Whether the other end is known to be on the public internet."""
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return is_public(peer[0]) if peer else False

    def ask(self, request: bytes, timeouts: Timeouts) -> Exchange:
        """Send a request; the connection must be usable."""
        assert self._transport is not None  # noqa: S101  # for the type checker: `usable` says so
        self._exchange = Exchange(self, timeouts)
        self._transport.write(request)
        return self._exchange

    def pause(self, paused: bool) -> None:
        """Stop or go on reading."""
        if self._transport is not None and not self._transport.is_closing():
            if paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._exchange = None
        if self._transport is not None:
            self._transport.abort()

    def release(self, *, reusable: bool) -> None:
        """The exchange is complete."""
        transport, self._exchange = self._transport, None
        # An upstream that answered before it read the whole question will not read another one right.
        if transport is None or transport.is_closing() or not reusable or transport.get_write_buffer_size():
            self.abort()
        else:
            self.idle_since = self.loop.time()
            self._freed(self)

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came; unasked ones end the connection."""
        if self._exchange is not None:
            self._exchange.data_received(data)
        else:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by whomever."""
        exchange, self._exchange, self._transport = self._exchange, None, None
        if exchange is not None:
            exchange.connection_lost(exc)
