"""The model: no dice, no network. What it says lets a test see what it was asked.

    any text             -> the last thing the user said, word for word
    ...!say:<text>       -> <text>, to the end of what the user said
    ...!words:<n>        -> "w1 w2 ... wn"
    ...!report           -> JSON of everything that reached the model (`Asked`)

"The last thing the user said" is the whole body, or, in a history told as one text (`User: ...` / `Assistant: ...`
lines), the last `User:` part.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

_TURN = re.compile(r"(?:^|\n\n?)(User|Assistant): ?")
_TOKEN = re.compile(r"\s*\S+|\s+$")


class Asked(msgspec.Struct, kw_only=True):
    """What reached the model, after the door took it apart."""

    door: str  # ws, completions, answer_question, openai
    body: str
    system_prompt: str | None
    llm: str | int | None
    llm_args: dict[str, Any]
    rag_config: dict[str, Any] | None
    include_chat_history: bool | str | None
    history: list[list[str]]  # the turns that were really fed: [question, reply], oldest first
    tags: Any = None
    prompt_template_id: str | None = None
    session_template_id: str | None = None
    messages: list[dict[str, Any]] | None = None  # door D: the conversation as it came
    as_it_came: dict[str, Any] | None = None  # door D: all of the request


class Answer(msgspec.Struct):
    """A reply, and what it cost."""

    text: str
    llm: str
    input_tokens: int
    output_tokens: int

    def usage(self) -> dict[str, Any]:
        """The `usage_stats` record; its content is JSON in a string."""
        tokens = {"llm": self.llm, "input_tokens": self.input_tokens, "output_tokens": self.output_tokens}
        stats = {
            "llm": self.llm,
            "cost": round(0.000001 * (self.input_tokens + self.output_tokens), 6),
            "response_time": 0.1,
            "queue_time": 0.0,
            "retrieval_time": 0.0,
            "usage": [tokens],
        }
        return {"message_type": "usage_stats", "content": json.dumps(stats)}


def answer(asked: Asked, models: Sequence[str], most_tokens: int, fixed: str | None = None) -> Answer:
    """The reply to this, cut at `max_new_tokens`."""
    tokens = _TOKEN.findall(fixed if fixed is not None else _reply(asked))
    most = asked.llm_args.get("max_new_tokens", most_tokens)
    told = [asked.system_prompt or "", asked.body, *(text for turn in asked.history for text in turn)]
    llm = models[asked.llm] if isinstance(asked.llm, int) else asked.llm
    return Answer(
        "".join(tokens[:most]), models[0] if llm in (None, "auto") else str(llm), _count(told), len(tokens[:most])
    )


def last_said(body: str) -> str:
    """The user's last words in a body."""
    parts = _TURN.split(body)
    if parts[0] or len(parts) < 3:
        return body
    turns = list(zip(parts[1::2], parts[2::2], strict=True))
    return next((text.strip() for who, text in reversed(turns) if who == "User"), body)


def pieces(text: str, size: int, by: str) -> Iterator[str]:
    """The reply as it is streamed: `size` characters, or as many whole characters as fit into `size` bytes."""
    if by == "characters":
        yield from (text[at : at + size] for at in range(0, len(text), size))
        return
    piece = ""
    for character in text:
        if piece and len((piece + character).encode()) > size:
            yield piece
            piece = ""
        piece += character
    if piece:
        yield piece


def _count(texts: list[str]) -> int:
    return sum(len(_TOKEN.findall(text)) for text in texts)


def _reply(asked: Asked) -> str:
    said = last_said(asked.body)
    if "!report" in said:
        return json.dumps(msgspec.to_builtins(asked), ensure_ascii=False)
    if "!say:" in said:
        return said.partition("!say:")[2]
    if words := re.search(r"!words:(\d+)", said):
        return " ".join(f"w{n}" for n in range(1, int(words[1]) + 1))
    return said
