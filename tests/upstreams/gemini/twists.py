"""Faults in what an answer says: each takes the frames of a stream and returns odd ones.

A unary answer is twisted as a stream of one frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .reading import Body
from .refusal import refusal

Paced = tuple[float, Body]
Params = dict[str, Any]
Twist = Callable[[list[Paced], Params], list[Paced]]


def _each_candidate(change: Callable[[Body, Params], None]) -> Twist:
    def twist(frames: list[Paced], params: Params) -> list[Paced]:
        for _, frame in frames:
            for candidate in frame.get("candidates") or ():
                change(candidate, params)
        return frames

    return twist


def _each_call(change: Callable[[Body], None]) -> Twist:
    def of_candidate(candidate: Body, _: Params) -> None:
        for part in (candidate.get("content") or {}).get("parts") or ():
            if "functionCall" in part:
                change(part)

    return _each_candidate(of_candidate)


def _ends(candidate: Body) -> bool:
    return "finishReason" in candidate


def _finish(candidate: Body, params: Params) -> None:
    if _ends(candidate):
        candidate["finishReason"] = params.get("reason", "OTHER")
        if "message" in params:
            candidate["finishMessage"] = params["message"]


def _last_without(name: str) -> Callable[[Body, Params], None]:
    def change(candidate: Body, _: Params) -> None:
        if _ends(candidate):
            if name == "parts":
                candidate["content"] = {"role": "model"}
            else:
                candidate.pop("content", None)

    return change


def _blocked(frames: list[Paced], params: Params) -> list[Paced]:
    """Nothing but the reason; `after`: only behind so many frames."""
    kept = frames[: params.get("after", 0)]
    last = {name: value for name, value in frames[-1][1].items() if name != "candidates"}
    bill = {"promptTokenCount": last["usageMetadata"]["promptTokenCount"]}
    feedback = {"blockReason": params.get("reason", "SAFETY"), "safetyRatings": []}
    return [*kept, (0.0, {**last, "promptFeedback": feedback, "usageMetadata": bill})]


def _silent(frames: list[Paced], params: Params) -> list[Paced]:
    """Every word is left out; what was thought stays."""
    kept = []
    for wait, frame in frames:
        for candidate in frame["candidates"]:
            parts = [part for part in candidate.get("content", {}).get("parts", ()) if part.get("thought")]
            if parts:
                candidate["content"]["parts"] = parts
            else:
                candidate.pop("content", None)
        if any("content" in one or _ends(one) for one in frame["candidates"]):
            kept.append((wait, frame))
    _each_candidate(_finish)(kept, {"reason": params.get("reason", "MAX_TOKENS")})
    return kept


def _usage_alone(frames: list[Paced], _: Params) -> list[Paced]:
    """The bill comes behind the end, in a frame of its own."""
    bill = frames[-1][1]["usageMetadata"]
    for _wait, frame in frames:
        frame.pop("usageMetadata", None)
    return [*frames, (0.0, {"usageMetadata": bill, "responseId": frames[-1][1]["responseId"]})]


def _no_usage(frames: list[Paced], _: Params) -> list[Paced]:
    for _wait, frame in frames:
        frame.pop("usageMetadata", None)
    return frames


def _no_candidates(frames: list[Paced], _: Params) -> list[Paced]:
    """A frame without candidates after the first one."""
    odd = {name: value for name, value in frames[0][1].items() if name != "candidates"}
    return [frames[0], (0.0, odd), *frames[1:]]


def _never_candidates(frames: list[Paced], _: Params) -> list[Paced]:
    for _wait, frame in frames:
        frame.pop("candidates", None)
    return frames


def _no_finish(candidate: Body, _: Params) -> None:
    candidate.pop("finishReason", None)


def _unspecified(candidate: Body, _: Params) -> None:
    candidate["finishReason"] = "FINISH_REASON_UNSPECIFIED"


def _rated(candidate: Body, _: Params) -> None:
    candidate["safetyRatings"] = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}]


def _signed_end(candidate: Body, _: Params) -> None:
    """As Gemini 3 does without tools: on an empty text at the end."""
    if _ends(candidate) and "content" in candidate:
        candidate["content"]["parts"][-1]["thoughtSignature"] = "CpEB"


def _pictured(candidate: Body, _: Params) -> None:
    if _ends(candidate):
        picture = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
        candidate.setdefault("content", {"role": "model"}).setdefault("parts", []).append(picture)


def _no_index(candidate: Body, _: Params) -> None:
    if not candidate.get("index"):
        candidate.pop("index", None)


def _long(frames: list[Paced], params: Params) -> list[Paced]:
    for _wait, frame in frames:
        for part in frame["candidates"][0].get("content", {}).get("parts", ()):
            if part.get("text"):
                part["text"] = "x" * params.get("bytes", 1 << 20)
                return frames
    return frames


def _error_frame(frames: list[Paced], params: Params) -> list[Paced]:
    """After `after` frames (2 unless told) an error, then the stream ends."""
    error = refusal(params.get("error", "overloaded"), {}).envelope()
    odd: Any = [error] if params.get("array") else error
    return [*frames[: params.get("after", 2)], (0.0, odd)]


TWISTS: dict[str, Twist] = {
    "prompt_blocked": _blocked,
    "finish": _each_candidate(_finish),
    "last_without_parts": _each_candidate(_last_without("parts")),
    "last_without_content": _each_candidate(_last_without("content")),
    "no_words": _silent,
    "usage_frame": _usage_alone,
    "missing_usage": _no_usage,
    "missing_candidates": _no_candidates,
    "never_candidates": _never_candidates,
    "no_finish": _each_candidate(_no_finish),
    "finish_unspecified": _each_candidate(_unspecified),
    "call_without_args": _each_call(lambda part: part["functionCall"].pop("args", None)),
    "call_without_id": _each_call(lambda part: part["functionCall"].pop("id", None)),
    "call_without_name": _each_call(lambda part: part["functionCall"].pop("name", None)),
    "call_unsigned": _each_call(lambda part: part.pop("thoughtSignature", None)),
    "safety_ratings": _each_candidate(_rated),
    "signed_end": _each_candidate(_signed_end),
    "picture": _each_candidate(_pictured),
    "index_omitted": _each_candidate(_no_index),
    "long_line": _long,
    "error_frame": _error_frame,
}
