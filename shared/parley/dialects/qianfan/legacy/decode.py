"""Answers of the legacy API into events (`upstreams/baidu-qianfan.md` A2).

`result` is an increment, usage in each chunk counts everything so far, and `is_end` is the end: there is no `[DONE]`,
and older models give no reason. A chunk without `is_end` is a whole answer in one piece.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from parley.chat.events import Event, FinishReason, Stop, Text, Thought, ToolCall, Usage
from parley.dialects.qianfan.legacy.refusals import NO_HEADERS, failure_in
from parley.errors import UpstreamEmpty, UpstreamMalformed

_FINISH: Final[Mapping[str, FinishReason]] = {
    "normal": "stop",
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
}


class Decoder:
    """Reads one answer. `feed` takes the data of one event, or a whole body of JSON; `finish` the end of the body."""

    def __init__(self, headers: Mapping[str, str] = NO_HEADERS) -> None:
        self._headers = headers
        self._heard = False
        self._called = False
        self._sensitive = False
        self._cut = False
        self._usage: Usage | None = None
        self.done = False
        """The service said that this was all."""

    def feed(self, payload: bytes) -> list[Event]:
        """Events of one payload. Raises Failure."""
        if self.done:
            return []
        try:
            chunk = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise UpstreamMalformed("The upstream sent a chunk that is not JSON.") from problem
        if not isinstance(chunk, dict):
            raise UpstreamMalformed("The upstream sent a chunk that is not an object.")
        if (failure := failure_in(chunk, self._headers)) is not None:
            raise failure
        try:
            return self._chunk(chunk)
        except (TypeError, ValueError, AttributeError, KeyError) as problem:
            raise UpstreamMalformed("The upstream sent a chunk of an unknown shape.") from problem

    def finish(self) -> list[Event]:
        """What remains to be said when the body has ended: the usage. Raises UpstreamEmpty."""
        if not self._heard:
            raise UpstreamEmpty("The upstream's answer is empty.")
        return [self._usage] if self._usage is not None else []

    def _chunk(self, chunk: dict[str, Any]) -> list[Event]:
        if not any(name in chunk for name in ("result", "is_end", "function_call")):
            raise UpstreamMalformed("The upstream sent a chunk without an answer in it.")
        self._heard = True
        self._sensitive = self._sensitive or bool(chunk.get("need_clear_history")) or bool(chunk.get("flag"))
        self._cut = self._cut or bool(chunk.get("is_truncated"))
        self._usage = _usage(chunk.get("usage")) or self._usage
        events: list[Event] = []
        if call := chunk.get("function_call"):
            events += self._call(call)
        if result := chunk.get("result"):
            if not isinstance(result, str):
                raise TypeError(result)
            events.append(Text(result))
        if chunk.get("is_end", "sentence_id" not in chunk):
            self.done = True
            events.append(Stop(self._reason(chunk.get("finish_reason"))))
        return events

    def _call(self, call: dict[str, Any]) -> list[Event]:
        """The one call that an answer may hold, in one piece; what the model thought of it is no part of its words."""
        if self._called:
            return []
        self._called = True
        thoughts, arguments = call.get("thoughts"), call.get("arguments") or "{}"
        if not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()
        made: list[Event] = [Thought(thoughts)] if isinstance(thoughts, str) and thoughts else []
        return [*made, ToolCall(0, f"call_{secrets.token_hex(12)}", str(call["name"]), arguments)]

    def _reason(self, said: str | None) -> FinishReason:
        reason = _FINISH.get((said or "normal").lower())
        if reason is None:
            raise UpstreamMalformed("The upstream ended its answer for an unknown reason.")
        if self._sensitive:
            return "content_filter"
        if reason == "stop":
            return "length" if self._cut else "tool_calls" if self._called else "stop"
        return reason


def _usage(given: Any) -> Usage | None:
    if not isinstance(given, dict):
        return None
    prompt, completion = given.get("prompt_tokens"), given.get("completion_tokens")
    return Usage(prompt, completion) if isinstance(prompt, int) and isinstance(completion, int) else None
