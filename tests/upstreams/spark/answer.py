"""What is answered: a question becomes an `Answer`, the same one every time, still without any wire shape."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from .. import directives
from ..openai.answer import sample, split
from .settings import Settings

Body = dict[str, Any]


class Answer(msgspec.Struct):
    """Pieces count as one token each."""

    pieces: list[str] = []
    thoughts: list[str] = []
    calls: list[tuple[str, str]] = []
    pace: float | None = None
    plugin: bool = False

    @property
    def tokens(self) -> int:
        """What this answer costs."""
        return len(self.pieces) + len(self.thoughts) + sum(1 + len(words) // 4 for _, words in self.calls)


def answer(
    messages: list[Body],
    settings: Settings,
    report: Body,
    *,
    limit: int | None = None,
    functions: list[Body] | None = None,
    choice: Any = None,
    wants_json: bool = False,
    searched: bool = False,
) -> Answer:
    """The answer to this conversation."""
    wish = directives.read(_asked(messages))
    calls = _calls(wish, functions or [], choice)
    text = "" if calls else _text(wish, settings, report, wants_json=wants_json)
    thoughts = split(wish.thoughts, settings.piece)
    pieces = split(text, settings.piece)
    if limit is not None and not calls:
        thoughts = thoughts[:limit]
        pieces = pieces[: limit - len(thoughts)]
    return Answer(pieces, thoughts, calls, wish.pace, searched)


def usage(messages: list[Body], said: Answer) -> dict[str, int]:
    """Characters over four of what was asked, and the pieces of the answer."""
    prompt = max(1, sum(len(message.get("content") or "") for message in messages) // 4)
    return {
        "question_tokens": max(1, len(messages[-1].get("content") or "") // 4),
        "prompt_tokens": prompt,
        "completion_tokens": said.tokens,
        "total_tokens": prompt + said.tokens,
    }


def _asked(messages: list[Body]) -> str:
    """The last user's words; instructions may stand before a directive in them."""
    words = next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")
    before, found, wish = words.partition("\n\n!")
    return f"!{wish}" if found and not before.startswith("!") else str(words)


def _text(wish: directives.Wish, settings: Settings, report: Body, *, wants_json: bool) -> str:
    if wish.report:
        return json.dumps(report, ensure_ascii=False)
    if settings.answer is not None:
        return settings.answer
    text = wish.text or wish.refusal
    return json.dumps({"echo": text}, ensure_ascii=False) if wants_json and not wish.asked else text


def _calls(wish: directives.Wish, functions: list[Body], choice: Any) -> list[tuple[str, str]]:
    if wish.calls or wish.asked or not functions:
        return wish.calls
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    wanted = [one for one in functions if named in (None, one["name"])][:1] if choice not in (None, "auto") else []
    return [(one["name"], json.dumps(sample(one.get("parameters", {})))) for one in wanted if choice != "none"]
