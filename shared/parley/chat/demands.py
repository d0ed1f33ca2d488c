"""What a prompt demands of an upstream, beyond words: each demand with the parameter that makes it.

A demand that an upstream cannot meet is a 400 naming the parameter; knobs that merely tune are no demands, and a
provider declares which of them it drops (`upstreams/openai.md` section 4, last rule). A value equal to the API's
default demands nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from parley.chat.prompt import Assistant, AudioPart, FilePart, Function, ImagePart, Message, Prompt, Tool
from parley.errors import UnsupportedParameter

Feature = Literal[
    "tools",
    "custom_tools",
    "images",
    "audio_input",
    "audio_output",
    "files",
    "json_object",
    "json_schema",
    "n",
    "logprobs",
    "web_search",
    "stop",
    "max_tokens",
    "usage",
    "reasoning",
]
"""`stop` and `max_tokens` are special: where an upstream lacks them, the gateway enforces them itself; `usage` means
that it says how many tokens it used, which the gateway otherwise counts; `reasoning`, that it tells its thoughts apart
from its answer. These four are never demanded."""

KNOBS: Final = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "seed",
    "parallel_tool_calls",
    "reasoning_effort",
    "verbosity",
    "prediction",
    "service_tier",
    "store",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
)
"""What merely tunes: a provider drops, sends, or (where that would change what is paid for) refuses it by name."""


def demands(prompt: Prompt) -> Iterator[tuple[Feature, str]]:
    """Every feature this prompt needs, with the path of the parameter that asks for it."""
    for position, tool in enumerate(prompt.tools or ()):
        yield ("custom_tools" if tool.get("type") == "custom" else "tools"), f"tools[{position}]"
    if prompt.tool_choice not in (None, "none", "auto"):
        yield "tools", "tool_choice"
    if prompt.response_format and prompt.response_format.type != "text":
        yield prompt.response_format.type, "response_format"
    if prompt.n is not None and prompt.n > 1:
        yield "n", "n"
    if prompt.logprobs:
        yield "logprobs", "logprobs"
    if prompt.modalities and "audio" in prompt.modalities:
        yield "audio_output", "modalities"
    if prompt.web_search_options is not None:
        yield "web_search", "web_search_options"
    for position, message in enumerate(prompt.messages):
        yield from _of_message(message, f"messages[{position}]")


def _of_message(message: Message, path: str) -> Iterator[tuple[Feature, str]]:
    if isinstance(message, Tool | Function) or (
        isinstance(message, Assistant) and (message.tool_calls or message.function_call)
    ):
        yield "tools", path
    if isinstance(message.content, list):
        for position, part in enumerate(message.content):
            where = f"{path}.content[{position}]"
            match part:
                case ImagePart():
                    yield "images", where
                case AudioPart():
                    yield "audio_input", where
                case FilePart():
                    yield "files", where


def refuse_unmet(prompt: Prompt, features: frozenset[Feature], where: str) -> None:
    """Raise UnsupportedParameter for the first demand that `features` do not cover."""
    for feature, param in demands(prompt):
        if feature not in features:
            raise UnsupportedParameter(
                f"'{param}' is not supported by {where}: it offers no {feature.replace('_', ' ')}.", param=param
            )
