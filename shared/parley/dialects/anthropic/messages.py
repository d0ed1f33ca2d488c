"""A conversation as the API wants it (`upstreams/anthropic.md` sections 2.1, 4.2).

* Instructions stand apart from the turns. Turns alternate, beginning with the user's: adjacent ones of a role are one.
* The results of tools are the first blocks of the user's turn right behind the calls.
* No text is blank, not even in history; ids are of letters, digits, `_` and `-`, and each is used once.
* What the model thought before it called a tool is told back as it was said: callers keep it as `thinking_blocks`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from parley.chat.prompt import (
    Assistant,
    Call,
    Content,
    Developer,
    FilePart,
    ImagePart,
    Message,
    Prompt,
    RefusalPart,
    System,
    TextPart,
    Tool,
    User,
    text_of,
)
from parley.dialects.anthropic.media import document, image
from parley.errors import BadRequest, UnsupportedParameter

Block = dict[str, Any]
_ODD: Final = re.compile(r"[^a-zA-Z0-9_-]")
_THOUGHTS: Final = {"thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}
_NO_FIELDS: Final[Mapping[str, Any]] = {}


@dataclass(slots=True)
class Conversation:
    """What was said so far."""

    system: list[Block] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)
    called: dict[str, None] = field(default_factory=dict)
    """Names of the tools that were called, in order."""

    @property
    def may_think(self) -> bool:
        """Whether the API lets the model think now: not when it must go on with words of its own, nor within a round of
        tools that began without a signed thought."""
        if self.turns[-1]["role"] == "assistant":
            return False
        for turn in reversed(self.turns):
            kinds = [block["type"] for block in turn["content"]]
            if turn["role"] == "user":
                if "tool_result" not in kinds:
                    return True
            elif "tool_use" in kinds and kinds[0] not in _THOUGHTS:
                return False
        return True

    def tell(self, role: Literal["user", "assistant"], blocks: list[Block]) -> None:
        """Add to the conversation; adjacent turns of one role become one."""
        if not blocks:
            return
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": role, "content": blocks})


def conversation(prompt: Prompt, *, opening: str, hoist: bool) -> Conversation:
    """The conversation of a prompt. Raises BadRequest, UnsupportedParameter.

    `opening` is what the user says first where an assistant does (empty: such a conversation is refused); `hoist`:
    whether instructions in the midst of it go to the others, or stay as words of the user.
    """
    made, ids = Conversation(), _Ids()
    raw = prompt.raw.get("messages") or [_NO_FIELDS] * len(prompt.messages)
    for position, (message, given) in enumerate(zip(prompt.messages, raw, strict=True)):
        where = f"messages[{position}]"
        if isinstance(message, System | Developer):
            texts = list(_blocks(message.content, given, where))
            if hoist or not made.turns:
                made.system += texts
            else:
                made.tell("user", texts)
            continue
        role: Literal["user", "assistant"] = "assistant" if isinstance(message, Assistant) else "user"
        if role == "assistant" and not made.turns:
            made.tell("user", [_opening(opening, where)])
        made.tell(role, _turn(message, given, where, ids, made.called))
    _end(made.turns)
    if not made.turns:
        raise BadRequest("'messages' must hold a user message with something in it.", param="messages")
    return made


def _opening(words: str, where: str) -> Block:
    if not words.strip():
        raise BadRequest("The first message must be the user's.", param=f"{where}.role", code="invalid_value")
    return {"type": "text", "text": words}


def _end(turns: list[dict[str, Any]]) -> None:
    """Last words of the assistant are no good with a blank at their end."""
    while turns and turns[-1]["role"] == "assistant":
        blocks = turns[-1]["content"]
        if blocks[-1]["type"] == "text":
            blocks[-1]["text"] = blocks[-1]["text"].rstrip()
        if any(block["type"] not in _THOUGHTS for block in blocks):
            return
        turns.pop()  # nothing but thoughts: nobody said anything


def _turn(message: Message, given: Mapping[str, Any], where: str, ids: _Ids, called: dict[str, None]) -> list[Block]:
    match message:
        case User():
            blocks = list(_blocks(message.content, given, where))
            if not blocks:
                raise BadRequest(f"'{where}.content' says nothing.", param=f"{where}.content", code="invalid_value")
            return blocks
        case Assistant():
            blocks = [*_thoughts(given, where), *_blocks(message.content, given, where)]
            if message.refusal and message.refusal.strip():
                blocks.append({"type": "text", "text": message.refusal})
            for number, call in enumerate(message.tool_calls or ()):
                block = _call(call, f"{where}.tool_calls[{number}]", ids)
                called[block["name"]] = None
                blocks.append(block)
            return blocks
        case Tool():
            result: Block = {
                "type": "tool_result",
                "tool_use_id": ids.of(message.tool_call_id),
                "content": text_of(message.content),
            }
            return [{**result, **_cached(_parts(given)[-1:])}]
        case _:
            raise UnsupportedParameter(f"'{where}' has a role that this model does not know.", param=f"{where}.role")


def _blocks(content: Content, given: Mapping[str, Any], where: str) -> Iterator[Block]:
    """The blocks of a content; blank texts are left out."""
    if content is None or isinstance(content, str):
        content = [content] if content else []
    parts = _parts(given)
    for position, part in enumerate(content):
        place = f"{where}.content[{position}]"
        block: Block | None = None
        match part:
            case str() | TextPart() | RefusalPart():
                text = part if isinstance(part, str) else part.text if isinstance(part, TextPart) else part.refusal
                block = {"type": "text", "text": text} if text.strip() else None
            case ImagePart():
                block = image(part, place)
            case FilePart():
                block = document(part, place)
            case _:
                raise UnsupportedParameter(f"'{place}' is not supported by this model.", param=place)
        if block is not None:
            yield {**block, **_cached(parts[position : position + 1])}


def _parts(given: Mapping[str, Any]) -> Sequence[Any]:
    """The parts of a message as they came."""
    content = given.get("content")
    return content if isinstance(content, list) else ()


def _cached(part: Sequence[Any]) -> dict[str, Any]:
    """The mark behind which the API remembers what it read, where the caller set one."""
    mark = part[0].get("cache_control") if part and isinstance(part[0], dict) else None
    return {"cache_control": mark} if isinstance(mark, dict) else {}


def _thoughts(given: Mapping[str, Any], where: str) -> Iterator[Block]:
    """Signed thoughts, as our answer said them (`Decoder`) and the caller kept them."""
    said = given.get("thinking_blocks") or []
    for position, block in enumerate(said if isinstance(said, list) else [said]):
        members = _THOUGHTS.get(block.get("type") or "") if isinstance(block, dict) else None
        if members is None or not all(isinstance(block.get(name), str) for name in members):
            raise BadRequest(
                "A thinking block is given back as it came.",
                param=f"{where}.thinking_blocks[{position}]",
                code="invalid_value",
            )
        yield {name: block[name] for name in ("type", *members)}


def _call(call: Call, where: str, ids: _Ids) -> Block:
    if call.function is None:
        raise UnsupportedParameter(f"'{where}.custom' is not supported by this model.", param=f"{where}.custom")
    given: Any = None
    with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
        given = msgspec.json.decode(call.function.arguments.strip() or "{}")
    if not isinstance(given, dict):
        param = f"{where}.function.arguments"
        raise BadRequest(f"'{param}' must be a JSON object.", param=param, code="invalid_value")
    return {"type": "tool_use", "id": ids.new(call.id), "name": call.function.name, "input": given}


class _Ids:
    """Ids of calls as the API takes them: some callers use one twice, or letters that it does not know."""

    def __init__(self) -> None:
        self._ours: dict[str, str] = {}
        self._taken: set[str] = set()

    def new(self, theirs: str) -> str:
        """The id of a call."""
        plain = _ODD.sub("_", theirs) or "call"
        ours, number = plain, 1
        while ours in self._taken:
            number += 1
            ours = f"{plain}_{number}"
        self._taken.add(ours)
        self._ours[theirs] = ours
        return ours

    def of(self, theirs: str) -> str:
        """The id of the newest call that the caller knows by this one."""
        return self._ours.get(theirs) or self.new(theirs)
