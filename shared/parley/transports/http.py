"""HTTP to upstreams. Providers see httpx's Response; connections are our own, or httpx's where a proxy is in between.

Rules kept here: redirects are never followed (they would carry a credential elsewhere); leaving a stream before its end
closes its connection at once; cookies are nobody's (no jar), so that two credentials never share one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final, cast

import httpx

from parley.catalog import Timeouts
from parley.errors import (
    FirstTokenTimeout,
    Unreachable,
    UpstreamBroken,
    UpstreamFailure,
    UpstreamMalformed,
    UpstreamStalled,
    UpstreamTruncated,
)
from parley.leases import Lease
from parley.transports.connection import Exchange
from parley.transports.direct import Direct
from parley.transports.hearing import Hearing, Reads

LARGEST_BODY: Final = 8 * 2**20
"""Most bytes of an answer that is read whole (model lists, error pages)."""

_MOMENT: Final = 0.05


class HTTP:
    """The HTTP transport of one process. Connections are kept alive per upstream and proxy."""

    def __init__(self) -> None:
        self._direct = Direct()
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
        public: bool = False,
    ) -> AsyncIterator[httpx.Response]:
        """Send a request; the response's `stream` gives bytes as they arrive, as they were sent.

        Raises Unreachable, UpstreamBroken (closed before it answered), FirstTokenTimeout; then UpstreamTruncated,
        UpstreamStalled, UpstreamMalformed. Limits on how long an answer may take are the relay's; those here only catch
        an upstream that says nothing at all, not even a comment.

        `public`: a host that is not on the public internet is Unreachable. Through a proxy, what is reached is the
        proxy's to see to.
        """
        headers = {"accept-encoding": "identity", **headers}
        if proxy:
            response = await self._through(proxy, _request(method, url, headers, content, timeouts))
        else:
            response = await self._direct.send(method, url, headers, content, timeouts, public=public)
        try:
            yield response
        except httpx.DecodingError as problem:
            raise UpstreamMalformed("The upstream's answer is not compressed as it says.") from problem
        except httpx.ReadTimeout as silent:
            raise UpstreamStalled("The upstream fell silent.") from silent
        except httpx.TransportError as broken:
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
        public: bool = False,
    ) -> httpx.Response:
        """Send a request and read its answer whole, uncompressed, within `timeouts.total`.

        Raises as `stream` does, and UpstreamMalformed when the answer is too large.
        """
        try:
            async with (
                asyncio.timeout(timeouts.total),
                self.stream(
                    method, url, headers=headers, content=content, timeouts=timeouts, proxy=proxy, public=public
                ) as response,
            ):
                return await self.read(response)
        except TimeoutError as late:
            raise FirstTokenTimeout("The upstream did not answer in time.") from late

    @staticmethod
    def chunks(response: httpx.Response) -> AsyncIterator[bytes]:
        """The body of a streamed answer, as it arrives. Raises as `stream` does."""
        if "content-encoding" in response.headers:  # in spite of our asking for none: httpx decodes it
            return response.aiter_bytes()
        return aiter(cast(httpx.AsyncByteStream, response.stream))  # httpx's own decoders cost time for each chunk

    @staticmethod
    def events(chunks: AsyncIterator[bytes], body: Reads, lease: Lease) -> Hearing:
        """The events that `body` reads in `chunks`, until it is done or they end. Raises as both do."""
        return Hearing(chunks, body, lease)

    @staticmethod
    async def read(response: httpx.Response) -> httpx.Response:
        """Read the rest of a streamed answer, for its error page. Raises UpstreamMalformed when it is too large."""
        parts: list[bytes] = []
        size = 0
        async for part in HTTP.chunks(response):
            size += len(part)
            if size > LARGEST_BODY:
                raise UpstreamMalformed("The upstream's answer is too large.")
            parts.append(part)
        # What describes the body as it travelled is not true of it any more.
        travelled = ("content-encoding", "transfer-encoding", "content-length")
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in travelled]
        return httpx.Response(response.status_code, headers=headers, content=b"".join(parts))

    @staticmethod
    async def rest(response: httpx.Response, parts: AsyncIterator[bytes]) -> None:
        """Wait a moment for the end of a body whose meaning ended before: then its connection can be used again."""
        if not (isinstance(response.stream, Exchange) and response.stream.complete):
            with suppress(TimeoutError, UpstreamFailure, httpx.TransportError):
                async with asyncio.timeout(_MOMENT):
                    async for _ in parts:
                        pass

    async def aclose(self) -> None:
        """Close every idle connection."""
        self._direct.close()
        for transport in self._proxied.values():
            await transport.aclose()

    async def _through(self, proxy: str, request: httpx.Request) -> httpx.Response:
        """Send a request through a proxy. Raises as `stream` does."""
        try:
            if proxy not in self._proxied:
                kept = httpx.Limits(max_connections=None, max_keepalive_connections=20)
                self._proxied[proxy] = httpx.AsyncHTTPTransport(proxy=proxy, limits=kept, trust_env=False)
            return await self._proxied[proxy].handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as problem:
            raise Unreachable("The upstream cannot be reached.") from problem
        except httpx.TimeoutException as late:
            raise FirstTokenTimeout("The upstream did not answer in time.") from late
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError) as problem:
            raise Unreachable("The proxy's URL is not one.") from problem
        except httpx.TransportError as problem:
            raise UpstreamBroken("The upstream closed the connection before it answered.") from problem


def _request(method: str, url: str, headers: Mapping[str, str], content: bytes, timeouts: Timeouts) -> httpx.Request:
    """A request as httpx wants it. Raises Unreachable."""
    limits = {
        "connect": timeouts.connect,
        "read": max(timeouts.first_token, timeouts.between_tokens),
        "write": timeouts.first_token,
    }
    try:
        return httpx.Request(method, url, headers=headers, content=content, extensions={"timeout": limits})
    except httpx.InvalidURL as problem:
        raise Unreachable("The upstream's base URL is not one.") from problem
