"""Every service that speaks OpenAI's API: one class, and a row (`rows.py`) for what differs.

Protocol: `upstreams/openai.md`, `upstreams/huggingface.md`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import httpx
import msgspec

from parley.catalog import Upstream
from parley.chat.demands import Feature
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.dialects.openai import Decoder, encode, failure_in, failure_of
from parley.errors import UpstreamMalformed
from parley.leases import Credential, Lease, Place
from parley.providers.accounts import elsewhere
from parley.providers.body import Body
from parley.providers.rows import ROWS
from parley.transports import Net


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """What an operator may say of such an upstream beyond its address and keys."""

    organization: str = ""
    """Sent as `OpenAI-Organization`."""
    project: str = ""
    """Sent as `OpenAI-Project`."""
    bill_to: str = ""
    """Sent as `X-HF-Bill-To`: who pays at the Hugging Face router."""
    headers: dict[str, str] = {}
    """Headers of your own, sent with every question."""
    features: list[Feature] | None = None
    """What this server honours, where its operator knows better than its row."""


class OpenAI:
    """Speaks OpenAI's API to one upstream. Always asks for a stream; the unary answer is its fold."""

    def __init__(self, upstream: Upstream, net: Net) -> None:
        self._row = ROWS[upstream.provider]
        options = msgspec.convert(dict(upstream.options), Options)
        self.features = self._row.features if options.features is None else frozenset(options.features)
        self.drops = self._row.rules.drops
        self._upstream = upstream
        self._http = net.http
        own = self._row.verdicts
        self._decoder = partial(Decoder, partial(failure_in, verdicts=own)) if own else Decoder
        said = {
            "openai-organization": options.organization,
            "openai-project": options.project,
            "x-hf-bill-to": options.bill_to,
        }
        self._headers = {
            "accept": "text/event-stream",
            "content-type": "application/json",
            "user-agent": "parley",
            **{name: value for name, value in said.items() if value},
            **options.headers,
        }

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Answer `prompt`. The upstream's finish reasons are passed on; what it did not say is not made up."""
        rules, place = self._row.rules, lease.place
        while True:
            async with self._http.stream(
                "POST",
                f"{self._base(place)}/chat/completions",
                headers=self._signed(lease.credential),
                content=encode(prompt, rules),
                timeouts=place.timeouts,
                proxy=place.proxy,
            ) as response:
                if response.status_code != 200:
                    page = await self._http.read(response)
                    if rules.stream_usage and page.status_code in (400, 422) and b"stream_options" in page.content:
                        rules = replace(rules, stream_usage=False)  # this server does not know it: ask without
                        continue
                    raise elsewhere(
                        failure_of(page.status_code, page.headers, page.content, self._row.verdicts), self._upstream
                    )
                body = Body(response.headers, self._decoder())
                chunks = self._http.chunks(response)
                async for event in self._http.events(chunks, body, lease):
                    yield event
                for event in body.finish():
                    yield event
                await self._http.rest(response, chunks)
                return

    async def models(self, lease: Lease) -> list[str]:
        """Ask for the list of models. Raises Failure."""
        page = await self._get("/models", lease.credential)
        try:
            said = msgspec.json.decode(page.content)
            return [str(model["id"]) for model in (said if isinstance(said, list) else said["data"])]
        except (msgspec.DecodeError, KeyError, TypeError) as problem:
            raise UpstreamMalformed("The upstream's list of models cannot be read.") from problem

    async def probe(self, credential: Credential) -> None:
        """See whether the key works, by the list of models, which nobody is billed for. Raises Failure."""
        await self._get("/models", credential)

    async def _get(self, path: str, credential: Credential) -> httpx.Response:
        place = credential.place(self._upstream)
        page = await self._http.request(
            "GET",
            f"{self._base(place)}{path}",
            headers={**self._signed(credential), "accept": "application/json"},
            timeouts=place.timeouts,
            proxy=place.proxy,
        )
        if page.status_code != 200:
            raise failure_of(page.status_code, page.headers, page.content, self._row.verdicts)
        return page

    def _base(self, place: Place) -> str:
        return place.base_url or self._row.base_url

    def _signed(self, credential: Credential) -> dict[str, str]:
        key = credential.part()
        return {**self._headers, "authorization": f"Bearer {key}"} if key else self._headers
