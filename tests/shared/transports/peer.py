"""A server that does exactly what a test tells it to do with a socket, and notices when it is left."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Scene = Callable[["Peer"], Awaitable[None]]


@dataclass
class Peer:
    """One connection, from the server's side."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    stage: Stage

    async def asked(self) -> bytes:
        """One whole request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        sizes = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await self.reader.readexactly(sizes[0]) if sizes else b""
        self.stage.requests.append(head + body)
        return head + body

    async def say(self, *pieces: bytes) -> None:
        """Each piece in a packet of its own."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.01)

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def left(self) -> None:
        """Until the other side closes; when that first happened, is noted."""
        try:
            while await self.reader.read(65536):
                pass
        except OSError:
            pass
        if not self.stage.left.done():
            self.stage.left.set_result(time.monotonic())


@dataclass
class Stage:
    """The server."""

    url: str = ""
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    left: asyncio.Future[float] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@asynccontextmanager
async def playing(scene: Scene, context: ssl.SSLContext | None = None) -> AsyncIterator[Stage]:
    stage, tasks = Stage(), set[asyncio.Task[None]]()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        stage.connections += 1
        try:
            await scene(Peer(reader, writer, stage))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(play, "127.0.0.1", 0, ssl=context)
    stage.url = f"{'https' if context else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield stage
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
