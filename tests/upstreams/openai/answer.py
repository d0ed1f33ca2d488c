"""What is answered: a request becomes an `Answer`, the same one every time, still without any wire shape."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec

from .. import directives
from .settings import Settings

Body = dict[str, Any]


class Call(msgspec.Struct):
    """One tool call."""

    id: str
    name: str
    arguments: str
    kind: str = "function"


class Answer(msgspec.Struct):
    """One choice. Its text, thoughts and refusal are in pieces, each of which counts as one token."""

    pieces: list[str] = []
    thoughts: list[str] = []
    calls: list[Call] = []
    refusal: list[str] = []
    finish: str = "stop"
    pace: float | None = None

    @property
    def tokens(self) -> int:
        """What this answer costs."""
        spoken = len(self.pieces) + len(self.thoughts) + len(self.refusal)
        return spoken + sum(1 + len(call.arguments) // 4 for call in self.calls)


def answer(body: Body, settings: Settings, report: Body, number: int) -> list[Answer]:
    """The choices for this request; all but the first end in ` #2`, ` #3`, so that a mix-up shows."""
    wish = directives.read(last_words(body["messages"]))
    count = body.get("n") or 1
    return [_choice(body, wish, settings, report, f"{number:06d}{index:04d}", index) for index in range(count)]


def last_words(messages: list[Body]) -> str:
    """The text of the last user message."""
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            return "".join(part.get("text", "") for part in content or () if isinstance(part, dict))
    return ""


def prompt_tokens(body: Body) -> int:
    """Characters over four, of everything that was said to us."""
    return max(1, sum(len(json.dumps(message, ensure_ascii=False)) for message in body["messages"]) // 4)


def split(text: str, size: int) -> list[str]:
    """The text in pieces of `size` characters."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def _choice(body: Body, wish: directives.Wish, settings: Settings, report: Body, stamp: str, index: int) -> Answer:
    calls = _calls(body, wish, stamp)
    text = "" if calls and wish.text is None else _text(body, wish, settings, report)
    if index and text:
        text += f" #{index + 1}"
    text, finish = _stopped(text, body.get("stop"))
    made = Answer(
        pieces=[] if wish.refusal else split(text, settings.piece),
        thoughts=split(wish.thoughts, settings.piece),
        calls=calls,
        refusal=split(wish.refusal, settings.piece),
        finish="tool_calls" if calls else finish,
        pace=wish.pace,
    )
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit and made.tokens > limit and not calls:
        made.thoughts = made.thoughts[:limit]
        made.pieces = made.pieces[: limit - len(made.thoughts)]
        made.finish = "length"
    if wish.stop:
        made.finish = wish.stop
    return made


def _text(body: Body, wish: directives.Wish, settings: Settings, report: Body) -> str:
    if wish.report:
        return json.dumps(report, ensure_ascii=False)
    if settings.answer is not None:
        return settings.answer
    text = wish.text or ""
    schema = _wanted_schema(body)
    if schema is not None and not wish.asked:
        return json.dumps(sample(schema), ensure_ascii=False)
    if (body.get("response_format") or {}).get("type") == "json_object" and not wish.asked:
        return json.dumps({"echo": text}, ensure_ascii=False)
    return text


def _wanted_schema(body: Body) -> Any | None:
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return wanted["json_schema"].get("schema", {})
    return wanted.get("value")  # {"type": "json_object", "value": schema}: the form of text-generation-inference


def _stopped(text: str, stop: Any) -> tuple[str, str]:
    """The text up to the first stop sequence."""
    sequences = [stop] if isinstance(stop, str) else stop or []
    ends = [at for sequence in sequences if (at := text.find(sequence)) >= 0]
    return (text[: min(ends)] if ends else text), "stop"


def _calls(body: Body, wish: directives.Wish, stamp: str) -> list[Call]:
    tools = {tool[tool["type"]]["name"]: tool for tool in body.get("tools") or ()}
    wanted = list(wish.calls)
    choice = body.get("tool_choice")
    if not wanted and not wish.asked and tools:
        if isinstance(choice, dict) and choice["type"] in ("function", "custom"):
            wanted = [(choice[choice["type"]]["name"], "")]
        elif choice == "required":
            wanted = [(next(iter(tools)), "")]
    numbers = itertools.count()
    return [_call(tools.get(name), name, arguments, f"call_{stamp}{next(numbers):014d}") for name, arguments in wanted]


def _call(tool: Body | None, name: str, arguments: str, call_id: str) -> Call:
    if tool is not None and tool["type"] == "custom":
        return Call(call_id, name, arguments, "custom")
    parameters = tool["function"].get("parameters", {}) if tool else {}
    return Call(call_id, name, arguments or json.dumps(sample(parameters), ensure_ascii=False))


def sample(schema: Any, root: Any = None) -> Any:
    """A small value that this JSON Schema allows; good for the schemas that tests write."""
    root = schema if root is None else root
    if not isinstance(schema, dict):
        return {}
    if "$ref" in schema:
        target = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return sample(target, root)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return sample(schema[word][0], root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            properties = schema.get("properties", {})
            return {name: sample(properties.get(name, {}), root) for name in schema.get("required", properties)}
        case "array":
            return [sample(schema.get("items", {}), root)] * max(1, schema.get("minItems", 1))
        case "string":
            return "text"
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
    return None
