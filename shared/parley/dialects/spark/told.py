"""The conversation as the socket takes it: at most one system message, then user and assistant in turns, a user last.

There is no role for what a function gave back, so calls and their results are told in words (section 2.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from parley.chat.prompt import (
    Assistant,
    Developer,
    Function,
    Message,
    RefusalPart,
    System,
    Tool,
    User,
    text_of,
)
from parley.dialects import plain
from parley.errors import BadRequest


@dataclass(slots=True)
class Turn:
    """What one side says until the other one speaks."""

    role: Literal["system", "user", "assistant"]
    content: str


def turns(messages: Sequence[Message], *, system: bool) -> list[Turn]:
    """The conversation; without `system`, instructions are told as the first words of the first user.

    Raises BadRequest where there is nothing that could be asked.
    """
    made: list[Turn] = []
    for role, words in _said(messages):
        if not words.strip():  # the service refuses a message without words
            continue
        if made and made[-1].role == role:
            made[-1].content += f"\n{words}"
        else:
            made.append(Turn(role, words))
    if not made or made[-1].role != "user":
        raise BadRequest(
            "The last message with any words must be a user's or a tool's with this model.", param="messages"
        )
    rules = plain.instructions(messages)
    if rules and rules.strip():
        if system:
            made.insert(0, Turn("system", rules))
        else:
            first = next(turn for turn in made if turn.role == "user")
            first.content = f"{rules}\n\n{first.content}"
    return made


def _said(messages: Sequence[Message]) -> Iterable[tuple[Literal["user", "assistant"], str]]:
    names: dict[str, str] = {}
    for message in messages:
        match message:
            case User():
                yield "user", text_of(message.content)
            case Assistant():
                yield "assistant", _answered(message)
                names = {call.id: call.function.name for call in message.tool_calls or () if call.function}
            case Tool():
                yield "user", f"[{names.get(message.tool_call_id, 'tool')}] {text_of(message.content)}"
            case Function():
                yield "user", f"[{message.name}] {message.content or ''}"
            case System() | Developer():
                continue


def _answered(message: Assistant) -> str:
    calls = [call.function for call in message.tool_calls or () if call.function]
    if message.function_call:
        calls.append(message.function_call)
    told = [f"[{call.name}] {call.arguments}" for call in calls]
    return "\n".join(text for text in (spoken(message), *told) if text)


def spoken(message: Assistant) -> str:
    """The words of an assistant, those with which it declined among them."""
    parts = message.content if isinstance(message.content, list) else []
    declined = "".join(part.refusal for part in parts if isinstance(part, RefusalPart))
    return text_of(message.content) + (declined or message.refusal or "")
