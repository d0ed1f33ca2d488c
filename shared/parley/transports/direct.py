"""Connections to upstreams, kept open between answers: per scheme, host and port, without an upper limit.

Written because the client library that was here took most of a request's time (`docs/performance.md`), let a question
fail that met the end of a kept connection, and took a reset for the proper end of a body without a length.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import httpx

from parley.catalog import Timeouts
from parley.errors import Unreachable, UpstreamBroken
from parley.transports.connection import Connection

_KEPT: Final = 15.0
"""Seconds that an unused connection is kept."""
_SOON: Final = 1.0
"""A kept connection that ends so soon (seconds) after a question had ended before it: the question is asked again."""


class Origin(NamedTuple):
    """Where a connection leads."""

    host: str
    port: int
    encrypted: bool
    public: bool = False
    """Whether it may only lead to the public internet."""


class Direct:
    """Sends requests without a proxy."""

    def __init__(self) -> None:
        self._idle: defaultdict[Origin, list[Connection]] = defaultdict(list)
        self._context: ssl.SSLContext | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes,
        timeouts: Timeouts,
        *,
        public: bool = False,
    ) -> httpx.Response:
        """Return the answer when its head is there. Raises Unreachable, UpstreamBroken, FirstTokenTimeout.

        `public`: what the address's host turns out to be must be on the public internet, else it is sent nothing.
        """
        origin, host, target = _place(url)
        if public:
            origin = origin._replace(public=True)
        request = _head(method, target, host, headers, content) + content
        loop = asyncio.get_running_loop()
        while True:
            connection = self._kept(origin)
            kept = connection is not None
            if connection is None:
                connection = await self._connect(loop, origin, timeouts.connect)
            sent = loop.time()
            exchange = connection.ask(request, timeouts)
            try:
                status, received = await exchange.head
            except UpstreamBroken:
                if not (kept and exchange.unheard and loop.time() - sent < _SOON):
                    raise
            except BaseException:
                exchange.abandon()
                raise
            else:
                response = httpx.Response(status, headers=received, stream=exchange)
                response.headers.encoding = "latin-1"  # else each answer is searched for the one it could be
                return response

    def close(self) -> None:
        """Close every idle connection."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    def _kept(self, origin: Origin) -> Connection | None:
        connections = self._idle[origin]
        while connections:
            connection = connections.pop()  # the freshest: it is the least likely to have been closed
            if connection.usable:
                return connection
        return None

    async def _connect(self, loop: asyncio.AbstractEventLoop, origin: Origin, patience: float) -> Connection:
        def made() -> Connection:
            return Connection(loop, lambda connection: self._free(origin, connection))

        try:
            async with asyncio.timeout(patience):
                _, connection = await loop.create_connection(
                    made, origin.host, origin.port, ssl=self._tls() if origin.encrypted else None
                )
        except (OSError, TimeoutError, UnicodeError) as problem:
            raise Unreachable("The upstream cannot be reached.") from problem
        # Looked at here and not before: a name may lead elsewhere each time that it is looked up.
        if origin.public and not connection.public:
            connection.abort()
            raise Unreachable("The address does not lead to the public internet.")
        return connection

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = httpx.create_ssl_context()
            self._context.set_alpn_protocols(["http/1.1"])
        return self._context

    def _free(self, origin: Origin, connection: Connection) -> None:
        self._idle[origin].append(connection)
        if self._sweep is None:
            self._sweep = connection.loop.call_later(_KEPT, self._close_old, connection.loop)

    def _close_old(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweep = None
        oldest = loop.time() - _KEPT
        for origin, connections in list(self._idle.items()):
            young = [connection for connection in connections if connection.idle_since > oldest and connection.usable]
            for connection in connections:
                if connection not in young:
                    connection.abort()
            if young:
                self._idle[origin] = young
            else:
                del self._idle[origin]
        if self._idle:
            self._sweep = loop.call_later(_KEPT / 3, self._close_old, loop)


@lru_cache(maxsize=512)
def _place(url: str) -> tuple[Origin, str, str]:
    """Where an address leads, its Host header, and what is asked for there. Raises Unreachable."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as problem:
        raise Unreachable("The upstream's base URL is not one.") from problem
    encrypted = parsed.scheme == "https"
    port = parsed.port or (443 if encrypted else 80)
    if parsed.scheme not in ("http", "https") or not parsed.host or port > 65535:
        raise Unreachable("The upstream's base URL is not one.")
    host = parsed.raw_host.decode("ascii")
    return Origin(host, port, encrypted), parsed.netloc.decode("ascii"), parsed.raw_path.decode("ascii")


def _head(method: str, target: str, host: str, headers: Mapping[str, str], content: bytes) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if content or method in ("POST", "PUT", "PATCH"):
        lines.append(f"content-length: {len(content)}")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise ValueError("a header holds a line end")  # and no word of it here: it may be a secret
    return text.encode() + b"\r\n\r\n"
