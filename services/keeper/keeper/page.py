"""The keeper's one page: GET /metrics, for Prometheus on the inside network.

`KEEPER_BIND` says where (HOST:PORT, else 127.0.0.1:8001). A keeper that cannot listen there keeps all the same.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from parley.metrics import CONTENT_TYPE

_PATIENCE: Final = 5.0
_LONGEST_HEAD: Final = 8192
_NOTHING: Final = b"Nothing lives at this path.\n"

log = logging.getLogger(__name__)


@asynccontextmanager
async def served(page: Callable[[], bytes], bind: str = "") -> AsyncIterator[tuple[str, int] | None]:
    """Serve `page` meanwhile; the address, or None where nobody can listen there."""
    host, _, port = (bind or os.environ.get("KEEPER_BIND") or "127.0.0.1:8001").rpartition(":")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_answered(head, page))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked is gone, or no client of HTTP
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(answer, host.strip("[]"), int(port), limit=_LONGEST_HEAD)
    except (OSError, ValueError) as problem:
        log.warning("no /metrics at %s:%s: %s", host, port, problem)
        yield None
        return
    async with server:
        address: tuple[str, int] = server.sockets[0].getsockname()[:2]
        yield address


def _answered(head: bytes, page: Callable[[], bytes]) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method not in (b"GET", b"HEAD") or path != b"/metrics":
        return _response(b"404 Not Found", "text/plain; charset=utf-8", _NOTHING, method)
    return _response(b"200 OK", CONTENT_TYPE, page(), method)


def _response(status: bytes, kind: str, body: bytes, method: bytes) -> bytes:
    head = b"HTTP/1.1 %s\r\ncontent-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return head % (status, kind.encode(), len(body)) + (b"" if method == b"HEAD" else body)
