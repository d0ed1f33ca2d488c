"""Parrot: says words back, one line each."""

from __future__ import annotations

import httpx

from parley.catalog import Upstream
from parley.chat.demands import KNOBS, Feature
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.dialects import parrot as dialect
from parley.dialects.challenge import is_page
from parley.leases import Credential, Lease
from parley.transports import Net
from parley.transports.framing import Lines


class Parrot:
    """Speaks to Parrot."""

    features: frozenset[Feature] = frozenset()
    drops: frozenset[str] = frozenset(KNOBS)

    def __init__(self, upstream: Upstream, net: Net) -> None:
        self._upstream = upstream
        self._http = net.http

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Ask, and pass on the words as they come."""
        async with self._http.stream(
            "POST",
            f"{lease.place.base_url}/say",
            headers={**_signed(lease.credential), "content-type": "application/json"},
            content=dialect.encode(prompt),
            timeouts=lease.place.timeouts,
            proxy=lease.place.proxy,
        ) as response:
            if response.status_code != 200 or is_page(response.headers.get("content-type", ""), b""):
                raise _failure(await self._http.read(response))
            lines, decoder = Lines(), dialect.Decoder()
            async for chunk in self._http.chunks(response):
                for line in lines.feed(chunk):
                    for event in decoder.feed(line):
                        yield event
            for event in decoder.finish():
                yield event

    async def models(self, lease: Lease) -> list[str]:
        """The voices that it has. Raises Failure."""
        return dialect.voices(await self._voices(lease.credential))

    async def probe(self, credential: Credential) -> None:
        """See whether the key works, by a list that costs nothing. Raises Failure."""
        await self._voices(credential)

    async def _voices(self, credential: Credential) -> bytes:
        place = credential.place(self._upstream)
        page = await self._http.request(
            "GET",
            f"{place.base_url}/voices",
            headers=_signed(credential),
            timeouts=place.timeouts,
            proxy=place.proxy,
        )
        if page.status_code != 200:
            raise _failure(page)
        return page.content


def _signed(credential: Credential) -> dict[str, str]:
    return {"authorization": f"Bearer {credential.part()}"}


def _failure(page: httpx.Response) -> Exception:
    return dialect.failure_of(page.status_code, page.headers, page.content)
