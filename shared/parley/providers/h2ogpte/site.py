"""Where the calls of one credential go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from parley.catalog import Timeouts, Upstream
from parley.errors import UpstreamMalformed
from parley.leases import Credential
from parley.transports.http import HTTP


@dataclass(frozen=True, slots=True)
class Site:
    """A base URL and the way there."""

    http: HTTP
    base: str
    proxy: str | None = field(repr=False)  # may hold a password
    timeouts: Timeouts

    @classmethod
    def of(cls, http: HTTP, upstream: Upstream, credential: Credential, seconds: float) -> Site:
        """The site as this credential reaches it; a call may take so many seconds."""
        place = credential.place(upstream)
        timeouts = Timeouts(place.timeouts.connect, first_token=seconds, between_tokens=seconds, total=seconds)
        return cls(http, place.base_url, place.proxy, timeouts)

    @property
    def origin(self) -> str:
        """Scheme and host."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc}"

    def socket(self, session: str) -> str:
        """The chat socket's address; it knows no path prefix (as the official client has it)."""
        secure = urlsplit(self.base).scheme == "https"
        host = urlsplit(self.base).netloc
        return f"{'wss' if secure else 'ws'}://{host}/ws?currentSessionID={quote(session, safe='')}"

    async def call(self, method: str, path: str, headers: Mapping[str, str], body: Any = None) -> httpx.Response:
        """One HTTP exchange, its answer read whole. Raises Failure when there is no answer."""
        content = b"" if body is None else msgspec.json.encode(body)
        if body is not None:
            headers = {**headers, "content-type": "application/json"}
        url = path if "://" in path else self.base + path
        return await self.http.request(
            method, url, headers=headers, content=content, timeouts=self.timeouts, proxy=self.proxy
        )


def parsed(response: httpx.Response) -> Any:
    """The JSON of an answer. Raises UpstreamMalformed."""
    try:
        return msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeError) as problem:
        raise UpstreamMalformed("The upstream answered something that is not JSON.") from problem
