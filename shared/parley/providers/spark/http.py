"""The HTTP API: one POST per question, its answer always asked for as a stream (`upstreams/xunfei-spark.md` 2.3)."""

from __future__ import annotations

from typing import Final

from parley.catalog import Upstream
from parley.chat.demands import Feature
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.dialects.spark import http as dialect
from parley.dialects.spark import refusals
from parley.leases import Lease
from parley.providers.body import Body
from parley.providers.spark.options import DROPS, check, password_of
from parley.transports import Net

_HEADERS: Final = {"accept": "text/event-stream", "content-type": "application/json", "user-agent": "parley"}


class SparkHTTP:
    """Speaks to the API that resembles OpenAI's. It lists no models, and nothing of it is free to probe with."""

    features: frozenset[Feature] = frozenset({"tools", "json_object", "max_tokens", "usage", "web_search", "reasoning"})
    drops: frozenset[str] = DROPS
    """The penalties, and `reasoning_effort` as `thinking`, go to the models that think."""

    def __init__(self, upstream: Upstream, net: Net) -> None:
        check(upstream)
        self._http = net.http

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Ask, and pass on what the chunks say."""
        place = lease.place
        async with self._http.stream(
            "POST",
            dialect.address(prompt.model, place.base_url),
            headers={**_HEADERS, "authorization": f"Bearer {password_of(lease.credential)}"},
            content=dialect.encode(prompt),
            timeouts=place.timeouts,
            proxy=place.proxy,
        ) as response:
            if response.status_code != 200:
                page = await self._http.read(response)
                raise refusals.refused(page.status_code, page.headers, page.content)
            body = Body(response.headers, dialect.Decoder(dialect.most_tokens(prompt)))
            chunks = self._http.chunks(response)
            async for chunk in chunks:
                for event in body.feed(chunk):
                    yield event
                if body.done:
                    break
            for event in body.finish():
                yield event
            await self._http.rest(response, chunks)
