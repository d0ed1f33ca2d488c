"""Google's Gemini API, by its own words rather than by its look-alike of OpenAI's.

Protocol: `upstreams/gemini.md`. The key travels in a header, never in the address, which proxies write down.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from parley.catalog import Upstream
from parley.chat.demands import Feature
from parley.chat.events import Event, Events
from parley.chat.prompt import Prompt
from parley.dialects.gemini import DROPS, Decoder, Manner, encode, failure_of, path_of, remedied
from parley.errors import Failure, UpstreamFailure, UpstreamMalformed
from parley.leases import Credential, Lease, Place
from parley.providers.accounts import elsewhere
from parley.transports import Net
from parley.transports.framing import LONGEST_LINE, Lines

_HOME: Final = "https://generativelanguage.googleapis.com"
_VERSIONS: Final = ("/v1", "/v1beta", "/v1alpha")
_MOST_PAGES: Final = 20
_NOT_DATA: Final = (b":", b"event:", b"id:", b"retry:")
_CATEGORIES: Final = (
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
)
Threshold = Literal["BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"]


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """What an operator may say of such an upstream beyond its address and keys."""

    api_version: Literal["v1", "v1beta", "v1alpha"] = "v1beta"
    """The newer features are in v1beta first."""
    thoughts: bool = True
    """Whether callers see what a thinking model thinks."""
    safety: Threshold | dict[str, Threshold] | None = None
    """From where on Gemini blocks: for every category, or by category. None: as Gemini decides."""
    schemas: Literal["plain", "cleaned"] = "plain"
    """How tools and formats are told; `cleaned` for what does not read JSON Schema as it stands."""
    image_urls: Literal["refuse", "pass"] = "refuse"
    """Whether https addresses of images are left for Gemini to fetch, which only newer models do."""

    def manner(self) -> Manner:
        """How questions are put, before any refusal."""
        safety = dict.fromkeys(_CATEGORIES, self.safety) if isinstance(self.safety, str) else self.safety or {}
        return Manner(
            plain_schemas=self.schemas == "plain",
            thoughts=self.thoughts,
            image_urls=self.image_urls == "pass",
            safety=safety,
        )


class Gemini:
    """Speaks to one upstream. Always asks for a stream; the unary answer is its fold."""

    features: frozenset[Feature] = frozenset(
        {
            "stop",
            "max_tokens",
            "usage",
            "tools",
            "images",
            "audio_input",
            "files",
            "json_object",
            "json_schema",
            "n",
            "logprobs",
            "reasoning",
        }
    )
    drops = DROPS

    def __init__(self, upstream: Upstream, net: Net) -> None:
        self._upstream = upstream
        self._http = net.http
        self._options = msgspec.convert(dict(upstream.options), Options)
        if self._options.image_urls == "refuse":
            self.image_addresses = "refused"

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Answer `prompt`. A refusal that another manner of asking avoids is answered with that, once each."""
        place, manner = lease.place, self._options.manner()
        url = f"{self._base(place)}/{path_of(prompt.model)}:streamGenerateContent?alt=sse"
        headers = {**_signed(lease.credential, "text/event-stream"), "content-type": "application/json"}
        while True:
            async with self._http.stream(
                "POST",
                url,
                headers=headers,
                content=encode(prompt, manner),
                timeouts=place.timeouts,
                proxy=place.proxy,
            ) as response:
                if response.status_code == 200:
                    body = Body(response.headers, Decoder(one_call=prompt.parallel_tool_calls is False))
                    async with aclosing(_read(body, self._http.chunks(response))) as events:
                        async for event in events:
                            yield event
                    return
                page = await self._http.read(response)
            better = remedied(manner, page.status_code, page.content)
            if better is None:
                raise elsewhere(failure_of(page.status_code, page.headers, page.content), self._upstream)
            manner = better

    async def models(self, lease: Lease) -> list[str]:
        """Models that hold conversations, by the names under which they are asked. Raises Failure."""
        found: list[str] = []
        page = ""
        for _ in range(_MOST_PAGES):
            said = await self._listed(lease.credential, 1000, page)
            try:
                found += [
                    model["name"].removeprefix("models/")
                    for model in said.get("models") or ()
                    if "generateContent" in (model.get("supportedGenerationMethods") or ())
                ]
                page = said.get("nextPageToken") or ""
            except (KeyError, TypeError, AttributeError) as problem:
                raise _unreadable() from problem
            if not page:
                break
        return found

    async def probe(self, credential: Credential) -> None:
        """See whether the key works, by the list of models, which nobody is billed for. Raises Failure."""
        await self._listed(credential, 1)

    async def _listed(self, credential: Credential, many: int, page: str = "") -> dict[str, Any]:
        place = credential.place(self._upstream)
        further = f"&pageToken={quote(page, safe='')}" if page else ""
        answer = await self._http.request(
            "GET",
            f"{self._base(place)}/models?pageSize={many}{further}",
            headers=_signed(credential, "application/json"),
            timeouts=place.timeouts,
            proxy=place.proxy,
        )
        if answer.status_code != 200:
            raise failure_of(answer.status_code, answer.headers, answer.content)
        try:
            return msgspec.json.decode(answer.content, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise _unreadable() from problem

    def _base(self, place: Place) -> str:
        """The address with the API's version, which an operator may have written already."""
        base = place.base_url or _HOME
        return base if base.endswith(_VERSIONS) else f"{base}/{self._options.api_version}"


def _signed(credential: Credential, accept: str) -> dict[str, str]:
    key = credential.part()
    said = {"accept": accept, "user-agent": "parley"}
    return {**said, "x-goog-api-key": key} if key else said


def _unreadable() -> UpstreamMalformed:
    return UpstreamMalformed("The upstream's list of models cannot be read.")


async def _read(body: Body, chunks: AsyncIterator[bytes]) -> Events:
    try:
        async for chunk in chunks:
            for event in body.feed(chunk):
                yield event
    except UpstreamFailure:
        if not body.ended:  # nothing that goes wrong behind the last word takes it back
            raise
    for event in body.finish():
        yield event


class Body:
    """Bytes of an answer into events, however they are cut. Pure.

    The service writes `data: {...}` and blank lines, nothing else. Lines that are neither (an error written bare in the
    middle of a stream, an answer as one JSON array, a page) are kept, and read when the body has ended.
    """

    def __init__(self, headers: Mapping[str, str], decoder: Decoder) -> None:
        self._headers = headers
        self._decoder = decoder
        self._lines = Lines()
        self._data: list[bytes] = []
        self._strays: list[bytes] = []
        self._size = 0

    @property
    def ended(self) -> bool:
        """Whether the service has said why the answer ends."""
        return self._decoder.ended

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that `chunk` completes. Raises Failure after those that came before it."""
        for line in self._lines.feed(chunk):
            yield from self._line(line)

    def finish(self) -> Iterator[Event]:
        """The events that the end of the body completes, and the usage. Raises Failure."""
        for line in (*self._lines.finish(), b""):
            yield from self._line(line)
        strays = b"\n".join(self._strays).removeprefix(b"\xef\xbb\xbf").strip()
        if strays and not self.ended:
            if strays.startswith(b"<"):
                raise failure_of(502, self._headers, strays)
            if not strays.startswith((b"{", b"[")):
                raise UpstreamMalformed("The upstream's answer is neither a stream nor JSON.")
            yield from self._decoder.feed(strays)
        yield from self._decoder.finish()

    def _line(self, line: bytes) -> Iterator[Event]:
        if line.startswith(b"data:"):
            self._keep(self._data, line[5:].removeprefix(b" "))
        elif line.strip():
            if not line.startswith(_NOT_DATA):
                self._keep(self._strays, line)
        elif self._data:
            payload = b"\n".join(self._data)
            self._size -= sum(map(len, self._data))
            self._data = []
            if payload:
                try:
                    yield from self._decoder.feed(payload)
                except Failure:
                    if not self.ended:
                        raise

    def _keep(self, where: list[bytes], line: bytes) -> None:
        self._size += len(line)
        if self._size > LONGEST_LINE:
            raise UpstreamMalformed("The upstream sent an event without an end.")
        where.append(line)
