"""The site as one account's browser reaches it: the headers of the page's own calls, by the transport wished for."""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from parley.dialects import claude_web as dialect
from parley.dialects.challenge import is_page
from parley.errors import FirstTokenTimeout, UpstreamMalformed
from parley.leases import Credential, Place
from parley.providers.claude_web.options import SITE, Options
from parley.transports import Net
from parley.transports.http import LARGEST_BODY

_CALL_SECONDS: Final = 30.0
_AGENT: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)
"""For the plain transport; the browser-like one has a name that fits its way of connecting."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer under way."""

    status: int
    headers: Mapping[str, str]
    set_cookies: list[str]
    pieces: AsyncIterator[bytes]

    async def read(self, most: int = LARGEST_BODY) -> bytes:
        """The whole body. Raises UpstreamMalformed when it is too large."""
        body = bytearray()
        async for piece in self.pieces:
            body += piece
            if len(body) > most:
                raise UpstreamMalformed("The upstream's answer is too large.")
        return bytes(body)


@dataclass(frozen=True, slots=True)
class Site:
    """One account at one place."""

    net: Net
    place: Place
    credential: Credential
    options: Options

    @property
    def key(self) -> dialect.Key:
        """The cookie as it was pasted, or renewed since."""
        return dialect.Key(self.credential.part(self.part))

    @property
    def part(self) -> str:
        """How the cookie is called among the parts of the credential."""
        return "cookie" if "cookie" in self.credential.parts else "value"

    @asynccontextmanager
    async def ask(
        self, method: str, path: str, body: Any = None, *, accept: str = "application/json", chat: str = ""
    ) -> AsyncIterator[Reply]:
        """Send a call as the page does. Raises what the transport raises, CredentialRejected."""
        content = b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = self._headers(method, accept, chat, typed=body is not None)
        if self.options.transport == "browser":
            async with self.net.browser.stream(
                method,
                self._base + path,
                headers=headers,
                content=content,
                timeouts=self.place.timeouts,
                proxy=self.place.proxy,
            ) as page:
                yield Reply(page.status, page.headers, page.set_cookies, aiter(page))
        else:
            async with self.net.http.stream(
                method,
                self._base + path,
                headers=headers,
                content=content,
                timeouts=self.place.timeouts,
                proxy=self.place.proxy,
            ) as answer:
                pieces = self.net.http.chunks(answer)
                yield Reply(answer.status_code, answer.headers, answer.headers.get_list("set-cookie"), pieces)

    async def call(self, method: str, path: str, body: Any = None, *, chat: str = "") -> tuple[Reply, bytes]:
        """A short call, and its answer read whole. Raises as `ask` does, and FirstTokenTimeout."""
        try:
            async with asyncio.timeout(_CALL_SECONDS), self.ask(method, path, body, chat=chat) as reply:
                return reply, await reply.read()
        except TimeoutError as late:
            raise FirstTokenTimeout("The upstream did not answer in time.") from late

    async def told(self, method: str, path: str, *, chat: str = "") -> Any:
        """The JSON that a short call is answered with. Raises Failure."""
        reply, content = await self.call(method, path, chat=chat)
        if reply.status not in (200, 201, 202):
            raise dialect.refusal(reply.status, reply.headers, content)
        try:
            return msgspec.json.decode(content)
        except (msgspec.DecodeError, UnicodeError) as problem:
            if is_page(reply.headers.get("content-type", ""), content):
                raise dialect.refusal(reply.status, reply.headers, content) from problem
            raise UpstreamMalformed("The upstream answered something that is not JSON.") from problem

    @property
    def _base(self) -> str:
        return self.place.base_url or SITE

    def _headers(self, method: str, accept: str, chat: str, *, typed: bool) -> dict[str, str]:
        place = urllib.parse.urlsplit(self._base)
        origin = f"{place.scheme}://{place.netloc}"
        headers = {
            "Accept": accept,
            "Accept-Language": "en-US,en;q=0.5",
            "Referer": f"{origin}/chat/{chat}" if chat else f"{origin}/new",
            "Sec-Fetch-Dest": "empty",
            "Sec-Fetch-Mode": "cors",
            "Sec-Fetch-Site": "same-origin",
            "anthropic-client-platform": "web_claude_ai",
            "anthropic-device-id": self.key["anthropic-device-id"] or dialect.device(self.credential.id),
            "Cookie": self.key.header(whole=self.options.whole_cookie),
        }
        if method != "GET":
            headers["Origin"] = origin
        if typed:
            headers["Content-Type"] = "application/json"
        agent = self.options.user_agent or (_AGENT if self.options.transport == "http" else "")
        return {**headers, "User-Agent": agent} if agent else headers
