"""The shapes of both APIs: an answer as one object, or as the chunks of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..openai.answer import Answer

Body = dict[str, Any]
Paced = tuple[float, Body]

FINISH = {"stop": "normal", "tool_calls": "function_call"}


class Frame(msgspec.Struct):
    """What all parts of one answer share."""

    id: str
    created: int
    model: str
    prompt_tokens: int
    first_delay: float
    piece_delay: float
    include_usage: bool = False

    def usage(self, completion: int) -> Body:
        """The bill for so many tokens."""
        total = self.prompt_tokens + completion
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": completion, "total_tokens": total}


# --- v2 -----------------------------------------------------------------------------------------------------------


def completion(frame: Frame, answer: Answer) -> Body:
    """The unary answer."""
    message: Body = {"role": "assistant", "content": "".join(answer.pieces)}
    if answer.thoughts:
        message["reasoning_content"] = "".join(answer.thoughts)
    if answer.calls:
        message["tool_calls"] = list(_calls(answer, indexed=False))
    choice = {"index": 0, "message": message, "finish_reason": answer.finish, "flag": 0}
    return {**_top(frame, "chat.completion"), "choices": [choice], "usage": frame.usage(answer.tokens)}


def chunks(frame: Frame, answer: Answer) -> Iterator[Paced]:
    """The streamed answer."""
    deltas: list[Body] = [{"content": "", "reasoning_content": piece} for piece in answer.thoughts]
    deltas += [{"content": piece} for piece in answer.pieces]
    deltas += [{"tool_calls": [call]} for call in _calls(answer, indexed=True)]
    pace = frame.piece_delay if answer.pace is None else answer.pace
    for place, delta in enumerate(deltas):
        said = {"role": "assistant", **delta} if place == 0 else delta
        yield (frame.first_delay or pace) if place == 0 else pace, _chunk(frame, {"index": 0, "delta": said, "flag": 0})
    end = {"index": 0, "delta": {"content": ""}, "finish_reason": answer.finish, "flag": 0}
    yield 0.0 if deltas else frame.first_delay, _chunk(frame, end)
    if frame.include_usage:
        yield 0.0, {**_top(frame, "chat.completion.chunk"), "choices": [], "usage": frame.usage(answer.tokens)}


def _top(frame: Frame, kind: str) -> Body:
    return {"id": frame.id, "object": kind, "created": frame.created, "model": frame.model}


def _chunk(frame: Frame, choice: Body) -> Body:
    return {**_top(frame, "chat.completion.chunk"), "choices": [choice]}


def _calls(answer: Answer, *, indexed: bool) -> Iterator[Body]:
    for index, call in enumerate(answer.calls):
        told = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        yield {"index": index, **told} if indexed else told


# --- the legacy API -----------------------------------------------------------------------------------------------


def result(frame: Frame, answer: Answer) -> Body:
    """The unary answer."""
    return {
        "id": frame.id,
        "object": "chat.completion",
        "created": frame.created,
        "result": "".join(answer.pieces),
        **_end(answer),
        "usage": frame.usage(answer.tokens),
    }


def results(frame: Frame, answer: Answer) -> Iterator[Paced]:
    """The streamed answer: increments, and a bill that grows; the last piece comes with the end."""
    pace = frame.piece_delay if answer.pace is None else answer.pace
    pieces = answer.pieces or [""]
    for place, piece in enumerate(pieces):
        last = place == len(pieces) - 1
        chunk = {
            "id": frame.id,
            "object": "chat.completion",
            "created": frame.created,
            "sentence_id": place,
            "is_end": last,
            "is_truncated": False,
            "result": piece,
            "need_clear_history": False,
            **(_end(answer) if last else {}),
            "usage": frame.usage(answer.tokens if last else place + 1),
        }
        yield (frame.first_delay or pace) if place == 0 else pace, chunk


def _end(answer: Answer) -> Body:
    told: Body = {
        "is_truncated": answer.finish == "length",
        "need_clear_history": False,
        "finish_reason": FINISH.get(answer.finish, answer.finish),
    }
    if answer.calls:
        call = answer.calls[0]
        told["function_call"] = {"name": call.name, "arguments": call.arguments}
        if answer.thoughts:
            told["function_call"]["thoughts"] = "".join(answer.thoughts)
    return told
