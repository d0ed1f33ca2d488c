"""The events of an answer into ours (`upstreams/anthropic.md` sections 2.2, 2.3, 4.3).

What an event is, its JSON says: services that copy the API forget the names beside it. Unknown events, deltas and
blocks are passed over. A whole message where a stream was asked for is read, too.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from parley.chat.events import Event, Extra, FinishReason, Refused, Stop, Text, Thought, ToolCall, Usage
from parley.dialects.anthropic.refusals import failure_said
from parley.errors import UpstreamEmpty, UpstreamMalformed

_FINISH: Final[dict[str, FinishReason]] = {
    **dict.fromkeys(("max_tokens", "model_context_window_exceeded"), "length"),
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Every other reason is `stop`: end_turn, stop_sequence, pause_turn, and those that come later."""
_BILLED: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
_DONE: Final = b"[DONE]"


@dataclass(slots=True)
class _Block:
    """One block of content on its way."""

    kind: str
    call: int | None = None
    """Our index, if it is a call that the caller will see."""
    given: Any = None
    """A call's input, where it came before any fragment of it."""
    pieces: list[str] = field(default_factory=list)
    signature: list[str] = field(default_factory=list)


class Decoder:
    """Reads one answer. `feed` takes the data of one event, `finish` the end of the body.

    `answer_tool` is the tool whose input is the answer; `signed`: whether thoughts are also told as the upstream signed
    them, for the caller to give back (`thinking_blocks`); `shown`: whether thoughts are told at all.
    """

    def __init__(self, *, answer_tool: str | None = None, signed: bool = False, shown: bool = True) -> None:
        self._answer_tool = answer_tool
        self._signed = signed and shown
        self._shown = shown
        self._blocks: dict[Any, _Block] = {}
        self._calls = 0
        self._thoughts = 0
        self._answered = False
        self._bill: dict[str, int] = {}
        self._stopped = False
        self._begun = False
        self.done = False
        """The upstream said that this was all."""

    def feed(self, payload: bytes) -> list[Event]:
        """Events of one payload. Raises Failure when it says one, UpstreamMalformed when it says nothing sensible."""
        if self.done or payload.strip() == _DONE:
            return []
        try:
            said = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise UpstreamMalformed("The upstream sent an event that is not JSON.") from problem
        if not isinstance(said, dict):
            raise UpstreamMalformed("The upstream sent an event that is not an object.")
        if said.get("type") == "error" or said.get("error"):
            raise failure_said(said)
        self._begun = True
        try:
            return self._event(said)
        except (TypeError, ValueError, AttributeError, KeyError) as problem:
            raise UpstreamMalformed("The upstream sent an event of an unknown shape.") from problem

    def finish(self) -> list[Event]:
        """What remains to be said when the body has ended: the usage. Whether the answer is complete, Stop tells.

        Raises UpstreamEmpty when nothing was said at all.
        """
        if not self._begun:
            raise UpstreamEmpty("The upstream's answer is empty.")
        usage = self._usage()
        return [usage] if usage is not None else []

    def _event(self, said: dict[str, Any]) -> list[Event]:
        match said.get("type"):
            case "message_start":
                self._count(said["message"].get("usage"))
            case "content_block_start":
                return self._start(said["index"], said["content_block"])
            case "content_block_delta":
                return self._delta(said["index"], said["delta"])
            case "content_block_stop":
                return self._end(said["index"])
            case "message_delta":
                self._count(said.get("usage"))
                return self._stop(said.get("delta") or {})
            case "message_stop":
                self.done = True
            case "message":
                return self._whole(said)
        return []

    def _whole(self, message: dict[str, Any]) -> list[Event]:
        """A message in one piece."""
        events: list[Event] = []
        for index, block in enumerate(message.get("content") or ()):
            events += self._start(index, block)
            events += self._end(index)
        self._count(message.get("usage"))
        events += self._stop(message)
        self.done = True
        return events

    # --- blocks ---------------------------------------------------------------------------------------------------

    def _start(self, index: Any, given: dict[str, Any]) -> list[Event]:
        block = self._blocks[index] = _Block(given["type"])
        match block.kind:
            case "text" if given.get("text"):
                return [Text(_word(given["text"]))]
            case "thinking":
                block.signature.append(_word(given.get("signature") or ""))
                return self._thought(block, _word(given.get("thinking") or ""))
            case "redacted_thinking":
                return self._sign({"type": "redacted_thinking", "data": _word(given["data"])})
            case "tool_use":
                block.given = given.get("input")
                if given["name"] == self._answer_tool:
                    block.kind = "ignored" if self._answered else "answer"
                    self._answered = True
                    return []
                block.call, self._calls = self._calls, self._calls + 1
                called = given.get("id") or f"call_{secrets.token_hex(12)}"
                return [ToolCall(block.call, _word(called), _word(given["name"]))]
        return []

    def _delta(self, index: Any, delta: dict[str, Any]) -> list[Event]:
        block = self._blocks.get(index)
        if block is None:
            raise ValueError("a delta of a block that never began")
        match delta.get("type"):
            case "text_delta" if delta["text"] and block.kind == "text":
                return [Text(_word(delta["text"]))]
            case "thinking_delta":
                return self._thought(block, _word(delta["thinking"]))
            case "signature_delta":
                block.signature.append(_word(delta["signature"]))
            case "input_json_delta" if delta["partial_json"]:
                return self._argue(block, _word(delta["partial_json"]))
        return []

    def _end(self, index: Any) -> list[Event]:
        block = self._blocks.pop(index, None)
        if block is None:
            return []
        signature = "".join(block.signature)
        if block.kind == "thinking" and signature:
            return self._sign({"type": "thinking", "thinking": "".join(block.pieces), "signature": signature})
        if block.kind in ("tool_use", "answer") and not block.pieces:
            return self._argue(block, msgspec.json.encode(block.given or {}).decode())
        return []

    def _argue(self, block: _Block, fragment: str) -> list[Event]:
        """A piece of a call's input; the words of the answer, where that is what the input is."""
        if block.kind == "tool_use" and block.call is not None:
            block.pieces = ["given"]
            return [ToolCall(block.call, arguments=fragment)]
        if block.kind == "answer":
            block.pieces = ["given"]
            return [Text(fragment)]
        return []

    def _thought(self, block: _Block, words: str) -> list[Event]:
        if self._signed:
            block.pieces.append(words)
        return [Thought(words)] if words and self._shown else []

    def _sign(self, thought: dict[str, Any]) -> list[Event]:
        if not self._signed:
            return []
        # With an index of its own, the official client adds up such a list as it should.
        index, self._thoughts = self._thoughts, self._thoughts + 1
        return [Extra({"thinking_blocks": [{"index": index, **thought}]})]

    # --- the end --------------------------------------------------------------------------------------------------

    def _stop(self, delta: dict[str, Any]) -> list[Event]:
        reason = delta.get("stop_reason")
        if reason is None or self._stopped:
            return []
        self._stopped = True
        events = [event for index in list(self._blocks) for event in self._end(index)]  # some forget to end them
        details = delta.get("stop_details") or {}
        if reason == "refusal" and details.get("explanation"):
            events.append(Refused(_word(details["explanation"])))
        finish = _FINISH.get(_word(reason), "stop")
        if finish == "stop" and self._calls:
            finish = "tool_calls"
        elif finish == "tool_calls" and not self._calls:
            finish = "stop"  # the tool was the form of the answer
        events.append(Stop(finish))
        return events

    def _count(self, usage: Any) -> None:
        """Later counts are of the whole answer, and take the place of the earlier ones."""
        given = usage or {}
        details = given.get("output_tokens_details") or {}
        counted = {name: given.get(name) for name in _BILLED} | {"thinking_tokens": details.get("thinking_tokens")}
        self._bill |= {name: count for name, count in counted.items() if isinstance(count, int)}

    def _usage(self) -> Usage | None:
        if "input_tokens" not in self._bill or "output_tokens" not in self._bill:
            return None
        fresh, written, read, spoken = (self._bill.get(name, 0) for name in _BILLED)
        return Usage(fresh + written + read, spoken, cached=read, reasoning=self._bill.get("thinking_tokens", 0))


def _word(value: Any) -> str:
    """The value, which must be a text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError("a text is something else")
    return value
