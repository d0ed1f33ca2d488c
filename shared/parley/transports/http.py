"""HTTP to upstreams: httpx's Request and Response over aiohttp's connections, without httpx's client between them.

Rules kept here: redirects are never followed (they would carry a credential elsewhere); leaving a stream before its end
closes its connection at once; cookies are nobody's (no jar), so that two credentials never share one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from parley.catalog import Timeouts
from parley.errors import FirstTokenTimeout, Unreachable, UpstreamBroken, UpstreamMalformed, UpstreamTruncated

LARGEST_BODY: Final = 8 * 2**20
"""Most bytes of an answer that is read whole (model lists, error pages)."""

_CLOSED: Final = (httpx.ReadError, httpx.RemoteProtocolError, httpx.CloseError, aiohttp.ClientError, OSError)

_DROPPED: Final = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


class HTTP:
    """The HTTP transport of one process. Connections are kept alive per upstream and proxy."""

    def __init__(self) -> None:
        self._direct: AiohttpTransport | None = None
        self._proxied: dict[str, httpx.AsyncHTTPTransport] = {}

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeouts: Timeouts,
        proxy: str | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Send a request; the response's `stream` gives bytes as they arrive, as they were sent.

        Raises Unreachable, UpstreamBroken (closed before it answered), FirstTokenTimeout; then UpstreamTruncated.
        """
        request = httpx.Request(
            method,
            url,
            headers={"accept-encoding": "identity", **headers},
            content=content,
            extensions={
                "timeout": {
                    "connect": timeouts.connect,
                    "pool": None,
                    "read": max(timeouts.first_token, timeouts.between_tokens),
                    "write": timeouts.first_token,
                }
            },
        )
        response = await self._send(request, proxy)
        try:
            yield response
        except (httpx.ReadTimeout, TimeoutError) as silent:
            raise FirstTokenTimeout("The upstream fell silent.") from silent
        except _CLOSED as broken:
            raise UpstreamTruncated("The upstream's answer broke off.") from broken
        finally:
            await response.aclose()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeouts: Timeouts,
        proxy: str | None = None,
    ) -> httpx.Response:
        """Send a request and read its answer whole, uncompressed. Raises as `stream` does, and UpstreamMalformed."""
        async with self.stream(
            method, url, headers=headers, content=content, timeouts=timeouts, proxy=proxy
        ) as response:
            return await self.read(response)

    @staticmethod
    async def read(response: httpx.Response) -> httpx.Response:
        """Read the rest of a streamed answer, for its error page. Raises UpstreamMalformed when it is too large."""
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > LARGEST_BODY:
                raise UpstreamMalformed("The upstream's answer is too large.")
            parts.append(part)
        headers = [(name, value) for name, value in response.headers.multi_items() if name != "content-encoding"]
        return httpx.Response(response.status_code, headers=headers, content=b"".join(parts), request=response.request)

    async def aclose(self) -> None:
        """Close every idle connection."""
        if self._direct is not None:
            await self._direct.aclose()
        for transport in self._proxied.values():
            await transport.aclose()

    async def _send(self, request: httpx.Request, proxy: str | None) -> httpx.Response:
        transport = self._transport(proxy)
        try:
            return await transport.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as problem:
            cause = problem.__cause__
            if isinstance(cause, _DROPPED) and not isinstance(cause, aiohttp.ClientConnectorError):
                raise UpstreamBroken("The upstream closed the connection before it answered.") from problem
            raise Unreachable("The upstream cannot be reached.") from problem
        except (httpx.TimeoutException, TimeoutError) as problem:
            raise FirstTokenTimeout("The upstream did not answer in time.") from problem
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as problem:
            raise Unreachable("The upstream's base URL is not one.") from problem
        except _CLOSED as problem:
            raise UpstreamBroken("The upstream closed the connection before it answered.") from problem

    def _transport(self, proxy: str | None) -> httpx.AsyncBaseTransport:
        if proxy:
            if proxy not in self._proxied:
                limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
                self._proxied[proxy] = httpx.AsyncHTTPTransport(proxy=proxy, limits=limits)
            return self._proxied[proxy]
        if self._direct is None:
            # limit=0 is unlimited; left out, aiohttp caps a process at 100 connections without a word.
            self._direct = AiohttpTransport(client=_session)
        return self._direct


def _session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30, loop=asyncio.get_running_loop())
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept"),
        auto_decompress=False,
        read_bufsize=2**16,
    )
