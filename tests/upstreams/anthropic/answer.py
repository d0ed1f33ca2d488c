"""What is answered: a request becomes an `Answer`, the same one every time, still without any wire shape."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec

from .. import directives
from ..openai.answer import sample, split
from .settings import Settings

Body = dict[str, Any]


class Call(msgspec.Struct):
    """One tool call."""

    id: str
    name: str
    input: Any


class Answer(msgspec.Struct):
    """What is said, in pieces, each of which counts as one token."""

    pieces: list[str] = []
    thoughts: list[str] | None = None
    """None: it did not think."""
    calls: list[Call] = []
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None
    explanation: str | None = None
    pace: float | None = None

    @property
    def thinking_tokens(self) -> int:
        """What its thoughts cost."""
        return len(self.thoughts or ())

    @property
    def tokens(self) -> int:
        """What it costs."""
        return (
            len(self.pieces) + self.thinking_tokens + sum(1 + len(json.dumps(call.input)) // 4 for call in self.calls)
        )


def answer(body: Body, settings: Settings, report: Body, number: int) -> Answer:
    """The answer to this request."""
    wish = directives.read(last_words(body["messages"]))
    calls = _calls(body, wish, number)
    forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")  # then it says nothing before it calls
    text = "" if calls and (forced or wish.text is None) else _text(body, wish, settings, report)
    # A report is told whole: what it tells of the request would be cut by the request's own words.
    text, stop = (text, None) if wish.report else _stopped(text, body.get("stop_sequences") or ())
    made = Answer(
        pieces=split(text, settings.piece),
        thoughts=split(wish.thoughts or "Let me see.", settings.piece) if _thinks(body) else None,
        calls=calls,
        stop_reason="tool_use" if calls else "stop_sequence" if stop else "end_turn",
        stop_sequence=stop,
        pace=wish.pace,
    )
    if wish.refusal:
        made.pieces, made.stop_reason, made.explanation = [], "refusal", wish.refusal
    limit = body.get("max_tokens") or made.tokens
    if made.tokens > limit and not calls and not wish.report:
        made.thoughts = made.thoughts and made.thoughts[:limit]
        made.pieces = made.pieces[: limit - made.thinking_tokens]
        made.stop_reason, made.stop_sequence = "max_tokens", None
    if wish.stop:
        made.stop_reason = wish.stop
    return made


def last_words(messages: list[Body]) -> str:
    """The text of the last turn; where it holds only results of tools, what they say."""
    content = next((turn["content"] for turn in reversed(messages) if turn["role"] == "user"), "")
    if isinstance(content, str):
        return content
    said = [block["text"] for block in content if block["type"] == "text"]
    results = [_words(block.get("content", "")) for block in content if block["type"] == "tool_result"]
    return "".join(said) or " ".join(results)


def system_words(body: Body) -> str:
    """All instructions."""
    return _words(body.get("system", ""))


def prompt_tokens(body: Body) -> int:
    """Characters over four, of everything that was said to us."""
    said = [body.get("system", ""), body.get("tools", ""), body["messages"]]
    return max(1, sum(len(json.dumps(one, ensure_ascii=False)) for one in said if one) // 4)


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n\n".join(block.get("text", "") for block in content)


def _thinks(body: Body) -> bool:
    return (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")


def _text(body: Body, wish: directives.Wish, settings: Settings, report: Body) -> str:
    if wish.report:
        return json.dumps(report, ensure_ascii=False)
    if settings.answer is not None:
        return settings.answer
    text = wish.text or ""
    shape = (body.get("output_config") or {}).get("format")
    if shape and not wish.asked:
        return json.dumps(sample(shape["schema"]), ensure_ascii=False)
    if "JSON object" in system_words(body) and not wish.asked:
        return json.dumps({"echo": text}, ensure_ascii=False)
    return text


def _stopped(text: str, stops: Any) -> tuple[str, str | None]:
    """The text up to the first stop sequence, and which one it was."""
    found = [(at, stop) for stop in stops if (at := text.find(stop)) >= 0]
    if not found:
        return text, None
    at, stop = min(found)
    return text[:at], stop


def _calls(body: Body, wish: directives.Wish, number: int) -> list[Call]:
    tools = {tool["name"]: tool.get("input_schema", {}) for tool in body.get("tools") or ()}
    choice = body.get("tool_choice") or {"type": "auto"}
    wanted = [(name, json.loads(arguments)) for name, arguments in wish.calls]
    if not wanted and choice["type"] in ("any", "tool"):
        name = choice["name"] if choice["type"] == "tool" else list(tools)[-1]
        # Words that a directive asks for are what a model puts into the tool that it must call.
        asked = _loads(wish.text) if wish.asked else None
        wanted = [(name, asked if isinstance(asked, dict) else sample(tools[name]))]
    if choice.get("disable_parallel_tool_use"):
        wanted = wanted[:1]
    if choice["type"] == "none":
        wanted = []
    places = itertools.count()
    return [Call(f"toolu_{number:06d}{next(places):04d}", name, given) for name, given in wanted]


def _loads(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError:
        return None
