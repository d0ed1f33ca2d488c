"""Candidates as the frames of a stream, or folded into one answer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import msgspec

from .answer import Candidate
from .reading import Body

Paced = tuple[float, Body]  # seconds to wait, then this frame


class Frame(msgspec.Struct):
    """What all frames of one answer share."""

    number: int
    model: str
    signature: str | None
    prompt: int
    cached: int
    calls_together: bool
    logprobs: int | None
    first_delay: float
    piece_delay: float

    def tail(self) -> Body:
        """The keys behind the candidates."""
        return {"modelVersion": f"{self.model}-001", "responseId": f"r-{self.number}"}


def usage(frame: Frame, candidates: list[Candidate], *, whole: bool) -> Body:
    """The bill; before the end it does not count the candidates' words."""
    thoughts = sum(len(one.thoughts) for one in candidates)
    spoken = sum(one.spoken for one in candidates) if whole else 0
    told: Body = {"promptTokenCount": frame.prompt}
    told |= {"candidatesTokenCount": spoken} if spoken else {}
    told |= {"thoughtsTokenCount": thoughts} if thoughts else {}
    told |= {"cachedContentTokenCount": frame.cached} if frame.cached else {}
    details = [{"modality": "TEXT", "tokenCount": frame.prompt}]
    return {**told, "totalTokenCount": frame.prompt + spoken + thoughts, "promptTokensDetails": details}


def frames(frame: Frame, candidates: list[Candidate]) -> Iterator[Paced]:
    """The streamed answer: candidates take turns, then each ends in a frame of its own."""
    begun = usage(frame, candidates, whole=False)
    first = True
    for turn in zip_longest(*(_parts(frame, one) for one in candidates)):
        for index, parts in enumerate(turn):
            if parts is None:
                continue
            pace = candidates[index].pace
            wait = frame.first_delay if first else frame.piece_delay if pace is None else pace
            yield wait, {"candidates": [_said(frame, parts, index)], "usageMetadata": begun, **frame.tail()}
            first = False
    billed = usage(frame, candidates, whole=True)
    for index, one in enumerate(candidates):
        last = {**_said(frame, [{"text": ""}], index), "finishReason": one.finish}
        wait = frame.first_delay if first else 0.0
        yield wait, {"candidates": [last], "usageMetadata": billed, **frame.tail()}


def whole(frame: Frame, candidates: list[Candidate]) -> Body:
    """The unary answer: the fold of the frames."""
    said = []
    for index, one in enumerate(candidates):
        parts: list[Body] = []
        for more in _parts(frame, one):
            for part in more:
                _grow(parts, part)
        made = _said(frame, parts, index) if parts else {"index": index}
        said.append({**made, "finishReason": one.finish})
    return {"candidates": said, "usageMetadata": usage(frame, candidates, whole=True), **frame.tail()}


def _grow(parts: list[Body], part: Body) -> None:
    """Text and thoughts grow; calls stand alone."""
    last = parts[-1] if parts else {}
    if "text" in part and "text" in last and part.get("thought") == last.get("thought"):
        last["text"] += part["text"]
    else:
        parts.append(dict(part))


def _parts(frame: Frame, one: Candidate) -> Iterator[list[Body]]:
    """What each frame holds."""
    if one.shows_thoughts:
        yield from ([{"text": piece, "thought": True}] for piece in one.thoughts)
    yield from ([{"text": piece}] for piece in one.pieces)
    calls: list[Body] = []
    for place, (name, arguments) in enumerate(one.calls):
        call: Body = {"functionCall": {"id": f"fc{frame.number}x{place}", "name": name, "args": arguments}}
        if frame.signature and not place:  # the first call of a group carries it
            call["thoughtSignature"] = frame.signature
        calls.append(call)
    if calls and frame.calls_together:
        yield calls
    else:
        yield from ([call] for call in calls)


def _said(frame: Frame, parts: list[Body], index: int) -> Body:
    made: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": index}
    words = [part["text"] for part in parts if part.get("text") and not part.get("thought")]
    if frame.logprobs is not None and words:
        made["logprobsResult"] = {
            "chosenCandidates": [{"token": word, "tokenId": 5, "logProbability": -0.25} for word in words],
            "topCandidates": [
                {
                    "candidates": [
                        {"token": word if not n else f"~{n}", "tokenId": 5 + n, "logProbability": -0.25 - n}
                        for n in range(frame.logprobs)
                    ]
                }
                for word in words
            ],
        }
    return made
