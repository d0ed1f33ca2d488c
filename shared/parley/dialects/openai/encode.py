"""A prompt for a service that speaks OpenAI's API: the request as it came, changed only where it must be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from parley.chat.prompt import Prompt
from parley.errors import UnsupportedParameter

_REASONING: Final = re.compile(r"(^|[/:])(o[1-9]|gpt-[5-9])([^a-z]|$)")
"""Names of models that know `max_completion_tokens` only (`upstreams/openai.md` section 4)."""
_THOUGHTS: Final = frozenset({"reasoning_content", "reasoning", "thinking_blocks"})
"""What a model thought before is told back only to those that want it: several services refuse it."""
_OURS: Final = frozenset({"stream", "stream_options", "max_tokens", "max_completion_tokens", "model", "messages"})
_DEFAULTS: Final[dict[str, object]] = {"n": 1, "logprobs": False, "parallel_tool_calls": True}


@dataclass(frozen=True, slots=True)
class Rules:
    """How one service's taste differs from OpenAI's."""

    limit: Literal["auto", "max_tokens", "max_completion_tokens"] = "auto"
    """Which name the limit of tokens has; `auto`: by the model's name."""
    developer: bool = True
    """Whether the service knows the role `developer`."""
    stream_usage: bool = True
    """Whether it takes `stream_options`."""
    pads: bool = False
    """Whether it fills chunks with random letters unless told not to; between servers that only costs."""
    drops: frozenset[str] = frozenset()
    """Tuning knobs that it does not know and that are left out."""
    strict_tools: bool = True
    """Whether tools may say `strict`."""
    most_top_logprobs: int = 20
    tool_choice: Literal["any", "auto", "ignored"] = "any"
    """`auto`: no call can be demanded; `ignored`: nor can calls be forbidden, but by telling no tools."""
    thoughts: Literal["never", "with_calls", "always"] = "never"
    """Beside which of its earlier messages a model wants its thoughts back."""
    most_temperature: float = 2.0
    least_top_p: float = 0.0
    extra_content: bool = False
    """Whether it takes back what it said beside a tool call; others refuse the unknown field."""


def encode(prompt: Prompt, rules: Rules) -> bytes:
    """The body to send. Always a stream: the unary answer is its fold. Raises UnsupportedParameter."""
    if (prompt.top_logprobs or 0) > rules.most_top_logprobs:
        raise UnsupportedParameter(
            f"'top_logprobs' can be at most {rules.most_top_logprobs} with this model.", param="top_logprobs"
        )
    if rules.tool_choice != "any" and prompt.tools and prompt.tool_choice not in (None, "none", "auto"):
        raise UnsupportedParameter("A tool call cannot be demanded from this model.", param="tool_choice")
    body: dict[str, Any] = {"model": prompt.model, "messages": _messages(prompt.raw["messages"], rules)}
    for name, value in prompt.raw.items():
        if name in _OURS or value is None or name in rules.drops or value == _DEFAULTS.get(name, _OURS):
            continue
        body[name] = value
    if rules.tool_choice == "ignored" and body.pop("tool_choice", None) == "none":
        body["tools"] = []
    if not body.get("tools", True):
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            body.pop(name, None)
    if "temperature" in body:
        body["temperature"] = min(body["temperature"], rules.most_temperature)
    if "top_p" in body:
        body["top_p"] = max(body["top_p"], rules.least_top_p)
    if not rules.strict_tools and "tools" in body:
        body["tools"] = [_lenient(tool) for tool in body["tools"]]
    if prompt.limit is not None:
        body[_limit_name(prompt.model, rules)] = prompt.limit
    body["stream"] = True
    if rules.stream_usage:
        more = {"include_obfuscation": False} if rules.pads else {}
        body["stream_options"] = {"include_usage": True, **more}
    return msgspec.json.encode(body)


def _limit_name(model: str, rules: Rules) -> str:
    if rules.limit != "auto":
        return rules.limit
    return "max_completion_tokens" if _REASONING.search(model) else "max_tokens"


def _messages(given: list[dict[str, Any]], rules: Rules) -> list[dict[str, Any]]:
    return [_message(message, rules) if _needs_change(message, rules) else message for message in given]


def _needs_change(message: dict[str, Any], rules: Rules) -> bool:
    return (
        (message["role"] == "developer" and not rules.developer)
        or isinstance(message.get("content"), list)
        or None in message.values()
        or [] in message.values()
        or not _THOUGHTS.isdisjoint(message)
        or (not rules.extra_content and any("extra_content" in call for call in message.get("tool_calls") or ()))
    )


def _message(message: dict[str, Any], rules: Rules) -> dict[str, Any]:
    # `content: null` beside tool calls is the API's own way; every other null, and a list of no calls, is "not given".
    new = {
        name: value
        for name, value in message.items()
        if name == "content" or not (value is None or value == [] or name in _THOUGHTS)
    }
    thoughts = message.get("reasoning_content") or message.get("reasoning")
    if thoughts and (rules.thoughts == "always" or (rules.thoughts == "with_calls" and new.get("tool_calls"))):
        new["reasoning_content"] = thoughts
    if new["role"] == "developer" and not rules.developer:
        new["role"] = "system"
    if isinstance(new.get("content"), list):
        new["content"] = [_part(part) for part in new["content"]]
    if not rules.extra_content and "tool_calls" in new:
        new["tool_calls"] = [{k: v for k, v in call.items() if k != "extra_content"} for call in new["tool_calls"]]
    return new


def _part(part: Any) -> Any:
    """A part as the API states it; some clients write text or an image's URL as a bare string."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if part.get("type") == "image_url" and isinstance(part["image_url"], str):
        return {**part, "image_url": {"url": part["image_url"]}}
    return part


def _lenient(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, dict) or "strict" not in function:
        return tool
    return {**tool, "function": {name: value for name, value in function.items() if name != "strict"}}
