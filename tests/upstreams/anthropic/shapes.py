"""The service's shapes: an `Answer` as one message, or as the events of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from ..openai.answer import split
from .answer import Answer
from .thoughts import signature

Body = dict[str, Any]
Paced = tuple[float, Body]  # seconds to wait, then this event


class Frame(msgspec.Struct):
    """What all parts of one answer share."""

    id: str
    model: str
    fresh: int
    written: int
    read: int
    shows: bool
    """Whether the words of thoughts are told beside their signature."""
    first_delay: float
    piece_delay: float

    def usage(self, answer: Answer | None) -> Body:
        """The bill; before the answer is there, one token."""
        bill: Body = {
            "input_tokens": self.fresh,
            "cache_creation_input_tokens": self.written,
            "cache_read_input_tokens": self.read,
            "cache_creation": {"ephemeral_5m_input_tokens": self.written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": answer.tokens if answer else 1,
            "service_tier": "standard",
        }
        if answer and answer.thinking_tokens:
            bill["output_tokens_details"] = {"thinking_tokens": answer.thinking_tokens}
        return bill


def message(frame: Frame, answer: Answer) -> Body:
    """The unary answer."""
    content: list[Body] = []
    if answer.thoughts is not None:
        words = "".join(answer.thoughts) if frame.shows else ""
        content.append({"type": "thinking", "thinking": words, "signature": signature(words)})
    if answer.pieces:
        content.append({"type": "text", "text": "".join(answer.pieces)})
    content += [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.input} for call in answer.calls]
    return {**_head(frame), "content": content, **_stop(answer), "usage": frame.usage(answer)}


def events(frame: Frame, answer: Answer) -> Iterator[Paced]:
    """The streamed answer: each block begins, grows and ends; then why it stopped, and the bill."""
    head = {**_head(frame), "content": [], "stop_reason": None, "stop_sequence": None}
    yield frame.first_delay, {"type": "message_start", "message": {**head, "usage": frame.usage(None)}}
    wait = frame.piece_delay if answer.pace is None else answer.pace
    for index, (begun, deltas) in enumerate(_blocks(frame, answer)):
        yield 0.0, {"type": "content_block_start", "index": index, "content_block": begun}
        if index == 0:
            yield 0.0, {"type": "ping"}
        for delta in deltas:
            yield wait, {"type": "content_block_delta", "index": index, "delta": delta}
        yield 0.0, {"type": "content_block_stop", "index": index}
    usage = {name: count for name, count in frame.usage(answer).items() if name.startswith("output_tokens")}
    yield 0.0, {"type": "message_delta", "delta": _stop(answer), "usage": usage}
    yield 0.0, {"type": "message_stop"}


def _blocks(frame: Frame, answer: Answer) -> Iterator[tuple[Body, list[Body]]]:
    if answer.thoughts is not None:
        shown = answer.thoughts if frame.shows else []
        deltas: list[Body] = [{"type": "thinking_delta", "thinking": piece} for piece in shown]
        signed = {"type": "signature_delta", "signature": signature("".join(shown))}
        yield {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signed]
    if answer.pieces:
        yield {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in answer.pieces]
    for call in answer.calls:
        written = json.dumps(call.input, ensure_ascii=False) if call.input else ""
        pieces = ["", *split(written, 5)]
        begun = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        yield begun, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


def _head(frame: Frame) -> Body:
    return {"id": frame.id, "type": "message", "role": "assistant", "model": frame.model}


def _stop(answer: Answer) -> Body:
    told: Body = {"stop_reason": answer.stop_reason, "stop_sequence": answer.stop_sequence, "stop_details": None}
    if answer.stop_reason == "refusal":
        told["stop_details"] = {"type": "refusal", "category": None, "explanation": answer.explanation}
    return told
