"""OpenAI's shapes: an `Answer` as one completion, or as the chunks of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import Any

import msgspec

from .answer import Answer, Call, split

Body = dict[str, Any]
Paced = tuple[float, Body]  # seconds to wait, then this chunk


class Frame(msgspec.Struct):
    """What all parts of one answer share."""

    id: str
    created: int
    model: str
    usage: Body
    hf: bool
    thought_key: str
    stops: dict[str, str]  # how this service calls a reason to finish
    logprobs: int | None  # None: not asked for; else how many alternatives
    include_usage: bool
    obfuscation: bool
    first_delay: float
    piece_delay: float
    plain: bool = False  # without what only OpenAI says: a tier, a refusal that is null, usage that is null
    more: Body = {}  # keys beside `choices`

    def top(self, kind: str) -> Body:
        """The keys beside `choices`."""
        shared = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        if self.plain:
            return shared | self.more
        return shared | (
            {"system_fingerprint": ""} if self.hf else {"service_tier": "default", "system_fingerprint": "fp_demo"}
        )


def usage(prompt: int, answers: list[Answer], hf: bool) -> Body:
    """The bill; the router's providers leave out the details."""
    completion = sum(answer.tokens for answer in answers)
    total = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    if hf:
        return total
    return total | {
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": sum(len(answer.thoughts) for answer in answers),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def completion(frame: Frame, answers: list[Answer]) -> Body:
    """The unary answer."""
    choices = [
        {
            "index": index,
            "message": _message(frame, answer),
            "logprobs": _logprobs(frame, answer.pieces, answer.refusal),
            "finish_reason": frame.stops.get(answer.finish, answer.finish),
        }
        for index, answer in enumerate(answers)
    ]
    return {**frame.top("chat.completion"), "choices": choices, "usage": frame.usage}


def chunks(frame: Frame, answers: list[Answer]) -> Iterator[Paced]:
    """The streamed answer: choices take turns, then all finish, then the bill."""
    turns = [_deltas(frame, answer) for answer in answers]
    first = True
    for round_of in zip_longest(*turns):
        for index, delta in enumerate(round_of):
            if delta is None:
                continue
            pace = answers[index].pace if answers[index].pace is not None else frame.piece_delay
            waits = frame.first_delay if first else 0.0 if "role" in delta else pace
            yield waits, _chunk(frame, index, delta)
            first = False
    for index, answer in enumerate(answers):
        last = _chunk(frame, index, {}, frame.stops.get(answer.finish, answer.finish))
        if frame.hf and frame.include_usage and index == len(answers) - 1:
            last["usage"] = frame.usage
        yield 0.0, last
    if frame.include_usage and not frame.hf:
        yield 0.0, {**frame.top("chat.completion.chunk"), "choices": [], "usage": frame.usage}


def _message(frame: Frame, answer: Answer) -> Body:
    text = "".join(answer.pieces)
    message: Body = {"role": "assistant", "content": text if text or not (answer.calls or answer.refusal) else None}
    if not (frame.hf or frame.plain):
        message |= {"refusal": "".join(answer.refusal) or None, "annotations": []}
    if answer.thoughts:
        message[frame.thought_key] = "".join(answer.thoughts)
    if answer.calls:
        message["tool_calls"] = [{"id": call.id, "type": call.kind, **_spoken(call)} for call in answer.calls]
    return message


def _spoken(call: Call) -> Body:
    if call.kind == "custom":
        return {"custom": {"name": call.name, "input": call.arguments}}
    return {"function": {"name": call.name, "arguments": call.arguments}}


def _deltas(frame: Frame, answer: Answer) -> Iterator[Body]:
    opening: Body = {"role": "assistant", "content": ""} | ({} if frame.hf or frame.plain else {"refusal": None})
    rest = chain(
        ({frame.thought_key: piece} for piece in answer.thoughts),
        ({"content": piece} for piece in answer.pieces),
        ({"refusal": piece} for piece in answer.refusal),
        chain.from_iterable(_call_deltas(index, call) for index, call in enumerate(answer.calls)),
    )
    if answer.calls and not (answer.thoughts or answer.pieces):
        # A call that comes first shares its first delta with the role, as OpenAI does it.
        yield {"role": "assistant", "content": None, **next(rest)}
    else:
        yield opening
    yield from rest


def _call_deltas(index: int, call: Call) -> Iterator[Body]:
    if call.kind == "custom":
        yield {"tool_calls": [{"index": index, "id": call.id, "type": "custom", **_spoken(call)}]}
        return
    begun = {"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
    yield {"tool_calls": [begun]}
    for piece in split(call.arguments, 5):
        yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _chunk(frame: Frame, index: int, delta: Body, finish: str | None = None) -> Body:
    pieces = [delta["content"]] if delta.get("content") else []
    refusal = [delta["refusal"]] if delta.get("refusal") else []
    choice = {"index": index, "delta": delta, "logprobs": _logprobs(frame, pieces, refusal), "finish_reason": finish}
    made = {**frame.top("chat.completion.chunk"), "choices": [choice]}
    if frame.include_usage and not (frame.hf or frame.plain):
        made["usage"] = None
    if frame.obfuscation:
        made["obfuscation"] = "x" * max(1, 24 - len(json.dumps(delta)) % 24)
    return made


def _logprobs(frame: Frame, pieces: list[str], refusal: list[str]) -> Body | None:
    if frame.logprobs is None or not (pieces or refusal):
        return None
    told = [[_token(piece, frame.logprobs) for piece in side] or None for side in (pieces, refusal)]
    return {"content": told[0], "refusal": told[1]}


def _token(piece: str, alternatives: int) -> Body:
    told = {"token": piece, "logprob": -0.25, "bytes": list(piece.encode())}
    others = [{"token": f"~{n}", "logprob": -1.5 - n, "bytes": list(f"~{n}".encode())} for n in range(1, alternatives)]
    return {**told, "top_logprobs": [told, *others] if alternatives else []}
