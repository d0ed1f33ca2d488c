"""The frames that answer (section 2.2): one question a socket, and its end is a frame with status 2."""

from __future__ import annotations

import secrets
from typing import Any, Final

import msgspec

from parley.chat.events import Event, FinishReason, Stop, Text, Thought, ToolCall, Usage
from parley.dialects.spark.refusals import OutputBlocked, failure_in
from parley.errors import UpstreamEmpty, UpstreamMalformed, UpstreamTruncated

_LAST: Final = 2


class Decoder:
    """Reads one answer. Feed it every message until it is `done`, then `finish`."""

    def __init__(self, most_tokens: int) -> None:
        self._most_tokens = most_tokens
        self._calls = 0
        self._spoke = False
        self._blocked = False
        self._usage: Usage | None = None
        self.done = False
        """The service said that this was all; what it says later does not count."""

    def feed(self, message: str) -> list[Event]:
        """The events of one message. Raises Failure."""
        if self.done:
            return []
        try:
            frame = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
            raise UpstreamMalformed("The upstream sent a frame that is not JSON.") from problem
        if not isinstance(frame, dict):
            raise UpstreamMalformed("The upstream sent a frame that is not an object.")
        try:
            return self._frame(frame)
        except OutputBlocked:  # words may be out already, and none will follow
            self.done = self._blocked = True
            return []
        except (TypeError, ValueError, AttributeError, KeyError) as problem:
            raise UpstreamMalformed("The upstream sent a frame of an unknown shape.") from problem

    def finish(self) -> list[Event]:
        """The end of an answer: usage, and why it stopped. Raises UpstreamTruncated, UpstreamEmpty."""
        if not self.done:
            raise UpstreamTruncated("The upstream closed the socket before its answer was complete.")
        if not (self._spoke or self._blocked):
            raise UpstreamEmpty("The upstream's answer is empty.")
        return [*([self._usage] if self._usage else ()), Stop(self._reason())]

    def _reason(self) -> FinishReason:
        if self._blocked:
            return "content_filter"
        if self._calls:
            return "tool_calls"
        # The service has no sign for a full answer; that it used up what it was allowed is one.
        full = self._usage is not None and self._usage.completion >= self._most_tokens
        return "length" if full else "stop"

    def _frame(self, frame: dict[str, Any]) -> list[Event]:
        header = frame.get("header", frame)
        if (failure := failure_in(header)) is not None:
            raise failure
        payload = frame.get("payload") or {}
        choices = payload.get("choices") or {}  # none beside what a web search found
        events: list[Event] = []
        for piece in choices.get("text") or ():
            self._piece(piece, events)
        if (usage := (payload.get("usage") or {}).get("text")) is not None:
            self._usage = usage_of(usage) or self._usage
        self.done = _LAST in (header.get("status"), choices.get("status"))
        self._spoke = self._spoke or bool(events)
        return events

    def _piece(self, piece: dict[str, Any], events: list[Event]) -> None:
        if thought := piece.get("reasoning_content"):
            events.append(Thought(_text(thought)))
        if content := piece.get("content"):
            events.append(Text(_text(content)))
        if call := piece.get("function_call"):
            arguments = call.get("arguments") or ""
            if not isinstance(arguments, str):
                arguments = msgspec.json.encode(arguments).decode()
            name = _text(call["name"])
            events.append(ToolCall(self._calls, f"call_{secrets.token_hex(12)}", name, arguments))
            self._calls += 1


def usage_of(given: dict[str, Any]) -> Usage | None:
    """What the service counted; its count of the question alone is part of the prompt's."""
    prompt, completion = given.get("prompt_tokens"), given.get("completion_tokens")
    return Usage(prompt, completion) if isinstance(prompt, int) and isinstance(completion, int) else None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
