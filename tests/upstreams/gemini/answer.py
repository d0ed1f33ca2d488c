"""What is answered: a request becomes candidates, the same ones every time, still without the shape of frames."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from .. import directives
from ..openai.answer import sample
from .reading import Body
from .settings import Model, Settings


class Candidate(msgspec.Struct):
    """One candidate. Its text and thoughts are in pieces, each of which counts as one token."""

    pieces: list[str] = []
    thoughts: list[str] = []
    calls: list[tuple[str, Body]] = []
    finish: str = "STOP"
    pace: float | None = None
    shows_thoughts: bool = False

    @property
    def spoken(self) -> int:
        """Tokens without thoughts."""
        return len(self.pieces) + sum(1 + len(json.dumps(arguments)) // 4 for _, arguments in self.calls)


def candidates(body: Body, model: Model, settings: Settings, report: Body) -> list[Candidate]:
    """All of them; those after the first end in ` #2`, ` #3`, so that a mix-up shows."""
    wish = directives.read(last_words(body["contents"]))
    config = body.get("generationConfig") or {}
    return [_candidate(body, wish, model, settings, report, at) for at in range(config.get("candidateCount", 1))]


def last_words(contents: list[Body]) -> str:
    """What the last turn says: its words, or what tools gave back."""
    parts = contents[-1]["parts"] if contents else []
    words = "".join(part.get("text", "") for part in parts)
    results = [part["functionResponse"].get("response", {}) for part in parts if "functionResponse" in part]
    return words or "; ".join(json.dumps(result, ensure_ascii=False) for result in results)


def prompt_tokens(body: Body) -> int:
    """A stable count."""
    told = {name: body[name] for name in ("contents", "systemInstruction", "tools") if name in body}
    return 1 + len(json.dumps(told, ensure_ascii=False)) // 4


def split(text: str, size: int) -> list[str]:
    """Pieces of so many characters."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def _candidate(body: Body, wish: directives.Wish, model: Model, settings: Settings, report: Body, at: int) -> Candidate:
    config = body.get("generationConfig") or {}
    calls = _calls(body, wish)
    text = "" if (calls and wish.text is None) or wish.refusal else _text(config, wish, settings, report)
    text += f" #{at + 1}" if at and text else ""
    for stop in () if wish.report else config.get("stopSequences") or ():  # a report holds its own request
        text = text.partition(stop)[0]
    thinking = config.get("thinkingConfig") or {}
    thinks = model.thinks != "never" and thinking.get("thinkingBudget") != 0
    made = Candidate(
        split(text, settings.piece),
        split(wish.thoughts, settings.piece) if thinks else [],
        calls,
        pace=wish.pace,
        shows_thoughts=bool(thinking.get("includeThoughts")),
    )
    limit = config.get("maxOutputTokens")
    if limit is not None and len(made.thoughts) + made.spoken > limit:
        made.thoughts = made.thoughts[:limit]
        made.pieces = made.pieces[: limit - len(made.thoughts)]
        made.calls = []
        made.finish = "MAX_TOKENS"
    if wish.refusal:
        made.finish = "SAFETY"
    if wish.stop:
        made.finish = wish.stop.upper()
    return made


def _text(config: Body, wish: directives.Wish, settings: Settings, report: Body) -> str:
    if wish.report:
        return json.dumps(report, ensure_ascii=False)
    if settings.answer is not None:
        return settings.answer
    text = wish.text or ""
    if wish.asked or config.get("responseMimeType") != "application/json":
        return text
    schema = config.get("responseJsonSchema") or lowered(config.get("responseSchema"))
    return json.dumps(sample(schema) if schema else {"echo": text}, ensure_ascii=False)


def _calls(body: Body, wish: directives.Wish) -> list[tuple[str, Body]]:
    functions = {one["name"]: one for tool in body.get("tools") or () for one in tool.get("functionDeclarations") or ()}
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    mode, allowed = calling.get("mode", "AUTO"), calling.get("allowedFunctionNames") or list(functions)
    if mode == "NONE" or not functions:
        return []
    wanted = [(name, json.loads(arguments or "{}")) for name, arguments in wish.calls if name in allowed]
    if not wanted and mode == "ANY":
        function = functions[allowed[0]]
        schema = function.get("parametersJsonSchema") or lowered(function.get("parameters"))
        wanted = [(allowed[0], sample(schema) if schema else {})]
    return wanted


def lowered(schema: Any) -> Any:
    """A schema in OpenAPI's words with its types in lower case, as JSON Schema writes them."""
    if isinstance(schema, list):
        return [lowered(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: lowered(value) for name, value in schema.items()}
    return {**made, "type": made["type"].lower()} if isinstance(made.get("type"), str) else made
