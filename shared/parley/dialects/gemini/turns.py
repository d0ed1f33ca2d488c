"""A conversation as Gemini's `contents`: turns of `user` and `model`, and the system's words apart from them.

* Neighbours of the same role become one turn, parts in their order; empty texts are left out, and so are empty turns.
* A tool's result is found again by its call: it needs the function's name, and all results of a turn stand together.
* A model that thinks wants its own calls back with their signatures (`upstreams/gemini.md`, "Thought signatures").
  OpenAI's clients carry them in `extra_content`; where one lost them, a stand-in that the vendor documents takes their
  place. They are not hidden in call ids, which other services and people's databases keep short.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from parley.chat.prompt import Assistant, Call, Content, Prompt, RefusalPart, Tool, User, text_of
from parley.dialects.gemini.manner import Manner
from parley.dialects.gemini.media import told
from parley.dialects.gemini.models import knows_instructions, wants_signatures
from parley.dialects.plain import instructions
from parley.errors import BadRequest

STAND_IN: Final = "skip_thought_signature_validator"
Body = dict[str, Any]


def turns_of(prompt: Prompt, manner: Manner) -> tuple[list[Body], str | None]:
    """The turns, and the system's words if they have a place of their own. Raises UnsupportedParameter, BadRequest."""
    turns = _Turns(prompt.model, manner)
    rules = instructions(prompt.messages)
    apart = manner.instructions and knows_instructions(prompt.model)
    if rules and not apart:
        turns.add("user", {"text": rules})
    for position, message in enumerate(prompt.messages):
        path = f"messages[{position}]"
        match message:
            case Assistant():
                turns.model(message)
            case Tool():
                turns.result(message)
            case User():
                for part in told(message.content, path, fetch=manner.image_urls):
                    turns.add("user", part)
    if not turns.contents and rules:  # instructions alone are a question
        return [{"role": "user", "parts": [{"text": rules}]}], None
    if not turns.contents:
        raise BadRequest("'messages' must hold something to answer.", param="messages")
    return turns.contents, rules if apart else None


class _Turns:
    """The turns so far, and what is remembered of the calls in them."""

    def __init__(self, model: str, manner: Manner) -> None:
        self.contents: list[Body] = []
        self._names: dict[str, str] = {}
        """Of functions, by the id of the call."""
        self._kept = manner.signatures is not False
        self._replaced = manner.signatures is not None or wants_signatures(model)

    def add(self, role: str, part: Body) -> None:
        """One more part of what this role says."""
        if not self.contents or self.contents[-1]["role"] != role:
            self.contents.append({"role": role, "parts": []})
        self.contents[-1]["parts"].append(part)

    def model(self, message: Assistant) -> None:
        """What the model said, and whom it called."""
        if text := _words(message):
            self.add("model", {"text": text})
        calls = message.tool_calls or []
        signatures = [_signature(call) if self._kept else None for call in calls]
        if calls and self._replaced and not signatures[0]:
            signatures[0] = STAND_IN  # the first of a group speaks for all of it
        for call, signature in zip(calls, signatures, strict=True):
            name, arguments = _called(call)
            self._names[call.id] = name
            part: Body = {"functionCall": {"id": call.id, "name": name, "args": arguments}}
            self.add("model", {**part, "thoughtSignature": signature} if signature else part)

    def result(self, message: Tool) -> None:
        """What a tool gave back. That its call came before is the wire's to check."""
        name = self._names.get(message.tool_call_id, message.tool_call_id)
        said = {"id": message.tool_call_id, "name": name, "response": _object(text_of(message.content), "result")}
        self.add("user", {"functionResponse": said})


def _words(message: Assistant) -> str:
    return text_of(message.content) or _declined(message.content) or message.refusal or ""


def _declined(content: Content) -> str:
    parts = content if isinstance(content, list) else []
    return "".join(part.refusal for part in parts if isinstance(part, RefusalPart))


def _called(call: Call) -> tuple[str, Body]:
    if call.custom is not None:
        return call.custom.name, {"input": call.custom.input}
    if call.function is None:
        return call.id, {}
    return call.function.name, _object(call.function.arguments or "{}", "arguments")


def _signature(call: Call) -> str | None:
    """What Google's own endpoint of OpenAI's API calls `extra_content.google.thought_signature`."""
    google = (call.extra_content or {}).get("google")
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else None


def _object(text: str, name: str) -> Body:
    """JSON text that is an object, as it is; anything else as the one member `name` of an object."""
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        said = None
    return said if isinstance(said, dict) else {name: text}
