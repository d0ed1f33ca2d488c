"""Events become the frames of a `chat.completion.chunk` stream (`upstreams/openai.md` section 2.3).

What never changes within a stream (id, time, model) is encoded once; a piece of text costs one JSON string and two
joins. `Frames` is pure: events in, bytes out; who sends them, and when, is `gateway.delivery`'s matter.
"""

from __future__ import annotations

import os
import time
from typing import Any, Final

import msgspec

from gateway.wire.shapes import logprobs_shape, usage_shape
from parley.chat.events import Event, Extra, Refused, Stop, Text, Thought, ToolCall, Usage
from parley.errors import UpstreamTruncated

KEEP_ALIVE: Final = b": keep-alive\n\n"
DONE: Final = b"data: [DONE]\n\n"
ESTIMATED: Final = b": x-parley-usage: estimated\n\n"
"""What the header of that name says of a unary answer; when a stream's headers go out, it is not known yet."""

HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)

_Piece = Text | Thought | Refused | ToolCall | Extra | Stop

_encode = msgspec.json.Encoder().encode


class Frames:
    """One stream's frames."""

    __slots__ = ("_ended", "_heads", "_include_usage", "_legacy", "_prefix", "_tail", "_usage")

    def __init__(self, model: str, *, include_usage: bool = False, legacy: bool = False) -> None:
        self._legacy = legacy
        self._include_usage = include_usage
        envelope = {
            "id": f"chatcmpl-{os.urandom(16).hex()}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._prefix = b"data: " + _encode(envelope)[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"
        self._heads: dict[int, bytes] = {}
        """Per choice that has begun and not ended: all that comes before a delta's text."""
        self._ended: set[int] = set()
        self._usage: Usage | None = None

    def feed(self, event: Event) -> bytes:
        """The frames for one event; empty when there is nothing to say yet."""
        if isinstance(event, Usage):
            self._usage = event
            return b""
        head = self._heads.get(event.choice)
        if head is None:
            if event.choice in self._ended:
                return b""
            return self._begin(event.choice, event) + self.feed(event)
        if type(event) is Text and event.logprobs is None:
            text = event.text
            return head + _encode(text) + b'},"logprobs":null,"finish_reason":null}' + self._tail if text else b""
        return self._rare(event)

    def end(self) -> bytes:
        """The frames after the last event. Raises UpstreamTruncated when a choice has not ended: none is invented."""
        if self._heads or not self._ended:
            raise UpstreamTruncated("The upstream's answer ended without a finish reason.")
        if not self._include_usage or self._usage is None:
            return DONE
        usage = _encode(usage_shape(self._usage))
        remark = b"" if self._usage.measured else ESTIMATED
        return remark + self._prefix + b'],"usage":' + usage + b"}\n\n" + DONE

    def _begin(self, choice: int, event: _Piece) -> bytes:
        self._heads[choice] = self._prefix + b'{"index":%d,"delta":{"content":' % choice
        content = "" if isinstance(event, Text | Stop) else None
        return self._chunk(choice, {"role": "assistant", "content": content, "refusal": None})

    def _rare(self, event: _Piece) -> bytes:
        if isinstance(event, Stop):
            return self._end(event)
        delta = self._delta(event)
        logprobs = logprobs_shape(event.logprobs) if isinstance(event, Text) else None
        return self._chunk(event.choice, delta, logprobs) if delta else b""

    def _end(self, event: Stop) -> bytes:
        del self._heads[event.choice]
        self._ended.add(event.choice)
        reason = "function_call" if self._legacy and event.reason == "tool_calls" else event.reason
        return self._chunk(event.choice, {}, finish_reason=reason)

    def _chunk(
        self,
        choice: int,
        delta: dict[str, Any],
        logprobs: dict[str, Any] | None = None,
        finish_reason: str | None = None,
    ) -> bytes:
        shape = {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        return self._prefix + _encode(shape) + self._tail

    def _delta(self, event: _Piece) -> dict[str, Any]:
        match event:
            case Text():
                return {"content": event.text}
            case Thought():
                return {"reasoning_content": event.text} if event.text else {}
            case Refused():
                return {"refusal": event.text} if event.text else {}
            case ToolCall():
                return self._legacy_call(event) if self._legacy else {"tool_calls": [_call(event)]}
            case Extra():
                return event.fields
        raise TypeError(f"no delta is known for {type(event).__name__}")

    def _legacy_call(self, event: ToolCall) -> dict[str, Any]:
        if event.index:  # the old shape has room for one call
            return {}
        name = {} if event.name is None else {"name": event.name}
        return {"function_call": {**name, "arguments": event.arguments}}


def _call(event: ToolCall) -> dict[str, Any]:
    """`id`, `type` and the name come once, with the first piece of a call; a client adds up whatever is repeated."""
    words = "input" if event.kind == "custom" else "arguments"
    extra = {"extra_content": event.extra_content} if event.extra_content else {}
    if event.id is None:
        return {"index": event.index, event.kind: {words: event.arguments}, **extra}
    body = {"name": event.name or "", words: event.arguments}
    return {"index": event.index, "id": event.id, "type": event.kind, event.kind: body, **extra}
