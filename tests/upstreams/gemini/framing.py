"""How frames become server-sent events, and every odd way to write them that was met in the wild."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .refusal import refusal

Written = list[tuple[float, str]]
Params = dict[str, Any]


def stream(frames: list[tuple[float, Any]], newline: str) -> Written:
    """The right way: `data: ` and JSON and a blank line, nothing else."""
    end = {"crlf": "\r\n", "lf": "\n"}[newline] * 2
    return [
        (wait, f"data: {json.dumps(frame, ensure_ascii=False, separators=(',', ':'))}{end}") for wait, frame in frames
    ]


def array(frames: list[tuple[float, Any]]) -> Written:
    """Without `alt=sse`: one JSON array, written piecewise."""
    written = [(wait, json.dumps(frame, ensure_ascii=False, indent=2)) for wait, frame in frames]
    opened = [(wait, ("[" if not at else ",\r\n") + text) for at, (wait, text) in enumerate(written)]
    return [*opened, (0.0, "]")]


def _each(change: Callable[[str], str]) -> Callable[[Written, Params], Written]:
    return lambda frames, _: [(wait, change(frame)) for wait, frame in frames]


def _several_lines(frame: str) -> str:
    lines = json.dumps(json.loads(frame[len("data: ") :]), ensure_ascii=False, indent=1).split("\n")
    return "".join(f"data: {line}\n" for line in lines) + "\n"


def _error_bare(frames: Written, params: Params) -> Written:
    """After `after` frames (2 unless told) an error that is no event, then the stream ends."""
    error = json.dumps(refusal(params.get("error", "overloaded"), {}).envelope(), indent=2)
    return [*frames[: params.get("after", 2)], (0.0, f"{error}\n")]


FRAMES: dict[str, Callable[[Written, Params], Written]] = {
    "garbage_frame": lambda frames, p: [*frames[: p.get("after", 2)], (0.0, "data: {not json\r\n\r\n"), *frames[2:]],
    "error_bare": _error_bare,
    "several_lines": _each(_several_lines),
    "comments": _each(lambda frame: ": keep-alive\n\n" + frame),
    "event_named": _each(lambda frame: "event: message\n" + frame),
    "no_space": _each(lambda frame: frame.replace("data: ", "data:", 1)),
    "done": lambda frames, _: [*frames, (0.0, "data: [DONE]\r\n\r\n")],
    "no_final_blank": lambda frames, _: [*frames[:-1], (frames[-1][0], frames[-1][1].rstrip())],
}
