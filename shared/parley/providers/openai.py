"""Every service that speaks OpenAI's API: one class, and a row (`rows.py`) for what differs.

Protocol: `upstreams/openai.md`, `upstreams/huggingface.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

import httpx
import msgspec

from parley.catalog import Upstream
from parley.chat.demands import Feature
from parley.chat.events import Event, Events
from parley.chat.prompt import Prompt
from parley.dialects.openai import Decoder, encode, failure_in, failure_of
from parley.errors import Failure, ModelElsewhere, ModelNotFound, UpstreamEmpty, UpstreamMalformed
from parley.leases import Credential, Lease, Place
from parley.providers.rows import ROWS
from parley.transports import Net
from parley.transports.framing import LONGEST_LINE, SSE

_BLANK: Final = b"\xef\xbb\xbf \t\r\n"
_BEGINNINGS: Final = b"{<:deir"
"""JSON, a page, a comment, and the fields of a stream: data, event, id, retry."""


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """What an operator may say of such an upstream beyond its address and keys."""

    organization: str = ""
    project: str = ""
    bill_to: str = ""
    headers: dict[str, str] = {}
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
                async for chunk in chunks:
                    for event in body.feed(chunk):
                        yield event
                    if body.done:
                        break
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


def elsewhere(failure: Failure, upstream: Upstream) -> Failure:
    """The same failure; but a model that one of several accounts does not have may be another's."""
    if type(failure) is not ModelNotFound or len(upstream.credentials) < 2:
        return failure
    return ModelElsewhere(failure.message, param=failure.param, upstream_status=failure.upstream_status)


class Reads(Protocol):
    """A decoder of chunks, such as `parley.dialects.openai.Decoder`."""

    @property
    def done(self) -> bool:
        """The service said that this was all."""
        ...

    def feed(self, payload: bytes) -> list[Event]:
        """Events of one payload. Raises Failure."""
        ...

    def finish(self) -> list[Event]:
        """What remains to be said at the end of the body. Raises Failure."""
        ...


class Body:
    """Bytes of an answer into events, however they are cut. Pure.

    A service may answer a stream's request with a completion in one piece, or with a page. Which it is, the first byte
    tells: what services say of the content's type is often wrong.
    """

    def __init__(self, headers: Mapping[str, str], decoder: Reads | None = None) -> None:
        self._headers = headers
        self._sse = SSE()
        self._decoder: Reads = decoder or Decoder()
        self._begun: bytes | None = b""  # blanks, until the first byte that tells
        self._whole: list[bytes] | None = None
        self._size = 0
        self._strange = False
        """Whether it began like nothing that a service should say."""

    @property
    def done(self) -> bool:
        """Whether the service said that this was all."""
        return self._decoder.done

    def feed(self, chunk: bytes) -> Iterable[Event]:
        """The events that `chunk` completes. Raises Failure after those that came before it."""
        if self._begun is None and self._whole is None:
            payloads = self._sse.feed(chunk)
            return self._decoder.feed(payloads[0]) if len(payloads) == 1 else self._each(payloads)
        return self._beginning(chunk)

    def _each(self, payloads: list[bytes]) -> Iterator[Event]:
        for payload in payloads:
            yield from self._decoder.feed(payload)

    def _beginning(self, chunk: bytes) -> Iterator[Event]:
        if self._begun is not None:
            chunk = self._begun + chunk
            start = chunk.lstrip(_BLANK)
            if not start:
                self._begun = chunk
                return
            self._begun = None
            self._strange = start[0] not in _BEGINNINGS
            if start.startswith((b"{", b"<")):
                self._whole, chunk = [], start
        if self._whole is not None:
            self._size += len(chunk)
            if self._size > LONGEST_LINE:
                raise UpstreamMalformed("The upstream's answer is too large.")
            self._whole.append(chunk)
            return
        yield from self._each(self._sse.feed(chunk))

    def finish(self) -> Iterator[Event]:
        """The events that the end of the body completes, and the usage. Raises Failure."""
        if self._whole is not None:
            body = b"".join(self._whole)
            if body.startswith(b"<"):
                raise failure_of(502, self._headers, body)
            yield from self._decoder.feed(body)
        for payload in self._sse.finish():
            yield from self._decoder.feed(payload)
        try:
            yield from self._decoder.finish()
        except UpstreamEmpty:
            if self._strange:
                raise UpstreamMalformed("The upstream's answer is neither a stream nor JSON.") from None
            raise
