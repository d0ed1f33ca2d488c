"""The one frame that asks (section 2.1)."""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal

import msgspec

from parley.chat.prompt import Prompt
from parley.dialects.spark.told import turns
from parley.dialects.spark.versions import Version
from parley.errors import BadRequest, UnsupportedParameter

Temperature = Literal["clamp", "halve"]
"""OpenAI's scale goes to 2 and most versions' to 1: cut there, or half of everything as openai-style-api has it."""
ForcedTools = Literal["refuse", "auto"]
"""What becomes of a caller's order to call a function: nobody can force this model, but it may decide by itself."""

_LEAST_TEMPERATURE: Final = 0.01
_LONGEST_USER: Final = 32


def encode(
    prompt: Prompt,
    version: Version,
    app_id: str,
    *,
    image: str | None = None,
    temperature: Temperature = "clamp",
    forced_tools: ForcedTools = "refuse",
) -> str:
    """The question, with its image (base64) where there is one.

    Raises BadRequest, and UnsupportedParameter for what this version cannot honour.
    """
    header: dict[str, Any] = {"app_id": app_id}
    if user := user_of(prompt):
        header["uid"] = user
    if version.patch_id:
        header["patch_id"] = [version.patch_id]
    payload: dict[str, Any] = {"message": {"text": _text(prompt, version, image)}}
    if functions := _functions(prompt, version, forced_tools):
        payload["functions"] = {"text": functions}
    frame = {"header": header, "parameter": {"chat": _chat(prompt, version, temperature)}, "payload": payload}
    return msgspec.json.encode(frame).decode()


def most_tokens(prompt: Prompt, version: Version) -> int:
    """How many tokens the answer may have. Always asked for: a default that nobody sees would cut answers unseen."""
    return min(prompt.limit or version.most_tokens, version.most_tokens)


def user_of(prompt: Prompt) -> str:
    """Who asks, as short as the service wants it; a longer name is told by its digest."""
    user = prompt.user or prompt.safety_identifier or ""
    return user if len(user) <= _LONGEST_USER else hashlib.sha256(user.encode()).hexdigest()[:_LONGEST_USER]


def top_k_of(prompt: Prompt) -> int | None:
    """A knob of the service's own, which callers may send beside OpenAI's."""
    given = prompt.raw.get("top_k")
    return min(max(given, 1), 6) if isinstance(given, int) and not isinstance(given, bool) else None


def search_of(prompt: Prompt) -> dict[str, Any] | None:
    """The web search that a prompt asks for, as both APIs take it."""
    if prompt.web_search_options is None:
        return None
    deep = prompt.web_search_options.get("search_context_size") == "high"
    return {"type": "web_search", "web_search": {"enable": True, "search_mode": "deep" if deep else "normal"}}


def _chat(prompt: Prompt, version: Version, scale: Temperature) -> dict[str, Any]:
    chat: dict[str, Any] = {"domain": version.domain, "max_tokens": most_tokens(prompt, version)}
    if prompt.temperature is not None:
        halved = scale == "halve" and version.most_temperature < 2
        wanted = prompt.temperature / 2 if halved else prompt.temperature
        chat["temperature"] = max(_LEAST_TEMPERATURE, min(wanted, version.most_temperature))  # zero is refused
    if (top_k := top_k_of(prompt)) is not None:
        chat["top_k"] = top_k
    if version.reasons:
        for name in ("top_p", "presence_penalty", "frequency_penalty"):
            if (value := getattr(prompt, name)) is not None:
                chat[name] = value
    if (search := search_of(prompt)) is not None:
        if not version.search:
            raise UnsupportedParameter("This model does not search the web.", param="web_search_options")
        chat["tools"] = [search]
    return chat


def _text(prompt: Prompt, version: Version, image: str | None) -> list[dict[str, str]]:
    told = [{"role": turn.role, "content": turn.content} for turn in turns(prompt.messages, system=version.system)]
    if not version.images:
        return told
    if image is None:
        raise BadRequest("This model answers questions about an image, and there is none.", param="messages")
    first = {"role": "user", "content": image, "content_type": "image"}
    return [first, *({**turn, "content_type": "text"} for turn in told)]


def _functions(prompt: Prompt, version: Version, forced: ForcedTools) -> list[dict[str, Any]]:
    tools, choice = prompt.tools or [], prompt.tool_choice
    if not tools or choice == "none":
        return []
    if not version.functions:
        raise UnsupportedParameter("This model calls no functions.", param="tools[0]")
    allowed: set[str] | None = None
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = {tool["function"]["name"] for tool in choice["allowed_tools"]["tools"]}
        choice = choice["allowed_tools"]["mode"]
    if choice not in (None, "auto") and forced == "refuse":
        raise UnsupportedParameter("This model cannot be told to call a function; it decides.", param="tool_choice")
    functions = [tool["function"] for tool in tools]
    return [_function(function) for function in functions if allowed is None or function["name"] in allowed]


def _function(function: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": function["name"],
        "description": function.get("description") or "",
        "parameters": function.get("parameters") or {"type": "object", "properties": {}},
    }
