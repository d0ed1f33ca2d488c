"""The conversation as the legacy API takes it: user and assistant in strict turns, a user first and last, none silent.

What a function gave back stands in the user's place; instructions are told apart. Most of what goes wrong with other
gateways goes wrong here (`upstreams/baidu-qianfan.md`, traps).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from parley.chat.prompt import Assistant, Developer, Function, Message, RefusalPart, System, Tool, User, text_of
from parley.errors import BadRequest, UnsupportedParameter

Turn = dict[str, Any]

_OPENING: Final = "(The conversation begins.)"
"""What the user says first where the assistant speaks first."""
_NOD: Final = "OK"
"""What the assistant says where the user goes on after a function's result."""
_NOTHING: Final = "{}"
"""What a function gave back that gave back nothing."""


def turns(messages: Sequence[Message]) -> list[Turn]:
    """The turns. Raises BadRequest, UnsupportedParameter."""
    made: list[Turn] = []
    for turn in _said(messages):
        last = made[-1] if made else None
        if _side(turn) == "assistant":
            if last is None:
                made.append({"role": "user", "content": _OPENING})
            elif _side(last) == "assistant":
                _join(last, turn)
                continue
        elif last is not None and _side(last) != "assistant":
            if last["role"] == turn["role"] == "user":
                _join(last, turn)
                continue
            made.append({"role": "assistant", "content": _NOD})
        made.append(turn)
    if not made or _side(made[-1]) == "assistant":
        raise BadRequest(
            "The last message with any words must be a user's or a tool's with this model.", param="messages"
        )
    return made


def _side(turn: Turn) -> str:
    return "assistant" if turn["role"] == "assistant" else "user"


def _join(before: Turn, after: Turn) -> None:
    if "function_call" in before and "function_call" in after:
        raise _one_call_only("messages")
    words = [turn["content"] for turn in (before, after) if turn["content"]]
    before.update({**after, "content": "\n\n".join(words)})


def _said(messages: Sequence[Message]) -> Iterator[Turn]:
    names: dict[str, str] = {}
    for position, message in enumerate(messages):
        match message:
            case User():
                if (words := text_of(message.content)).strip():
                    yield {"role": "user", "content": words}
            case Assistant():
                turn = _answered(message, f"messages[{position}]")
                names |= {call.id: call.function.name for call in message.tool_calls or () if call.function}
                if turn["content"].strip() or "function_call" in turn:
                    yield turn
            case Tool():
                name = names.get(message.tool_call_id)
                if name is None:
                    raise BadRequest("This answers no tool call.", param=f"messages[{position}].tool_call_id")
                yield {"role": "function", "name": name, "content": text_of(message.content).strip() or _NOTHING}
            case Function():
                yield {"role": "function", "name": message.name, "content": message.content or _NOTHING}
            case System() | Developer():
                continue


def _answered(message: Assistant, path: str) -> Turn:
    parts = message.content if isinstance(message.content, list) else []
    declined = "".join(part.refusal for part in parts if isinstance(part, RefusalPart))
    turn: Turn = {"role": "assistant", "content": text_of(message.content) + (declined or message.refusal or "")}
    calls = [call.function for call in message.tool_calls or () if call.function]
    calls += [message.function_call] if message.function_call else []
    if len(calls) > 1:
        raise _one_call_only(f"{path}.tool_calls")
    for call in calls:
        turn["function_call"] = {"name": call.name, "arguments": call.arguments}
        if message.reasoning_content:
            turn["function_call"]["thoughts"] = message.reasoning_content
    return turn


def _one_call_only(param: str) -> UnsupportedParameter:
    return UnsupportedParameter("This model makes one tool call at a time, so several cannot be told.", param=param)
