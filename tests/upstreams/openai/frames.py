"""How chunks become server-sent events, and every odd but legal (and illegal) way to write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

Body = dict[str, Any]
Paced = tuple[float, Body]
Frames = list[tuple[float, str]]
Params = dict[str, Any]

DONE = "data: [DONE]\n\n"


def stream(chunks: list[Paced], done: bool = True) -> Frames:
    """The right way."""
    frames = [
        (wait, f"data: {json.dumps(chunk, ensure_ascii=False, separators=(',', ':'))}\n\n") for wait, chunk in chunks
    ]
    return [*frames, (0.0, DONE)] if done else frames


def write(frames: Frames) -> Iterator[tuple[float, bytes]]:
    """Frames as the bytes of a body."""
    for wait, frame in frames:
        yield wait, frame.encode()


def _each(change: Callable[[str], str]) -> Callable[[Frames, Params], Frames]:
    return lambda frames, _: [(wait, change(frame)) for wait, frame in frames]


def _between(*extra: str) -> Callable[[Frames, Params], Frames]:
    """The extra text before every frame."""
    return lambda frames, _: [(wait, "".join(extra) + frame) for wait, frame in frames]


def _several_lines(frame: str) -> str:
    """The chunk's JSON on several `data:` lines, cut where JSON allows a newline."""
    if frame == DONE:
        return frame
    lines = json.dumps(json.loads(frame[len("data: ") :]), ensure_ascii=False, indent=1).split("\n")
    return "".join(f"data: {line}\n" for line in lines) + "\n"


def _without_last_blank(frames: Frames, _: Params) -> Frames:
    wait, last = frames[-1]
    return [*frames[:-1], (wait, last[:-1])]


def _unseparated(frames: Frames, _: Params) -> Frames:
    """No `[DONE]`, and the last chunk ends with a newline but no blank line."""
    return _without_last_blank([frame for frame in frames if frame[1] != DONE], {})


def _numbered(frames: Frames, _: Params) -> Frames:
    return [(wait, f"id: {number}\n{frame}") for number, (wait, frame) in enumerate(frames, 1)]


def _bom(frames: Frames, _: Params) -> Frames:
    (wait, first), *rest = frames
    return [(wait, "\ufeff" + first), *rest]


def _odd_letters(frames: Frames, _: Params) -> Frames:
    """Raw U+2028, U+0085, VT and FF stand-ins inside the JSON: letters that `splitlines` takes for line ends."""
    odd = "\u2028\u2029\u0085"
    for place, (wait, frame) in enumerate(frames):
        if '"content":"' in frame and '"content":""' not in frame:
            return [*frames[:place], (wait, frame.replace('"content":"', f'"content":"{odd}', 1)), *frames[place + 1 :]]
    return frames


# In the order in which they are done when several are asked for.
FRAMES: dict[str, Callable[[Frames, Params], Frames]] = {
    "no_done": lambda frames, _: [frame for frame in frames if frame[1] != DONE],
    "garbage_frame": lambda frames, _: [*frames[:2], (0.0, "data: {not json\n\n"), *frames[2:]],
    "line_separators": _odd_letters,
    "multiline_data": _each(_several_lines),
    "done_no_space": _each(lambda frame: "data:[DONE]\n\n" if frame == DONE else frame),
    "done_blanks": _each(lambda frame: "data:  [DONE] \n\n" if frame == DONE else frame),
    "done_twice": _each(lambda frame: frame * 2 if frame == DONE else frame),
    "no_final_blank": _without_last_blank,
    "no_done_no_final_blank": _unseparated,
    "no_space": _each(lambda frame: frame.replace("data: ", "data:", 1)),
    "event_named": _each(lambda frame: "event: message\n" + frame),
    "id_lines": _numbered,
    "comments": _between(": keep-alive\n\n", ":\n"),
    "processing": _between(": OPENROUTER PROCESSING\n\n"),
    "event_ping": _between("event: ping\n\n"),
    "empty_data": _between("data:\n\n"),
    "retry_line": lambda frames, _: [(0.0, "retry: 5\n\n"), *frames],
    "bom": _bom,
    "crlf": _each(lambda frame: frame.replace("\n", "\r\n")),
    "cr": _each(lambda frame: frame.replace("\n", "\r")),
}
