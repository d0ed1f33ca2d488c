"""Stand-in gateways and a stand-in name server, so that nginx.conf can be tested without Parley behind it.

A replica does what the path of a request says:

    /tell...     says what arrived, as JSON                 /paced    sends 10 pieces, 50 ms apart
    /hold        answers nothing until hung up on           /die      breaks the connection without a byte
    /late        as /tell, after three seconds
    /half        begins an answer, then breaks it           /own502   a failure in its own words
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import web


class Replica:
    """One stand-in gateway. `hangups` are the moments at which a caller left before the end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: list[dict[str, Any]] = []
        self.hangups: list[float] = []
        self.gentle = True
        """False: `/tell` and `/late` die instead."""

    @asynccontextmanager
    async def listening(self, host: str = "127.0.0.1", port: int = 0):
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        # handler_cancellation: a caller that leaves is noticed at once, as uvicorn does.
        runner = web.AppRunner(app, handler_cancellation=True, keepalive_timeout=75, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        self.address = f"{host}:{site._server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        arrived = {
            "replica": self.name,
            "method": request.method,
            "target": request.raw_path,
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "bytes": len(body),
        }
        self.seen.append(arrived)
        own = {"x-request-id": request.headers.get("x-request-id", "none came")}
        try:
            return await self._act(request, arrived, own)
        except asyncio.CancelledError:
            self.hangups.append(time.monotonic())
            raise

    async def _act(self, request: web.Request, arrived: dict[str, Any], own: dict[str, str]) -> web.StreamResponse:
        path = request.path
        if path == "/late":
            await asyncio.sleep(3)
        if path == "/die" or (path.startswith(("/tell", "/late")) and not self.gentle):
            request.transport.abort()
            return web.Response()
        if path == "/hold":
            await asyncio.sleep(60)
        if path == "/own502":
            return web.json_response({"error": {"code": "upstream_unreachable"}}, status=502, headers=own)
        if path in {"/paced", "/half"}:
            stream = web.StreamResponse(headers={"content-type": "text/event-stream", **own})
            await stream.prepare(request)
            for number in range(10):
                await stream.write(f"data: {number}\n\n".encode())
                await asyncio.sleep(0.05)
                if path == "/half" and number == 3:
                    request.transport.abort()
            await stream.write_eof()
            return stream
        return web.json_response(arrived, headers=own)


@contextmanager
def deaf(host: str, port: int):
    """A listener that takes no connection and refuses none, as the address of a container that is gone."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:  # its queue is full now
            one.setblocking(False)
            one.connect_ex((host, port))
        try:
            yield
        finally:
            for one in waiting:
                one.close()


class NameServer:
    """Answers with the addresses it holds just now, as Docker's own does for a service; `others` by their names."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.others: dict[bytes, list[str]] = {}

    @asynccontextmanager
    async def listening(self):
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Names(self), local_addr=("127.0.0.1", 0))
        self.address = "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
        try:
            yield self
        finally:
            transport.close()


class _Names(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, question: bytes, sender: Any) -> None:
        name_end = question.index(b"\0", 12) + 1
        kind, _class = struct.unpack_from("!HH", question, name_end)
        name = question[13 : 13 + question[12]]
        found = self._server.others.get(name, self._server.addresses) if kind == 1 else []  # A records only
        head = question[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0)
        records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 600, 4) + socket.inet_aton(a) for a in found)
        self._transport.sendto(head + question[12 : name_end + 4] + records, sender)
