"""v4's shapes: an answer as one completion, or as the chunks of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..openai.answer import Answer, Call, split

Body = dict[str, Any]
Paced = tuple[float, Body]


class Frame(msgspec.Struct):
    """What all parts of one answer share."""

    id: str
    created: int
    model: str
    request_id: str
    usage: Body
    tool_stream: bool
    first_delay: float
    piece_delay: float


def usage(prompt: int, answer: Answer) -> Body:
    """The bill."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer.tokens,
        "total_tokens": prompt + answer.tokens,
        "prompt_tokens_details": {"cached_tokens": prompt // 2},
        "completion_tokens_details": {"reasoning_tokens": len(answer.thoughts)},
    }


def completion(frame: Frame, answer: Answer) -> Body:
    """The unary answer: no `object`."""
    message: Body = {"role": "assistant", "content": "".join(answer.pieces)}
    if answer.thoughts:
        message["reasoning_content"] = "".join(answer.thoughts)
    if answer.calls:
        message["tool_calls"] = [_call(index, call, call.arguments) for index, call in enumerate(answer.calls)]
    return {
        "id": frame.id,
        "request_id": frame.request_id,
        "created": frame.created,
        "model": frame.model,
        "choices": [{"index": 0, "finish_reason": answer.finish, "message": message}],
        "usage": frame.usage,
    }


def chunks(frame: Frame, answer: Answer) -> Iterator[Paced]:
    """The streamed answer: a role in every delta, `finish_reason` and usage in the last one only."""
    pace = frame.piece_delay if answer.pace is None else answer.pace
    deltas: list[Body] = [{"reasoning_content": piece} for piece in answer.thoughts]
    deltas += [{"content": piece} for piece in answer.pieces]
    last: Body = {"content": ""}
    if frame.tool_stream:
        deltas += [
            {"tool_calls": [_call(index, call, piece)]}
            for index, call in enumerate(answer.calls)
            for piece in split(call.arguments, 5)
        ]
    elif answer.calls:
        last["tool_calls"] = [_call(index, call, call.arguments) for index, call in enumerate(answer.calls)]
    for place, delta in enumerate(deltas):
        yield (frame.first_delay or pace) if place == 0 else pace, _chunk(frame, delta)
    end = _chunk(frame, last)
    end["choices"][0] = {"index": 0, "finish_reason": answer.finish, "delta": end["choices"][0]["delta"]}
    yield 0.0 if deltas else frame.first_delay, {**end, "usage": frame.usage}


def _chunk(frame: Frame, delta: Body) -> Body:
    choice = {"index": 0, "delta": {"role": "assistant", **delta}}
    return {"id": frame.id, "created": frame.created, "model": frame.model, "choices": [choice]}


def _call(index: int, call: Call, arguments: str) -> Body:
    said = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "index": index, "type": "function", "function": said}
