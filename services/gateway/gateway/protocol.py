"""uvicorn's side of a connection, with one change: an answer's head leaves together with the first piece of its body.

ASGI asks for it ("must not start sending the response until it has received at least one body event"), uvicorn writes
the two with a system call each. Between them a gateway could be killed: nginx would have passed on a head whose body
never comes, instead of asking another gateway. It is also a system call less here, and two less in nginx.
"""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import count

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.delivery import PUT

_by_socket = count(1)


class GatewayProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Somebody connected. Who came by a Unix socket has no address; a number tells the connections apart."""
        super().connection_made(transport)
        if self.client is None:
            self.client = ("unix", next(_by_socket))

    def on_headers_complete(self) -> None:
        """A request has come: uvicorn has made the cycle that will answer it."""
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":  # for which no piece would follow
            self.cycle.transport = _Opening(self.cycle)
        if self.scope["method"] == "POST":  # whoever answers takes it out: it refers to what it is in
            self.scope["state"][PUT] = partial(_put, self.cycle)


def _put(cycle: RequestResponseCycle, piece: bytes) -> bool:
    """Write a piece of a streamed body that has begun, unless that has to wait: `send` without message and await."""
    if cycle.flow.write_paused or cycle.disconnected or cycle.response_complete or not cycle.chunked_encoding:
        return False
    if piece:
        cycle.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    return True


class _Opening(asyncio.Transport):
    """Stands before the connection until an answer has begun."""

    __slots__ = ("_cycle", "_head", "_transport")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._transport = cycle.transport
        self._head: bytes | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._cycle.response_started:
            self._transport.write(data)  # 100 Continue
        elif self._head is None:
            self._head = bytes(data)
        else:
            self._cycle.transport = self._transport  # what follows goes out as it comes
            self._transport.writelines((self._head, data))

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()
