"""The content filter's members around an answer, in each of its modes; the text itself is OpenAI's."""

from __future__ import annotations

from typing import Any

Body = dict[str, Any]
Paced = tuple[float, Body]

SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
STRUCK = {**SAFE, "hate": {"filtered": True, "severity": "high"}}
DOWN = {"error": {"code": "content_filter_error", "message": "The contents are not filtered"}}
NOBODY = {"id": "", "object": "", "created": 0, "model": ""}


def of_prompt() -> list[Body]:
    """What was found in the question."""
    return [
        {"prompt_index": 0, "content_filter_results": {**SAFE, "jailbreak": {"filtered": False, "detected": False}}}
    ]


def streamed(chunks: list[Paced], mode: str) -> list[Paced]:
    """The chunks as the filter lets them through."""
    key = "prompt_annotations" if mode == "annotations" else "prompt_filter_results"
    first = (0.0, {**NOBODY, "choices": [], key: of_prompt()})
    if mode == "asynchronous":
        return [first, *_checked_later(chunks)]
    for _, chunk in chunks:
        for choice in chunk["choices"]:
            choice["content_filter_results"] = (
                DOWN if mode == "down" else SAFE if choice["delta"].get("content") else {}
            )
    return [first, *chunks]


def _checked_later(chunks: list[Paced]) -> list[Paced]:
    """Words at once; what the filter thinks of them comes in chunks without a delta."""
    told: list[Paced] = []
    end = 0
    for wait, chunk in chunks:
        told.append((wait, chunk))
        for choice in chunk["choices"]:
            if words := choice["delta"].get("content"):
                offsets = {"check_offset": end, "start_offset": end, "end_offset": end + len(words)}
                end += len(words)
                found = {"content_filter_results": SAFE, "content_filter_offsets": offsets}
                empty = {"index": choice["index"], "finish_reason": None, **found}
                told.append((0.0, {**NOBODY, "choices": [empty], "usage": None}))
    return told


def struck(chunks: list[Paced], pieces: int) -> list[Paced]:
    """The filter strikes after so many pieces: no more words, and a reason."""
    told: list[Paced] = []
    for wait, chunk in chunks:
        spoken = any(choice["delta"].get("content") for choice in chunk["choices"])
        if spoken and pieces == 0:
            choices = [
                {**choice, "delta": {}, "finish_reason": "content_filter", "content_filter_results": STRUCK}
                for choice in chunk["choices"]
            ]
            return [*told, (wait, {**chunk, "choices": choices}), *(one for one in chunks if not one[1]["choices"])]
        pieces -= spoken
        told.append((wait, chunk))
    return told


def whole(completion: Body, mode: str) -> Body:
    """One completion as the filter lets it through."""
    for choice in completion["choices"]:
        choice["content_filter_results"] = DOWN if mode == "down" else SAFE
    return {**completion, "prompt_filter_results": of_prompt()}
