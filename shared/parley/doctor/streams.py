"""What nginx makes of streams: whether each piece goes on as it comes, unpacked; how long an answer may be silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import httpx

from parley.clock import monotonic
from parley.doctor.front import CannotTell, Front
from parley.doctor.reflection import PATH
from parley.doctor.report import Check, fault, ok

STREAM: Final = "stream"
BUFFERING: Final = "buffering"
COMPRESSION: Final = "compression"
PATIENCE: Final = "patience"

_PIECES: Final = 20
_PAUSE: Final = 0.05
_WORDS: Final = " ".join(f"word{number}" for number in range(_PIECES))
_DONE: Final = b"[DONE]"


@dataclass(frozen=True, slots=True)
class Heard:
    """The data of a stream's frames, and when each was there."""

    moments: Sequence[float]
    frames: Sequence[bytes]
    broken: str = ""
    """How it broke, if it did."""

    @property
    def lasted(self) -> float:
        """Seconds between the first piece and the last."""
        return self.moments[-1] - self.moments[0] if self.moments else 0.0

    @property
    def gaps(self) -> list[float]:
        """Seconds between pieces."""
        return [after - before for before, after in pairwise(self.moments)]

    def bunched(self, pause: float) -> bool:
        """Whether pieces that were sent with pauses came together."""
        close = sum(gap < pause / 5 for gap in self.gaps)
        return self.lasted < len(self.gaps) * pause / 2 or close > len(self.gaps) / 2


async def stream(front: Front) -> Check:
    """Whether words of the model `echo`, which are spoken with pauses, come with these pauses, and come to an end."""
    body = {
        "model": "echo",
        "messages": [{"role": "user", "content": _WORDS}],
        "stream": True,
        "metadata": {"echo_delay_ms": str(round(_PAUSE * 1000))},
    }
    async with front.listen("POST", "/v1/chat/completions", json=body) as answer:
        heard = await _hear(answer)
    return judge_stream(heard)


def judge_stream(heard: Heard) -> Check:
    """The frames of a chat with `echo`."""
    whole = heard.frames[-1:] == [_DONE]
    # What ends the stream comes with its last word.
    words = [(when, frame) for when, frame in zip(heard.moments, heard.frames, strict=True) if b"word" in frame]
    spoken = Heard([when for when, _ in words], [frame for _, frame in words])
    figures = _figures(spoken)
    if heard.broken or not whole:
        raise CannotTell(f"The stream did not come to its end{': ' if heard.broken else ''}{heard.broken}.")
    if len(words) < _PIECES / 2:
        raise CannotTell(f"The model `echo` said {len(words)} words, where {_PIECES} were expected.")
    if spoken.bunched(_PAUSE) and spoken.lasted > 1.5 * _PAUSE * len(words):
        return fault(
            STREAM,
            f"The words of a stream are let through in bursts: they take {figures['lasted_ms'] / 1000:.1f} s.",
            "limit_rate",
            "Remove limit_rate and proxy_limit_rate.",
            **figures,
        )
    if spoken.bunched(_PAUSE):
        return fault(
            STREAM,
            "The words of a stream are held back and come together.",
            "proxy_buffering",
            "proxy_buffering off;   # and no proxy_ignore_headers X-Accel-Buffering",
            **figures,
        )
    return ok(
        STREAM,
        f"Words come as they are said: {_PAUSE * 1000:.0f} ms apart, at most {figures['gap_max_ms']}.",
        **figures,
    )


async def buffering(front: Front) -> Check:
    """Whether nginx itself passes on pieces at once, also of an answer that does not ask for it (X-Accel-Buffering).

    The mirror says how long this answer is: what comes in chunks, nginx passes on even where it may hold back.
    """
    params = {"pieces": "12", "pause_ms": str(round(_PAUSE * 1000)), "plain": "1"}
    async with front.listen("GET", PATH, params=params) as answer:
        heard = await _hear(answer)
    return judge_buffering(heard)


def judge_buffering(heard: Heard) -> Check:
    """The frames of a stream of which nobody said that it must not be buffered."""
    if heard.broken:
        raise CannotTell(f"The stream did not come to its end: {heard.broken}.")
    figures = _figures(heard)
    if heard.bunched(_PAUSE):
        return fault(
            BUFFERING,
            "nginx collects answers, on disk if need be, before it passes them on. Streams flow only because each asks "
            "for it (X-Accel-Buffering).",
            "proxy_buffering",
            "proxy_buffering off;",
            **figures,
        )
    return ok(BUFFERING, "nginx holds nothing back.", **figures)


async def compression(front: Front) -> Check:
    """Whether a stream comes as it is to a client that could unpack it: packing waits for more to pack."""
    params = {"pieces": "3", "pause_ms": "20"}
    async with front.listen("GET", PATH, params=params, headers={"accept-encoding": "gzip, deflate, br"}) as answer:
        packed = answer.headers.get("content-encoding", "identity").lower()
        async for _ in answer.aiter_raw():
            pass
    if packed != "identity":
        return fault(
            COMPRESSION,
            f"Streams are packed ({packed}), which holds their pieces back.",
            "gzip" if packed == "gzip" else "content-encoding",
            "gzip off;   # or text/event-stream not in gzip_types",
        )
    return ok(COMPRESSION, "Streams are not packed.")


async def patience(front: Front, seconds: float) -> Check:
    """Whether an answer may be silent for so long: a unary answer is, until it is there."""
    began = monotonic()
    held = await front.hold(seconds)
    try:
        came = await held.wait()
    finally:
        await held.release()
    waited = round(monotonic() - began, 2)
    if not came:
        return fault(
            PATIENCE,
            f"An answer that was silent for {waited} s was cut off.",
            "proxy_read_timeout",
            "proxy_read_timeout 1260s;   # above TOTAL_SECONDS (NGINX_READ_TIMEOUT)",
            silent_s=waited,
        )
    return ok(PATIENCE, f"An answer may be silent for {seconds:g} s; longer was not tried.", silent_s=waited)


async def _hear(answer: httpx.Response) -> Heard:
    moments: list[float] = []
    frames: list[bytes] = []
    rest = b""
    try:
        async for piece in answer.aiter_raw():
            now = monotonic()
            *whole, rest = (rest + piece).split(b"\n\n")
            told = [frame.removeprefix(b"data: ") for frame in whole if frame.startswith(b"data: ")]
            frames += told
            moments += [now] * len(told)
    except httpx.HTTPError as problem:
        return Heard(moments, frames, str(problem) or type(problem).__name__)
    return Heard(moments, frames)


def _figures(heard: Heard) -> dict[str, float]:
    gaps = sorted(heard.gaps) or [0.0]
    return {
        "pieces": len(heard.frames),
        "gap_median_ms": round(gaps[len(gaps) // 2] * 1000, 1),
        "gap_max_ms": round(gaps[-1] * 1000, 1),
        "lasted_ms": round(heard.lasted * 1000, 1),
    }
