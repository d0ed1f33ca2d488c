"""Chunks of the v4 API into events: OpenAI's, with Zhipu's failures, and with arguments that a client can read.

`arguments` may be JSON text written once more as a JSON string, or nothing at all where a function takes none
(`upstreams/zhipu.md` section 5). What `web_search` and `content_filter` say beside the choices is not passed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from parley.chat.events import Event, Stop, ToolCall
from parley.dialects import openai
from parley.dialects.zhipu.refusals import failure_in


@dataclass(slots=True)
class _Call:
    """The arguments of one call: what is held back because it began like a string, and whether anything was said."""

    held: list[str] = field(default_factory=list)
    said: bool = False


class Decoder:
    """Reads one answer. `feed` takes the data of one event, `finish` the end of the body."""

    def __init__(self) -> None:
        self._chunks = openai.Decoder(failure_in)
        self._calls: list[_Call] = []

    @property
    def done(self) -> bool:
        """The service said `[DONE]`; nothing after it counts."""
        return self._chunks.done

    def feed(self, payload: bytes) -> list[Event]:
        """Events of one payload. Raises Failure."""
        events = self._chunks.feed(payload)
        if not self._calls and not any(isinstance(event, ToolCall) for event in events):
            return events
        return [mended for event in events for mended in self._mended(event)]

    def finish(self) -> list[Event]:
        """What remains to be said when the body has ended. Raises Failure."""
        return self._chunks.finish()

    def _mended(self, event: Event) -> Iterator[Event]:
        if isinstance(event, ToolCall):
            if event.id is not None:
                self._calls.append(_Call())
            arguments = _arguments(self._calls[event.index], event.arguments)
            if arguments or event.id is not None:
                yield ToolCall(event.index, event.id, event.name, arguments)
            return
        if isinstance(event, Stop):
            for index, call in enumerate(self._calls):
                nothing = "{}" if event.reason == "tool_calls" and not call.said else ""
                if rest := "".join(call.held) or nothing:
                    yield ToolCall(index, arguments=rest)
        yield event


def _arguments(call: _Call, piece: str) -> str:
    """What may be passed on now that `piece` has come."""
    if not call.said and (call.held or piece.lstrip().startswith('"')):
        call.held.append(piece)
        if (inner := _unquoted("".join(call.held))) is None:
            return ""
        piece = inner
        call.held.clear()
    call.said = call.said or bool(piece.strip())
    return piece


def _unquoted(text: str) -> str | None:
    """The text in a JSON string; None when it is not whole."""
    try:
        return msgspec.json.decode(text, type=str)
    except msgspec.DecodeError:
        return None
