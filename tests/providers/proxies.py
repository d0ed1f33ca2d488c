"""Two proxies on loopback, an HTTP one and a SOCKS5 one, that remember through whom what was asked.

with Proxies() as proxies:
    proxies.http, proxies.socks         # their URLs
    proxies.used                        # {"http": 3, "socks5": 1}: what was sent through each, in pieces
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from types import TracebackType
from typing import Any, Self

_FORWARD = re.compile(rb"^(?P<method>[A-Z]+) http://(?P<place>[^/ ]+)(?P<path>/?[^ ]*) HTTP/1\.1\r\n")
_CONNECT = re.compile(rb"^CONNECT (?P<place>\S+) HTTP/1\.[01]\r\n")


class Proxies:
    """Both of them, in a thread with an event loop of its own, for the length of a `with` block."""

    def __init__(self) -> None:
        self.used: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._going: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._servers = [self._do(asyncio.start_server(serve, "127.0.0.1", 0)) for serve in (self._http, self._socks)]
        http, socks = (server.sockets[0].getsockname()[1] for server in self._servers)
        self.http, self.socks = f"http://127.0.0.1:{http}", f"socks5://127.0.0.1:{socks}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._going:
            task.cancel()
        await asyncio.gather(*self._going, return_exceptions=True)

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with _Kept(self._going, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            if tunnel := _CONNECT.match(head):
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await self._pass("http", tunnel["place"], b"", reader, writer)
            elif asked := _FORWARD.match(head):
                # One request for each connection, so that each has its first line rewritten.
                line = b"%s %s HTTP/1.1\r\nConnection: close\r\n" % (asked["method"], asked["path"] or b"/")
                kept = re.sub(rb"(?im)^(proxy-)?connection:[^\r]*\r\n", b"", head[asked.end() :])
                await self._pass("http", asked["place"], line + kept, reader, writer)

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with _Kept(self._going, writer):
            _, methods = await reader.readexactly(2)
            await reader.readexactly(methods)
            writer.write(b"\x05\x00")
            *_, kind = await reader.readexactly(4)
            if kind == 3:
                host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
            else:
                host = ".".join(map(str, await reader.readexactly(4)))
            port = int.from_bytes(await reader.readexactly(2), "big")
            writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x01")
            await self._pass("socks5", f"{host}:{port}".encode(), b"", reader, writer)

    async def _counted(self, through: str, source: asyncio.StreamReader) -> AsyncIterator[bytes]:
        async for piece in _pieces(source):
            self.used[through] += 1
            yield piece

    async def _pass(
        self, through: str, place: bytes, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Both directions, until either side leaves."""
        host, _, port = place.decode().partition(":")
        there, theirs = await asyncio.open_connection(host, int(port))
        with _Kept(self._going, theirs):
            theirs.write(first)
            self.used[through] += bool(first)
            ways = [
                asyncio.create_task(_pump(self._counted(through, reader), theirs)),
                asyncio.create_task(_pump(_pieces(there), writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)


async def _pieces(source: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await source.read(65536):
        yield piece


async def _pump(source: AsyncIterator[bytes], sink: asyncio.StreamWriter) -> None:
    async for piece in source:
        sink.write(piece)
        await sink.drain()


class _Kept:
    """A connection that is closed at the end, and whose failures are its own."""

    def __init__(self, going: set[asyncio.Task[None]], writer: asyncio.StreamWriter):
        self._going, self._writer = going, writer

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._going.add(task)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        self._writer.close()
        return isinstance(error, OSError | EOFError)
