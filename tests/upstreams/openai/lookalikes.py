"""Services that speak OpenAI's API with an accent: what each one takes, what it says when it refuses, how it streams.

Each lives at a path of its own, `/NAME/v1`, beside OpenAI at `/v1`. They are stricter than the real ones, most of which
ignore what they do not know: so a field that should have stayed at home is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from . import rules
from .errors import refusal
from .refusal import Refused
from .settings import Settings
from .shapes import Frame

Body = dict[str, Any]

PLAIN: Final = frozenset(
    {"messages", "model", "max_tokens", "stop", "stream", "stream_options", "temperature", "top_p", "tools"}
    | {"tool_choice", "response_format", "frequency_penalty", "presence_penalty"}
)
"""What everybody takes."""


def _as_it_is(usage: Body) -> Body:
    return usage


def _hits_and_misses(usage: Body) -> Body:
    hits = usage["prompt_tokens"] // 2
    return {**usage, "prompt_cache_hit_tokens": hits, "prompt_cache_miss_tokens": usage["prompt_tokens"] - hits}


def _cached_outside(usage: Body) -> Body:
    return {**usage, "cached_tokens": usage["prompt_tokens"] // 2}


def _cached_inside(usage: Body) -> Body:
    return {**usage, "prompt_tokens_details": {"cached_tokens": usage["prompt_tokens"] // 2}}


def _no_details(usage: Body) -> Body:
    return {**usage, "prompt_tokens_details": None}


@dataclass(frozen=True)
class Accent:
    """One service."""

    knows: frozenset[str]
    """Fields of a request, beside PLAIN."""
    errors: dict[str, str]
    """What it says when: no_key, wrong_key, quota, rate, model, path, request."""
    lacks: frozenset[str] = frozenset()
    """Fields of PLAIN that it does not take."""
    most_temperature: float = 2
    least_top_p: float = 0
    most_n: int = 1
    most_top_logprobs: int = 20
    formats: frozenset[str] = frozenset({"text", "json_object"})
    choices: frozenset[str] = frozenset({"none", "required", "named"})
    """What `tool_choice` may be, beside `auto`."""
    strict_tools: bool = True
    developer: bool = False
    """Whether it knows that role."""
    takes_thoughts: bool = False
    wants_thoughts: bool = False
    """Whether an assistant's call must come with the thoughts before it."""
    open: bool = False
    """Whether it asks for no key."""
    thought_key: str = "reasoning_content"
    usage: Callable[[Body], Body] = _as_it_is
    twists: tuple[str, ...] = ()
    """How its chunks are odd (twists.py), always."""
    frames: tuple[str, ...] = ()
    """How its frames are (frames.py), always."""
    more: Body = field(default_factory=dict)
    """Keys beside `choices` in every chunk."""


def _says(name: str, **others: str) -> dict[str, str]:
    situations = ("no_key", "wrong_key", "quota", "rate", "model", "path", "request")
    return {situation: f"{name}_{situation}" for situation in situations} | others


_SAMPLING = frozenset({"seed", "logprobs", "top_logprobs"})

ACCENTS: Final[dict[str, Accent]] = {
    "deepseek": Accent(
        frozenset({"logprobs", "top_logprobs", "thinking", "reasoning_effort"}),
        _says("deepseek"),
        strict_tools=False,
        takes_thoughts=True,
        wants_thoughts=True,
        usage=_hits_and_misses,
        twists=("usage_on_last_content",),
        frames=("comments",),
    ),
    "moonshot": Accent(
        frozenset({"n", "prompt_cache_key", "safety_identifier", "thinking", "max_completion_tokens"}),
        _says("moonshot"),
        most_temperature=1,
        most_n=5,
        formats=frozenset({"text", "json_object", "json_schema"}),
        choices=frozenset({"none"}),
        takes_thoughts=True,
        usage=_cached_outside,
        twists=("usage_in_choice", "tool_ids_by_function"),
    ),
    "openrouter": Accent(
        _SAMPLING
        | {"logit_bias", "parallel_tool_calls", "user", "metadata", "prediction", "verbosity", "reasoning", "plugins"}
        | {"provider", "models", "route", "transforms", "reasoning_effort", "top_k", "min_p"},
        _says("openrouter"),
        formats=frozenset({"text", "json_object", "json_schema"}),
        developer=True,
        thought_key="reasoning",
        usage=_cached_inside,
        twists=("native_finish_reason",),
        frames=("processing",),
        more={"provider": "Demo"},
    ),
    "siliconflow": Accent(
        frozenset({"n", "enable_thinking", "thinking_budget", "min_p", "top_k"}),
        _says("siliconflow"),
        lacks=frozenset({"presence_penalty"}),
        most_n=4,
        twists=("usage_every_chunk", "thoughts_null"),
    ),
    "qwen": Accent(
        _SAMPLING | {"n", "parallel_tool_calls", "enable_thinking", "thinking_budget", "enable_search", "top_k"},
        _says("qwen"),
        lacks=frozenset({"frequency_penalty"}),
        most_temperature=1.999,
        least_top_p=0.0001,
        most_n=4,
        most_top_logprobs=5,
        formats=frozenset({"text", "json_object", "json_schema"}),
        usage=_cached_inside,
        more={"system_fingerprint": None},
    ),
    "ark": Accent(
        frozenset({"logprobs", "top_logprobs", "logit_bias", "parallel_tool_calls", "service_tier", "thinking"})
        | {"reasoning_effort"},
        _says("ark"),
        formats=frozenset({"text", "json_object", "json_schema"}),
        strict_tools=False,
        usage=_cached_inside,
    ),
    "ollama": Accent(
        frozenset({"seed", "reasoning_effort", "keep_alive"}),
        _says("ollama"),
        formats=frozenset({"text", "json_object", "json_schema"}),
        choices=frozenset(),
        open=True,
        thought_key="reasoning",
        twists=("role_every", "tool_whole_index_0", "finish_stop"),
        more={"system_fingerprint": "fp_ollama"},
    ),
    "vllm": Accent(
        _SAMPLING
        | {
            "n",
            "logit_bias",
            "parallel_tool_calls",
            "user",
            "reasoning_effort",
            "top_k",
            "min_p",
            "chat_template_kwargs",
        },
        _says("vllm"),
        most_n=128,
        formats=frozenset({"text", "json_object", "json_schema"}),
        open=True,
        usage=_no_details,
        twists=("stop_reason",),
    ),
    "llama.cpp": Accent(
        _SAMPLING | {"n", "logit_bias", "parallel_tool_calls", "reasoning_effort", "cache_prompt", "top_k", "min_p"},
        _says("llamacpp"),
        most_n=128,
        formats=frozenset({"text", "json_object", "json_schema"}),
        open=True,
        twists=("timings",),
    ),
    "relay": Accent(
        rules.KNOWN - PLAIN,
        _says("relay"),
        most_n=128,
        formats=frozenset({"text", "json_object", "json_schema"}),
        twists=("finish_empty", "missing_usage"),
    ),
}


def listens(body: Body, settings: Settings) -> Iterator[Refused]:
    """What the service of `settings.dialect` refuses in a request."""
    accent = ACCENTS[settings.dialect]
    yield from rules.plain_values(body)
    for name in sorted(body.keys() - (PLAIN - accent.lacks) - accent.knows):
        yield _no(accent, f"Unknown field: {name}", name)
    if body.get("temperature", 0) > accent.most_temperature:
        yield _no(accent, f"invalid temperature: only up to {accent.most_temperature} is allowed", "temperature")
    if body.get("top_p", 1) < accent.least_top_p:
        yield _no(accent, "top_p must be greater than 0", "top_p")
    if body.get("n", 1) > accent.most_n:
        yield _no(accent, f"n must be at most {accent.most_n}", "n")
    if body.get("top_logprobs", 0) > accent.most_top_logprobs:
        yield _no(accent, "top_logprobs is too large", "top_logprobs")
    if (kind := body.get("response_format", {}).get("type", "text")) not in accent.formats:
        yield _no(accent, f"response_format {kind} is not available", "response_format")
    choice = body.get("tool_choice", "auto")
    if (choice if isinstance(choice, str) else "named") not in accent.choices | {"auto"}:
        yield _no(accent, f"tool_choice {choice} is not available", "tool_choice")
    for tool in body.get("tools", ()):
        if tool.get("type") != "function":
            yield _no(accent, "only functions are supported", "tools")
        elif "strict" in tool["function"] and not accent.strict_tools:
            yield _no(accent, "strict is not available", "tools")
    yield from _messages(accent, body["messages"], accent.wants_thoughts and body["model"] in settings.reasoning_models)
    yield from rules.together(body)


def _messages(accent: Accent, messages: list[Any], thinking: bool) -> Iterator[Refused]:
    for at, message in enumerate(messages):
        if message.get("role") == "developer" and not accent.developer:
            yield _no(accent, f"messages[{at}]: unknown role developer", "messages")
        thoughts = message.get("reasoning_content")
        if thoughts is not None and not accent.takes_thoughts:
            yield _no(accent, f"messages[{at}]: unknown field reasoning_content", "messages")
        if thinking and message.get("tool_calls") and not thoughts:
            yield _no(accent, "The `reasoning_content` in the thinking mode must be passed back to the API.", None)
        yield from rules.of_message(
            f"messages[{at}]", {name: value for name, value in message.items() if name != "reasoning_content"}
        )
    yield from rules.answered(messages)


def _no(accent: Accent, message: str, param: str | None) -> Refused:
    return refusal(accent.errors["request"], {"message": message, "param": param})


def framed(accent: Accent, frame: Frame) -> Frame:
    """The frame as this service makes it."""
    frame.thought_key = accent.thought_key
    frame.usage = accent.usage(frame.usage)
    frame.plain, frame.more = True, accent.more
    return frame
