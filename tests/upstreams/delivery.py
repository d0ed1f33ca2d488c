"""How one answer's bytes travel, and how they break: it cares for bytes and never for their meaning.

A body is an iterable of `(wait, piece)`: seconds to wait, then bytes to write. Positions (`reset_after` and its
neighbours) count the body's bytes as they travel, that is after gzip, and before chunked framing.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from aiohttp import web

from .stage import frames, reset_connection

Body = Iterable[tuple[float, bytes]]

FOREVER = 24 * 3600.0  # longer than any test; a stalled answer ends when its client hangs up


class Delivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The way an answer travels; the defaults are a healthy one."""

    framing: Literal["chunked", "length", "close"] = "chunked"
    piece: int | None = None  # bytes per write; None: as the answer comes
    pause: float = 0.0  # seconds before each of these writes
    before_head: float = 0.0  # seconds before the status line
    head_drip: float = 0.0  # seconds between the bytes of the head; needs framing "close"
    after_head: float = 0.0  # seconds between the head and the first byte of the body
    reset_after: int | None = None  # RST after so many bytes
    cut_after: int | None = None  # FIN after so many bytes: no terminal chunk, a length never reached
    stall_after: int | None = None  # silence after so many bytes
    gzip: bool = False


def gzipped(body: Body) -> Iterator[tuple[float, bytes]]:
    """The same answer as one gzip stream that is flushed after every piece, as a careful proxy does."""
    press = zlib.compressobj(wbits=31)
    for wait, piece in body:
        yield wait, press.compress(piece) + press.flush(zlib.Z_SYNC_FLUSH)
    yield 0.0, press.flush()


def cut_up(body: Body, size: int, pause: float) -> Iterator[tuple[float, bytes]]:
    """The same bytes in writes of `size`, wherever that cuts."""
    for wait, piece in body:
        for at in range(0, len(piece), size):
            yield (wait if at == 0 else 0.0) + pause, piece[at : at + size]


async def deliver(
    request: web.Request,
    status: int,
    headers: Mapping[str, str],
    body: Body,
    how: Delivery = Delivery(),  # noqa: B008 - frozen
    on_hangup: Callable[..., Any] = lambda **_: None,
    set_cookies: Sequence[str] = (),
) -> web.StreamResponse:
    """Write the answer as `how` says; a client that leaves before its end is reported to `on_hangup(sent=bytes)`."""
    out = _Out(request, status, [*headers.items(), *(("Set-Cookie", one) for one in set_cookies)], how)
    try:
        await asyncio.sleep(how.before_head)
        return await out.run(body)
    except (asyncio.CancelledError, ConnectionError):
        on_hangup(sent=out.sent)
        raise


class _Out:
    """One answer on its way out."""

    def __init__(self, request: web.Request, status: int, headers: list[tuple[str, str]], how: Delivery):
        self._request = request
        self._status = status
        self._headers = headers
        self._how = how
        self._response = web.StreamResponse(status=status)
        self.sent = 0

    async def run(self, body: Body) -> web.StreamResponse:
        how = self._how
        if how.gzip:
            self._headers.append(("Content-Encoding", "gzip"))
            body = gzipped(body)
        if how.piece is not None:
            body = cut_up(body, how.piece, how.pause)
        if how.framing == "length":
            body = list(body)
            self._headers.append(("Content-Length", str(sum(len(piece) for _, piece in body))))
        await self._head()
        await asyncio.sleep(how.after_head)
        ends = {at: end for end in ("reset", "cut", "stall") if (at := getattr(how, f"{end}_after")) is not None}
        limit = min(ends, default=None)
        places: list[int] = []
        for wait, whole in body:
            if wait:
                await asyncio.sleep(wait)
            places.append(len(whole) + (places[-1] if places else 0))
            if len(places) > 1:  # what comes in one piece is no stream
                frames[:] = places
            piece = whole if limit is None else whole[: limit - self.sent]
            if piece:
                await self._write(piece)
                self.sent += len(piece)
            if limit is not None and self.sent >= limit:
                return await self._break(ends[limit])
        if limit is not None:  # the answer was shorter; what was asked for still happens, at its end
            return await self._break(ends[limit])
        return await self._end()

    async def _head(self) -> None:
        if self._how.framing != "close":
            for name, value in self._headers:
                self._response.headers.add(name, value)
            await self._response.prepare(self._request)
            return
        lines = [f"HTTP/1.1 {self._status} {HTTPStatus(self._status).phrase if self._status in _PHRASED else ''}"]
        lines += [f"{name}: {value}" for name, value in [*self._headers, ("Connection", "close")]]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        for at in range(len(head)) if self._how.head_drip else ():
            await self._request.writer.write(head[at : at + 1])
            await asyncio.sleep(self._how.head_drip)
        if not self._how.head_drip:
            await self._request.writer.write(head)

    async def _write(self, piece: bytes) -> None:
        raw = self._how.framing == "close"
        await (self._request.writer.write(piece) if raw else self._response.write(piece))
        if self._how.piece is not None:
            await asyncio.sleep(0)  # let each write reach the socket by itself

    async def _break(self, end: str) -> web.StreamResponse:
        if end == "stall":
            await asyncio.sleep(FOREVER)
        await asyncio.sleep(0.02)  # what was written before the break still arrives
        if end == "reset":
            reset_connection(self._request)
        else:
            self._close()
        return self._response

    async def _end(self) -> web.StreamResponse:
        if self._how.framing == "close":
            self._close()
        else:
            await self._response.write_eof()
        return self._response

    def _close(self) -> None:
        if self._request.transport is not None:
            self._request.transport.close()


_PHRASED = frozenset(status.value for status in HTTPStatus)
