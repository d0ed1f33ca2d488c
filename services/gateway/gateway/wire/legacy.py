"""The API's first way to call functions, put into today's words, so that everything behind the wire knows one shape.

`functions` become `tools`, `function_call` becomes `tool_choice` or `tool_calls`, and role `function` becomes `tool`.
The answer goes back in the old shape (`wire/stream.py`, `wire/body.py`).
"""

from __future__ import annotations

from typing import Any

from parley.chat.prompt import Assistant, Function, Prompt
from parley.errors import BadRequest


def is_spoken(prompt: Prompt) -> bool:
    """Whether the request uses the old words anywhere."""
    return (
        prompt.functions is not None
        or prompt.function_call is not None
        or any(
            isinstance(message, Function) or (isinstance(message, Assistant) and message.function_call is not None)
            for message in prompt.messages
        )
    )


def modernised(raw: dict[str, Any], prompt: Prompt) -> dict[str, Any]:
    """The same request in today's words. `prompt` is `raw`, checked. Raises BadRequest."""
    if prompt.functions and prompt.tools:
        raise BadRequest("'functions' and 'tools' cannot be used together.", param="functions")
    new = {name: value for name, value in raw.items() if name not in ("functions", "function_call")}
    if prompt.functions:
        new["tools"] = [{"type": "function", "function": function} for function in prompt.functions]
        new["parallel_tool_calls"] = False  # the old shape has room for one call
    choice = _choice(prompt)
    if choice is not None:
        new["tool_choice"] = choice
    new["messages"] = _messages(raw["messages"], prompt)
    return new


def _choice(prompt: Prompt) -> str | dict[str, Any] | None:
    choice = prompt.function_call
    if choice is None:
        return None
    if isinstance(choice, dict):
        name = choice.get("name")
        if not isinstance(name, str):
            raise BadRequest(
                "Missing required parameter: 'function_call.name'.",
                param="function_call.name",
                code="missing_required_parameter",
            )
        if name not in [function.get("name") for function in prompt.functions or ()]:
            raise BadRequest(
                f"Invalid value for 'function_call': there is no function '{name}' in 'functions'.",
                param="function_call",
                code="invalid_value",
            )
        return {"type": "function", "function": {"name": name}}
    if choice not in ("none", "auto"):
        raise BadRequest(
            "Invalid value for 'function_call': expected 'none', 'auto', or an object with a name.",
            param="function_call",
            code="invalid_value",
        )
    return choice if prompt.functions else None


def _messages(raw: list[dict[str, Any]], prompt: Prompt) -> list[dict[str, Any]]:
    """Calls get ids made from their position, so that the same conversation always reads the same."""
    new: list[dict[str, Any]] = []
    called = ""
    for position, (given, message) in enumerate(zip(raw, prompt.messages, strict=True)):
        if isinstance(message, Function):
            if not called:
                raise BadRequest(
                    f"Invalid value for 'messages[{position}].role': "
                    "a message with role 'function' must follow one with a 'function_call'.",
                    param=f"messages[{position}].role",
                    code="invalid_value",
                )
            new.append({"role": "tool", "tool_call_id": called, "content": message.content or ""})
            called = ""
        elif isinstance(message, Assistant) and message.function_call is not None:
            called = f"call_{position}"
            kept = {name: value for name, value in given.items() if name != "function_call"}
            call: dict[str, Any] = {"id": called, "type": "function", "function": given["function_call"]}
            new.append({**kept, "content": given.get("content"), "tool_calls": [call]})
        else:
            called = ""
            new.append(given)
    return new
