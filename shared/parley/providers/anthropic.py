"""Anthropic's Messages API, and services that copy it.

Protocol: `upstreams/anthropic.md`. Always asks for a stream; the unary answer is its fold.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final, Literal

import httpx
import msgspec

from parley.catalog import Upstream
from parley.chat.demands import Feature
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.dialects.anthropic import SAMPLING, Decoder, Rules, encode, failure_of
from parley.errors import UpstreamMalformed
from parley.leases import Credential, Lease, Place
from parley.providers.body import Body
from parley.transports import Net

_HOME: Final = "https://api.anthropic.com"
_OAUTH: Final = "sk-ant-oat"
"""How tokens of a signed-in person begin; they are no API keys, and go as a Bearer."""
_FEATURES: Final[frozenset[Feature]] = frozenset({"max_tokens", "usage", "tools", "images", "files", "json_schema"})
_DROPS: Final = frozenset(
    {
        *("frequency_penalty", "presence_penalty", "logit_bias", "seed", "verbosity"),
        *("service_tier", "store", "metadata", "prompt_cache_key"),
    }
)
_SAMPLING: Final[dict[str, bool | None]] = {"auto": None, "keep": True, "drop": False}
_LONGEST_LIST: Final = 50
"""Pages of the list of models that are read at most."""


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """What an operator may say of such an upstream beyond its address and keys."""

    version: Literal["2023-06-01", "2026-10-21"] = "2023-06-01"
    """The API's version; the newer one takes no `temperature`, `top_p` and `top_k`."""
    betas: list[str] = []
    """Sent as `anthropic-beta`."""
    headers: dict[str, str] = {}
    """Headers of your own, sent with every question."""
    max_tokens: int | None = None
    """Tokens that an answer may have when the caller does not say: the API must be told. None: by the model's name."""
    sampling: Literal["auto", "keep", "drop"] = "auto"
    """Whether `temperature` and its kin are sent; `auto`: by the model's name."""
    json_object: Literal["instruct", "refuse"] = "instruct"
    """The API has no such mode: the model is told to answer so, or the caller that it cannot be had."""
    later_system: Literal["hoist", "in_place"] = "hoist"
    """Instructions in the midst of a conversation: to its head, or words of the user at their place."""
    opening: str = "(The conversation begins.)"
    """What the user is made to say where a conversation begins with the assistant; empty: it is refused."""
    thoughts: Literal["shown", "hidden"] = "shown"
    """Whether callers see the model's thoughts (`reasoning_content`, `thinking_blocks`)."""


class Anthropic:
    """Speaks the Messages API to one upstream."""

    def __init__(self, upstream: Upstream, net: Net) -> None:
        self._upstream = upstream
        self._http = net.http
        options = msgspec.convert(dict(upstream.options), Options)
        sampling = False if options.version == "2026-10-21" else _SAMPLING[options.sampling]
        self._rules = Rules(
            sampling=sampling,
            max_tokens=options.max_tokens,
            hoist=options.later_system == "hoist",
            opening=options.opening,
        )
        self._shown = options.thoughts == "shown"
        # `stop` is not among them: the API refuses blank sequences such as a newline. The gateway keeps them all, and
        # those that are not blank end the answer upstream, too.
        self.features: frozenset[Feature] = _FEATURES
        if options.json_object == "instruct":
            self.features |= {"json_object"}
        self.drops: frozenset[str] = _DROPS | ({"temperature", "top_p"} if sampling is False else set())
        if self._shown:
            self.features |= {"reasoning"}
        self._headers = {
            "accept": "text/event-stream",
            "content-type": "application/json",
            "user-agent": "parley",
            "anthropic-version": options.version,
            **({"anthropic-beta": ",".join(options.betas)} if options.betas else {}),
            **options.headers,
        }

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Answer `prompt`. The upstream's stop reasons are passed on; what it did not say is not made up."""
        rules, place, loop = self._rules, lease.place, asyncio.get_running_loop()
        while True:
            question = encode(prompt, rules)
            async with self._http.stream(
                "POST",
                f"{_base(place)}/v1/messages",
                headers=self._signed(lease.credential),
                content=question.body,
                timeouts=place.timeouts,
                proxy=place.proxy,
            ) as response:
                if response.status_code != 200:
                    page = await self._http.read(response)
                    failure = failure_of(page.status_code, page.headers, page.content)
                    if failure.param in SAMPLING and rules.sampling is not False:
                        rules = replace(rules, sampling=False)  # this model takes none of it: ask without
                        continue
                    raise failure
                decoder = Decoder(answer_tool=question.answer_tool, signed=question.signed, shown=self._shown)
                body = Body(response.headers, decoder)
                chunks = self._http.chunks(response)
                async for chunk in chunks:
                    lease.active = loop.time()  # while it thinks unseen, it says nothing but pings
                    for event in body.feed(chunk):
                        yield event
                    if body.done:
                        break
                for event in body.finish():
                    yield event
                await self._http.rest(response, chunks)
                return

    async def models(self, lease: Lease) -> list[str]:
        """Ask for the list of models, page by page. Raises Failure."""
        names: list[str] = []
        query = "?limit=1000"
        for _ in range(_LONGEST_LIST):
            page = await self._get(f"/v1/models{query}", lease.credential)
            try:
                said = msgspec.json.decode(page.content)
                found = [str(model["id"]) for model in said["data"]]
                last = said.get("last_id") if said.get("has_more") else None
            except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as problem:
                raise UpstreamMalformed("The upstream's list of models cannot be read.") from problem
            names += found
            if not found or not last:
                break
            query = f"?{httpx.QueryParams({'limit': 1000, 'after_id': str(last)})}"
        return list(dict.fromkeys(names))

    async def probe(self, credential: Credential) -> None:
        """See whether the key works, by the list of models, which nobody is billed for. Raises Failure."""
        await self._get("/v1/models?limit=1", credential)

    async def _get(self, path: str, credential: Credential) -> httpx.Response:
        place = credential.place(self._upstream)
        page = await self._http.request(
            "GET",
            f"{_base(place)}{path}",
            headers={**self._signed(credential), "accept": "application/json"},
            timeouts=place.timeouts,
            proxy=place.proxy,
        )
        if page.status_code != 200:
            raise failure_of(page.status_code, page.headers, page.content)
        return page

    def _signed(self, credential: Credential) -> dict[str, str]:
        """The headers, with an API key or (`auth_token`, or a value that looks like one) a token of OAuth."""
        key, token = credential.part(), credential.part("auth_token")
        if not token and key.startswith(_OAUTH):
            key, token = "", key
        if token:
            return {**self._headers, "authorization": f"Bearer {token}"}
        return {**self._headers, "x-api-key": key} if key else self._headers


def _base(place: Place) -> str:
    """Where the API is; people who know OpenAI's write its `/v1`, too."""
    return (place.base_url or _HOME).removesuffix("/v1")
