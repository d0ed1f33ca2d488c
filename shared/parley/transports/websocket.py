"""WebSockets to upstreams, on the websockets library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, ProxyError, WebSocketException

from parley.catalog import Timeouts
from parley.errors import FirstTokenTimeout, Unreachable, UpstreamMalformed, UpstreamTruncated

LARGEST_MESSAGE: Final = 32 * 2**20
_BROKEN_FRAMES: Final = frozenset({1002, 1003, 1007, 1009})


class HandshakeRefused(Exception):
    """The upstream answered the handshake with an HTTP status; what it means is for the provider to say."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"handshake answered with {status}")
        self.status = status
        self.headers = headers
        self.body = body


class Socket:
    """An open socket: text out, text in."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        """Send one text message. Raises UpstreamTruncated when the socket is closed."""
        try:
            await self._connection.send(text)
        except ConnectionClosed as closed:
            raise UpstreamTruncated("The upstream closed the socket.") from closed

    async def __aiter__(self) -> AsyncIterator[str]:
        """Messages until the upstream closes the socket, in whatever way. Raises UpstreamMalformed."""
        while True:
            try:
                message = await self._connection.recv()
            except ConnectionClosed as closed:
                ours = closed.sent.code if closed.sent else 0
                if not closed.rcvd_then_sent and ours in _BROKEN_FRAMES:
                    raise UpstreamMalformed("The upstream sent a message that cannot be read.") from closed
                return
            try:
                yield message if isinstance(message, str) else message.decode()
            except UnicodeDecodeError as wrong:
                raise UpstreamMalformed("The upstream sent a message that is not UTF-8.") from wrong

    async def close(self) -> None:
        """Say goodbye properly (code 1000), without waiting for the answer longer than a moment."""
        await self._connection.close()


class _Brief(ClientConnection):
    """Does not wait, once both sides have said goodbye, for the upstream to close the connection first."""

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        super().data_received(data)
        if self.protocol.close_expected():
            self.transport.close()


class _Direct(connect):
    """Follows no redirect: where a handshake is sent to sign in, that is its answer."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """The answer itself."""
        return exc


class WebSockets:
    """Opens sockets; keeps nothing."""

    @asynccontextmanager
    async def connect(
        self, url: str, *, headers: Mapping[str, str], timeouts: Timeouts, proxy: str | None = None
    ) -> AsyncIterator[Socket]:
        """Open a socket. Leaving the block closes it at once, politely or not.

        Raises HandshakeRefused, Unreachable, FirstTokenTimeout.
        """
        more = dict(headers)
        agent = next((more.pop(name) for name in list(more) if name.lower() == "user-agent"), None)
        origin = next((more.pop(name) for name in list(more) if name.lower() == "origin"), None)
        try:
            connection = await _Direct(
                url,
                additional_headers=more,
                user_agent_header=agent,
                origin=origin,  # type: ignore[arg-type]  # a NewType of str
                proxy=proxy,
                compression=None,
                open_timeout=timeouts.connect,
                ping_interval=None,
                close_timeout=1,
                max_size=LARGEST_MESSAGE,
                create_connection=_Brief,
            )
        except InvalidStatus as refused:
            response = refused.response
            raise HandshakeRefused(response.status_code, response.headers, bytes(response.body or b"")) from refused
        except TimeoutError as late:
            raise FirstTokenTimeout("The upstream did not open the socket in time.") from late
        except (OSError, ProxyError) as problem:
            raise Unreachable("The upstream cannot be reached.") from problem
        except (InvalidHandshake, WebSocketException) as problem:
            raise Unreachable("The upstream did not open a socket.") from problem
        try:
            yield Socket(connection)
        finally:
            await _leave(connection)


async def _leave(connection: ClientConnection) -> None:
    """End the connection now. A goodbye that would have to be waited for is not waited for: the caller may be gone."""
    transport = connection.transport
    closing = asyncio.ensure_future(connection.close())
    try:
        await asyncio.wait({closing}, timeout=0.02)
    finally:
        if not closing.done():
            transport.abort()
            closing.cancel()
