"""Every service that speaks OpenAI's API: one class, and a row for what differs.

Protocol: `upstreams/openai.md`, `upstreams/huggingface.md`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec

from parley.catalog import Upstream
from parley.chat.demands import Feature
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.dialects.openai import Decoder, Rules, encode, failure_of
from parley.errors import UpstreamEmpty, UpstreamMalformed
from parley.leases import Credential, Lease
from parley.transports import Net
from parley.transports.framing import SSE

_WORDS: Final[frozenset[Feature]] = frozenset(
    {"stop", "max_tokens", "usage", "tools", "json_object", "json_schema", "images"}
)
_ALL: Final[frozenset[Feature]] = _WORDS | {
    "custom_tools",
    "audio_input",
    "audio_output",
    "files",
    "n",
    "logprobs",
    "web_search",
}
_OPENAI_ONLY: Final = frozenset(
    {
        "store",
        "metadata",
        "service_tier",
        "verbosity",
        "prediction",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "moderation",
    }
)


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """What an operator may say of such an upstream beyond its address and keys."""

    organization: str = ""
    project: str = ""
    bill_to: str = ""
    headers: dict[str, str] = {}


_PLAIN: Final = Rules(limit="max_tokens", developer=False, drops=_OPENAI_ONLY)


@dataclass(frozen=True, slots=True)
class Row:
    """How one service differs."""

    base_url: str = ""
    rules: Rules = _PLAIN
    features: frozenset[Feature] = _ALL


ROWS: Final[dict[str, Row]] = {
    "openai": Row("https://api.openai.com/v1", Rules()),
    "huggingface": Row(
        "https://router.huggingface.co/v1",
        Rules(
            limit="max_tokens",
            developer=False,
            drops=_OPENAI_ONLY | {"logit_bias", "parallel_tool_calls", "user"},
            strict_tools=False,
            most_top_logprobs=5,
        ),
        _WORDS | {"logprobs"},
    ),
    "openai-compatible": Row("", Rules(developer=False)),
    "deepseek": Row("https://api.deepseek.com/v1", _PLAIN, _WORDS - {"images", "json_schema"} | {"logprobs"}),
    "moonshot": Row("https://api.moonshot.cn/v1", _PLAIN, _WORDS | {"n"}),
    "openrouter": Row("https://openrouter.ai/api/v1", Rules(limit="max_tokens"), _WORDS | {"logprobs", "files"}),
    "siliconflow": Row("https://api.siliconflow.cn/v1", _PLAIN, _WORDS | {"n"}),
    "qwen": Row("https://dashscope.aliyuncs.com/compatible-mode/v1", _PLAIN, _WORDS | {"n", "logprobs"}),
    "ark": Row("https://ark.cn-beijing.volces.com/api/v3", _PLAIN, _WORDS | {"logprobs"}),
    "ollama": Row("http://127.0.0.1:11434/v1", _PLAIN, _WORDS),
    "vllm": Row("http://127.0.0.1:8000/v1", _PLAIN, _WORDS | {"n", "logprobs"}),
    "llama.cpp": Row("http://127.0.0.1:8080/v1", _PLAIN, _WORDS | {"n", "logprobs"}),
}


class OpenAI:
    """Speaks OpenAI's API to one upstream. Always asks for a stream; the unary answer is its fold."""

    def __init__(self, upstream: Upstream, net: Net) -> None:
        self._row = ROWS[upstream.provider]
        self.features = self._row.features
        self._upstream = upstream
        self._http = net.http
        options = msgspec.convert(dict(upstream.options), Options)
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
        async with self._http.stream(
            "POST",
            f"{self._base(lease.base_url)}/chat/completions",
            headers=self._signed(lease.credential),
            content=encode(prompt, self._row.rules),
            timeouts=self._upstream.timeouts,
            proxy=lease.proxy,
        ) as response:
            hide = tuple(part.reveal() for part in lease.credential.parts.values())
            if response.status_code != 200:
                page = await self._http.read(response)
                raise failure_of(page.status_code, page.headers, page.content, hide=hide)
            decoder = Decoder(hide)
            async with aclosing(_payloads(response)) as payloads:
                async for payload in payloads:
                    for event in decoder.feed(payload):
                        yield event
            for event in decoder.finish():
                yield event

    async def models(self, lease: Lease) -> list[str]:
        """Ask for the list of models. Raises Failure."""
        page = await self._get("/models", lease.credential, lease.base_url, lease.proxy)
        try:
            return [str(model["id"]) for model in msgspec.json.decode(page.content)["data"]]
        except (msgspec.DecodeError, KeyError, TypeError) as problem:
            raise UpstreamMalformed("The upstream's list of models cannot be read.") from problem

    async def probe(self, credential: Credential) -> None:
        """See whether the key works, by the list of models, which nobody is billed for. Raises Failure."""
        proxy = credential.proxy or self._upstream.proxy
        base_url = credential.base_url or self._upstream.base_url
        await self._get("/models", credential, base_url, proxy.reveal() if proxy else None)

    async def _get(self, path: str, credential: Credential, base_url: str, proxy: str | None) -> httpx.Response:
        page = await self._http.request(
            "GET",
            f"{self._base(base_url)}{path}",
            headers={**self._signed(credential), "accept": "application/json"},
            timeouts=self._upstream.timeouts,
            proxy=proxy,
        )
        if page.status_code != 200:
            hide = tuple(part.reveal() for part in credential.parts.values())
            raise failure_of(page.status_code, page.headers, page.content, hide=hide)
        return page

    def _base(self, given: str) -> str:
        return (given or self._row.base_url).rstrip("/")

    def _signed(self, credential: Credential) -> dict[str, str]:
        key = credential.part()
        return {**self._headers, "authorization": f"Bearer {key}"} if key else self._headers


async def _payloads(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The data of each event; or the whole body, from a service that answers a stream's request with plain JSON."""
    kind = response.headers.get("content-type", "")
    # Plain chunks skip httpx's decoders; a service that compresses though told not to is still understood.
    chunks = response.aiter_bytes() if "content-encoding" in response.headers else aiter(response.stream)  # type: ignore[arg-type]
    if kind.startswith(("application/json", "text/html")):
        body = b"".join([chunk async for chunk in chunks])
        if kind.startswith("text/html"):
            raise failure_of(502, response.headers, body)
        if not body.strip():
            raise UpstreamEmpty("The upstream's answer is empty.")
        yield body
        return
    sse = SSE()
    async for chunk in chunks:
        for payload in sse.feed(chunk):
            yield payload
    for payload in sse.finish():
        yield payload
