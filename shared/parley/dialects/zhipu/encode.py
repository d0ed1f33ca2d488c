"""A prompt for the v4 API (`upstreams/zhipu.md` sections 2.1 and 4).

Only fields that the platform documents are sent: it refuses values at the edge of a range, and some fields it does not
know. Its own fields (`thinking`, `do_sample`, ...) are passed on where a caller wrote them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from parley.chat.prompt import (
    Assistant,
    AudioPart,
    Content,
    Developer,
    Function,
    ImagePart,
    ImageURL,
    Message,
    Prompt,
    RefusalPart,
    ResponseFormat,
    System,
    TextPart,
    Tool,
    User,
    text_of,
)
from parley.errors import UnsupportedParameter

DROPS: Final = frozenset(
    {
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "parallel_tool_calls",
        "store",
        "metadata",
        "service_tier",
        "verbosity",
        "prediction",
        "prompt_cache_key",
    }
)
"""Knobs that are not sent. `seed` and `reasoning_effort` are sent to the models that know them."""

_OWN: Final = (
    "do_sample",
    "thinking",
    "tool_stream",
    "request_id",
    "user_id",
    "sensitive_word_check",
    "meta",
    "watermark_enabled",
)
_VERSION: Final = re.compile(r"(?:^|/)glm-(\d+)(?:\.(\d+))?(?=[^\d.]|$)", re.IGNORECASE)
_OLD_EYES: Final = re.compile(r"(?:^|/)glm-4v", re.IGNORECASE)
"""Models that see, and refuse a system message."""
_EDGE: Final = 0.01
_USER_ID: Final = range(6, 129)


@dataclass(frozen=True, slots=True)
class Taste:
    """What an operator prefers where the platform cannot do what is asked for."""

    json_schema: Literal["refuse", "told"] = "refuse"
    """`told`: the schema is put into words, and the answer is JSON that mostly fits it."""
    forced_tools: Literal["refuse", "auto"] = "refuse"
    """`auto`: the model decides, although the caller said that a tool must be called."""


def encode(prompt: Prompt, model: str, taste: Taste) -> dict[str, Any]:
    """The body to send. Always a stream: the unary answer is its fold. Raises UnsupportedParameter."""
    version = _version(model)
    body: dict[str, Any] = {"model": model, "messages": _messages(prompt, model, taste)}
    body.update(_sampling(prompt, modern=version >= (4, 5)))
    if prompt.limit is not None:
        body["max_tokens"] = prompt.limit
    if prompt.stops:
        body["stop"] = prompt.stops[:1]  # it takes one; the gateway keeps the others
    if user := prompt.user or prompt.safety_identifier:
        body["user_id"] = user if len(user) in _USER_ID else hashlib.sha256(user.encode()).hexdigest()
    if tools := _tools(prompt, taste):
        body["tools"] = tools
    if prompt.response_format is not None and prompt.response_format.type != "text":
        body["response_format"] = {"type": "json_object"}
    body.update(_effort(prompt.reasoning_effort, version))
    body.update({name: value for name in _OWN if (value := prompt.raw.get(name)) is not None})
    body["stream"] = True
    return body


def _version(model: str) -> tuple[int, int]:
    """The version in a model's name; (0, 0) where it bears none, as the oldest."""
    found = _VERSION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


# --- what was said ------------------------------------------------------------------------------------------------


def _messages(prompt: Prompt, model: str, taste: Taste) -> list[dict[str, Any]]:
    said = [_message(message) for message in prompt.messages]
    if prompt.response_format is not None and prompt.response_format.type == "json_schema":
        said.insert(0, {"role": "system", "content": _schema_told(prompt.response_format, taste)})
    if _OLD_EYES.search(model):
        said = _without_system(said)
    if not any(message["role"] == "user" for message in said):
        # A conversation needs a user in it; one who says nothing changes least.
        first = next((at for at, message in enumerate(said) if message["role"] != "system"), len(said))
        said.insert(first, {"role": "user", "content": " "})
    return said


def _message(message: Message) -> dict[str, Any]:
    match message:
        case System() | Developer():
            return {"role": "system", "content": text_of(message.content)}
        case User():
            return {"role": "user", "content": _content(message.content)}
        case Assistant():
            said: dict[str, Any] = {"role": "assistant", "content": _told(message)}
            if message.reasoning_content:
                said["reasoning_content"] = message.reasoning_content  # its vendor wants it back between tools
            if message.tool_calls:
                said["tool_calls"] = [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": call.function.name, "arguments": call.function.arguments},
                    }
                    for call in message.tool_calls
                    if call.function is not None
                ]
            return said
        case Tool():
            return {"role": "tool", "content": text_of(message.content), "tool_call_id": message.tool_call_id}
        case Function():  # the gateway has put it into today's words before
            raise UnsupportedParameter("Messages of role 'function' are not supported here.", param="messages")


def _told(message: Assistant) -> str:
    parts = message.content if isinstance(message.content, list) else []
    declined = "".join(part.refusal for part in parts if isinstance(part, RefusalPart))
    return text_of(message.content) + (declined or message.refusal or "")


def _content(content: Content) -> str | list[dict[str, Any]]:
    """Text wherever it is only that: models without eyes take no list."""
    if isinstance(content, list) and not all(isinstance(part, str | TextPart) for part in content):
        return list(_parts(content))
    return text_of(content)


def _parts(content: Sequence[object]) -> Iterator[dict[str, Any]]:
    for part in content:
        match part:
            case str():
                yield {"type": "text", "text": part}
            case TextPart():
                yield {"type": "text", "text": part.text}
            case ImagePart():
                url = part.image_url.url if isinstance(part.image_url, ImageURL) else part.image_url
                yield {"type": "image_url", "image_url": {"url": url}}
            case AudioPart():
                yield {"type": "input_audio", "input_audio": part.input_audio}


def _without_system(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The instructions at the beginning of what the user says first."""
    rules = "\n\n".join(message["content"] for message in said if message["role"] == "system" and message["content"])
    rest = [message for message in said if message["role"] != "system"]
    first = next((message for message in rest if message["role"] == "user"), None)
    if not rules:
        return rest
    if first is None:
        return [{"role": "user", "content": rules}, *rest]
    if isinstance(first["content"], list):
        first["content"] = [{"type": "text", "text": rules}, *first["content"]]
    else:
        first["content"] = f"{rules}\n\n{first['content']}"
    return rest


# --- how to answer ------------------------------------------------------------------------------------------------


def _sampling(prompt: Prompt, *, modern: bool) -> dict[str, Any]:
    """Values inside the ranges, whose edges classic models refuse."""
    made: dict[str, Any] = {}
    top = 1.0 if modern else 1.0 - _EDGE
    if prompt.temperature is not None:
        if prompt.temperature <= 0:
            made["do_sample"] = False
        else:
            made["temperature"] = min(prompt.temperature, top)
    if prompt.top_p is not None:
        made["top_p"] = min(max(prompt.top_p, _EDGE), top)
    if prompt.seed is not None and modern:
        made["seed"] = prompt.seed
    return made


def _effort(effort: str | None, version: tuple[int, int]) -> dict[str, Any]:
    """Whether to think at all, and from 5.2 on how much; models before 4.5 know neither."""
    if effort is None or version < (4, 5):
        return {}
    made: dict[str, Any] = {"thinking": {"type": "disabled" if effort in ("none", "minimal") else "enabled"}}
    if version >= (5, 2):
        made["reasoning_effort"] = effort
    return made


def _tools(prompt: Prompt, taste: Taste) -> list[dict[str, Any]]:
    choice = prompt.tool_choice
    if choice == "none" or not prompt.tools:
        return []
    tools = prompt.tools
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = choice["allowed_tools"]
        names = {tool["function"]["name"] for tool in allowed["tools"] if "function" in tool}
        tools = [tool for tool in tools if tool["function"]["name"] in names]
        choice = allowed["mode"]
    if choice not in (None, "auto") and taste.forced_tools == "refuse":
        raise UnsupportedParameter(
            "'tool_choice' can only be 'auto' or 'none' here: this model decides by itself whether it calls a tool.",
            param="tool_choice",
        )
    return [_tool(tool["function"]) for tool in tools]


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    told = {name: value for name in ("name", "description") if (value := function.get(name)) is not None}
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    return {"type": "function", "function": {**told, "parameters": parameters}}


def _schema_told(wanted: ResponseFormat, taste: Taste) -> str:
    """The schema in words. Raises UnsupportedParameter where words are not enough."""
    if taste.json_schema == "refuse":
        raise UnsupportedParameter(
            "'response_format' can be 'json_object' here, but not 'json_schema'.", param="response_format"
        )
    schema = msgspec.json.encode((wanted.json_schema or {}).get("schema") or {}).decode()
    return f"Answer with one JSON object that fits this JSON Schema, and with nothing else:\n{schema}"
