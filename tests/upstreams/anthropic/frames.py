"""How events become server-sent events, and every odd but legal (and illegal) way to write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

Paced = tuple[float, dict[str, Any]]
Frames = list[tuple[float, str]]


def stream(events: list[Paced]) -> Frames:
    """The right way: the name, and the JSON that repeats it."""
    return [
        (wait, f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n")
        for wait, event in events
    ]


def write(frames: Frames) -> Iterator[tuple[float, bytes]]:
    """Frames as the bytes of a body."""
    for wait, frame in frames:
        yield wait, frame.encode()


def _each(change: Callable[[str], str]) -> Callable[[Frames], Frames]:
    return lambda frames: [(wait, change(frame)) for wait, frame in frames]


def _last(change: Callable[[str], str]) -> Callable[[Frames], Frames]:
    return lambda frames: [*frames[:-1], (frames[-1][0], change(frames[-1][1]))]


# In the order in which they are done when several are asked for.
FRAMES: dict[str, Callable[[Frames], Frames]] = {
    "garbage_frame": lambda frames: [
        *frames[:4],
        (0.0, "event: content_block_delta\ndata: {not json\n\n"),
        *frames[4:],
    ],
    "unnamed": _each(lambda frame: frame[frame.index("data:") :]),
    "done": lambda frames: [*frames, (0.0, "data: [DONE]\n\n")],
    "no_final_blank": _last(lambda frame: frame[:-1]),
    "no_space": _each(lambda frame: frame.replace("data: ", "data:", 1).replace("event: ", "event:", 1)),
    "comments": _each(lambda frame: f": still here\n\n{frame}"),
    "bom": lambda frames: [(frames[0][0], "\ufeff" + frames[0][1]), *frames[1:]],
    "crlf": _each(lambda frame: frame.replace("\n", "\r\n")),
    "cr": _each(lambda frame: frame.replace("\n", "\r")),
}
