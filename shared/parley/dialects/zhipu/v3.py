"""The v3 API of chatglm's days (`upstreams/zhipu.md` section 2.5): text only, and a stream with a field of its own.

    event: add              event: finish
    id: 7501                id: 7501
    data: 你                 meta: {"task_status":"SUCCESS","usage":{...}}

`data` is plain text: one space after the colon parts it from the name, and every other blank is part of it. A refusal,
and a unary answer, is one JSON object, and both come with status 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from parley.chat.demands import KNOBS, Feature, refuse_unmet
from parley.chat.events import Event, Stop, Text, Usage
from parley.chat.prompt import Assistant, Developer, Prompt, System, text_of
from parley.dialects.zhipu.refusals import failure_in, failure_of
from parley.errors import BadRequest, UpstreamBroken, UpstreamEmpty, UpstreamMalformed

MODELS: Final = (
    "chatglm_turbo",
    "chatglm_pro",
    "chatglm_std",
    "chatglm_lite",
    "chatglm_lite_32k",
    "chatglm_6b",
    "characterglm",
)
"""What this API answered with. The platform has withdrawn all of them."""
FEATURES: Final[frozenset[Feature]] = frozenset({"usage"})
DROPS: Final[frozenset[str]] = frozenset(KNOBS) - {"temperature", "top_p"}
_LONGEST_BODY: Final = 8 * 2**20
_EDGE: Final = 0.01
_INSTEAD_OF_ONE: Final = 0.7


def encode(prompt: Prompt) -> dict[str, Any]:
    """The body to send. Raises UnsupportedParameter, or BadRequest when a user has not the last word."""
    refuse_unmet(prompt, FEATURES, f"model '{prompt.model}'")
    body: dict[str, Any] = {"prompt": _turns(prompt), "incremental": True}
    if prompt.temperature is not None:
        body["temperature"] = min(max(prompt.temperature, _EDGE), 1 - _EDGE)
    if prompt.top_p is not None:
        body["top_p"] = max(prompt.top_p, _EDGE) if prompt.top_p < 1 else _INSTEAD_OF_ONE
    return body


def _turns(prompt: Prompt) -> list[dict[str, str]]:
    """User and assistant by turns, a user first and last; instructions are what a user says and is told "ok" for."""
    turns: list[dict[str, str]] = []

    def say(role: str, text: str) -> None:
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n\n{text}"
        else:
            turns.append({"role": role, "content": text})

    for message in prompt.messages:
        text = text_of(message.content)
        match message:
            case System() | Developer():
                say("user", text)
                say("assistant", "ok")
            case Assistant():
                if not turns:
                    say("user", " ")
                say("assistant", text or message.refusal or "")
            case _:
                say("user", text)
    if isinstance(prompt.messages[-1], System | Developer):
        say("user", " ")
    if turns[-1]["role"] != "user":
        raise BadRequest("The last message must be the user's with this model.", param="messages")
    return turns


class Decoder:
    """Reads one answer, line by line. `headers` must be found whatever their case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self._event = b""
        self._data: list[bytes] = []
        self._meta = b""
        self._whole: list[bytes] | None = None
        self._size = 0
        self._begun = False
        self._heard = False
        self._said = False
        self.done = False
        """The service said that this was all."""

    def feed(self, line: bytes) -> list[Event]:
        """The events that a line completes. Raises Failure."""
        if self.done:
            return []
        if not self._begun and line.strip():
            self._begun = True
            if line.lstrip().startswith((b"{", b"<")):
                self._whole = []
        if self._whole is not None:
            self._size += len(line)
            if self._size > _LONGEST_BODY:
                raise UpstreamMalformed("The upstream's answer is too large.")
            self._whole.append(line)
            return []
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"event":
                self._event = value.strip()
            case b"data":
                self._data.append(value)
            case b"meta":
                self._meta = value
            case b"" | b"id" | b"retry":
                pass
            case _:
                raise UpstreamMalformed("The upstream's answer is neither a stream nor JSON.")
        return []

    def finish(self) -> list[Event]:
        """What the end of the body completes. Raises UpstreamEmpty when nothing was said, and other Failures."""
        if self._whole is not None:
            body = b"\n".join(self._whole).strip()
            if body.startswith(b"<"):
                raise failure_of(502, self._headers, body)
            return _unary(body, self._headers)
        events = [] if self.done else self._dispatch()
        if not self._heard:
            raise UpstreamEmpty("The upstream's answer is empty.")
        return events

    def _dispatch(self) -> list[Event]:
        event, data, meta = self._event, b"\n".join(self._data), self._meta
        self._event, self._data, self._meta = b"", [], b""
        if event == b"error":
            raise failure_in(_object(data) or {}, self._headers) or UpstreamBroken("The upstream failed.")
        if event not in (b"add", b"interrupted", b"finish"):
            return []
        self._heard = True
        try:
            text = data.decode()
        except UnicodeDecodeError as problem:
            raise UpstreamMalformed("The upstream's answer is not UTF-8.") from problem
        if event == b"add":
            self._said = self._said or bool(text)
            return [Text(text)] if text else []
        self.done = True
        facts = _object(meta) or {}
        if facts.get("task_status") == "FAIL":
            raise UpstreamBroken("The upstream failed.")
        # What ends a cut answer is said beside it; what ends a whole one repeats it, unless nothing was said yet.
        rest = [Text(text)] if text and (event == b"interrupted" or not self._said) else []
        return [*rest, Stop("stop" if event == b"finish" else "content_filter"), *_usage(facts)]


def unquoted(content: str) -> str:
    """The words of a unary answer: a JSON string in a string, or words with blanks around them."""
    if content.startswith('"') and content.endswith('"'):
        try:
            return msgspec.json.decode(content, type=str)
        except msgspec.DecodeError:
            pass
    return content.strip()


def _unary(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    said = _object(body)
    if said is None:
        raise UpstreamMalformed("The upstream's answer is not JSON.")
    try:
        if (failure := failure_in(said, headers)) is not None:
            raise failure
        content = said["data"]["choices"][0]["content"]
        return [Text(unquoted(content)), Stop("stop"), *_usage(said["data"])]
    except (KeyError, IndexError, TypeError, AttributeError) as problem:
        raise UpstreamMalformed("The upstream's answer has an unknown shape.") from problem


def _usage(facts: dict[str, Any]) -> list[Usage]:
    given = facts.get("usage")
    if not isinstance(given, dict):
        return []
    prompt, completion = given.get("prompt_tokens"), given.get("completion_tokens")
    return [Usage(prompt, completion)] if isinstance(prompt, int) and isinstance(completion, int) else []


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(content, type=dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
