"""The v4 API: read as OpenAI's, with its own requests, sign-in and refusals."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from parley.catalog import Upstream
from parley.chat.demands import Feature
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.dialects.zhipu import DROPS, DUPLICATE_ID, Decoder, SignIn, Taste, encode, failure_of, v3
from parley.errors import CredentialExpired
from parley.leases import Credential, Lease
from parley.providers.body import Body
from parley.providers.zhipu.door import NOBODY, headers, knock, refuse_what_is_no_key, settled
from parley.transports import Net

_BASE: Final = "https://open.bigmodel.cn/api/paas/v4"
_FEATURES: Final[frozenset[Feature]] = frozenset(
    {"max_tokens", "usage", "tools", "images", "audio_input", "json_object", "reasoning"}
)
"""`stop` is the gateway's: the platform takes one sequence at most."""


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """What an operator may say of such an upstream beyond its address and keys."""

    sign_in: Literal["bearer", "jwt"] = "bearer"
    """`jwt`: the key's secret half stays here, and signs a token for each answer."""
    legacy_model: str = "glm-4-flash"
    """Who answers where a model of chatglm's days is asked for."""
    json_schema: Literal["refuse", "told"] = "refuse"
    """JSON schemas, which the platform does not know: refused, or told to the model in words."""
    forced_tools: Literal["refuse", "auto"] = "refuse"
    """A `tool_choice` that forces a call, which it does not know either: refused, or the model decides."""


class Zhipu:
    """Always asks for a stream; the unary answer is its fold."""

    drops: frozenset[str] = DROPS

    def __init__(self, upstream: Upstream, net: Net) -> None:
        refuse_what_is_no_key(upstream)
        options = msgspec.convert(dict(upstream.options), Options)
        self.features: frozenset[Feature] = _FEATURES | {"json_schema"} if options.json_schema == "told" else _FEATURES
        self._taste = Taste(options.json_schema, options.forced_tools)
        self._options = options
        self._upstream = upstream
        self._http = net.http

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Answer `prompt`. The upstream's finish reasons are passed on; what it did not say is not made up."""
        model = self._options.legacy_model if prompt.model in v3.MODELS else prompt.model
        body = encode(prompt, model, self._taste)
        sign_in = SignIn(lease.credential.part(), self._options.sign_in)
        place = lease.place
        base = place.base_url or _BASE
        while True:
            async with self._http.stream(
                "POST",
                f"{base}/chat/completions",
                headers=headers(sign_in, base),
                content=msgspec.json.encode(body),
                timeouts=place.timeouts,
                proxy=place.proxy,
            ) as response:
                if response.status_code != 200:
                    page = await self._http.read(response)
                    failure = failure_of(page.status_code, page.headers, page.content)
                    if failure.code == DUPLICATE_ID and body.pop("request_id", None):
                        continue  # it was answered before; now the upstream chooses the id
                    if isinstance(failure, CredentialExpired) and sign_in.correct(page.headers):
                        continue
                    raise settled(failure)
                answer = Body(response.headers, Decoder())
                chunks = self._http.chunks(response)
                async for chunk in chunks:
                    for event in answer.feed(chunk):
                        yield event
                    if answer.done:
                        break
                for event in answer.finish():
                    yield event
                await self._http.rest(response, chunks)
                return

    async def probe(self, credential: Credential) -> None:
        """See whether the key opens the door. Raises Failure."""
        place = credential.place(self._upstream)
        url = f"{place.base_url or _BASE}/async-result/{NOBODY}"
        await knock(self._http, place, url, SignIn(credential.part(), self._options.sign_in))
