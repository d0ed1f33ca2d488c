"""What a planned end costs: streams and requests that go on while an operator reloads nginx or stops a gateway.

A stream that is under way must come to its end: an old worker of nginx lets it (worker_shutdown_timeout), a stopping
gateway lets it (GRACEFUL_SECONDS). A request that meets a gateway which is about to go must be answered by another.
The doctor ends nothing itself; it only watches.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from parley.clock import monotonic, sleep
from parley.doctor.front import CannotTell, Front, Refused
from parley.doctor.reflection import PATH
from parley.doctor.report import Check, fault, ok, unknown

DRAIN: Final = "drain"

_STREAMS_PER_GATEWAY, _MOST_STREAMS = 2, 24
_PIECES: Final = 100
_EVERY: Final = 0.1
_SETTLED: Final = 0.5
"""Seconds at the end in which no stream is left: the last word belongs to requests."""
_ASKS_PER_GATEWAY: Final = 4


@dataclass(frozen=True, slots=True)
class Watched:
    """One stream, to its end."""

    replica: str
    pieces: int
    broken: str = ""


async def drain(front: Front, seconds: float) -> Check:
    """Keep streams and requests going for so long, and say what became of them."""
    await front.mirror()
    before = set(front.living)
    streams = min(_STREAMS_PER_GATEWAY * max(1, len(before)), _MOST_STREAMS)
    pause = max(seconds - _SETTLED, 0.5) / (_PIECES - 1)
    over = monotonic() + seconds
    watching = [asyncio.create_task(_watch(front, pause)) for _ in range(streams)]
    try:
        failures: Counter[str] = Counter()
        requests = 0
        while monotonic() < over:
            requests += 1
            if problem := await _ask(front):
                failures[problem] += 1
            await sleep(_EVERY)
        watched = await asyncio.gather(*watching)
    finally:
        for task in watching:
            task.cancel()
    answering: set[str] = set()
    for _ in range(_ASKS_PER_GATEWAY * max(1, len(before))):  # Redis learns later who died
        answering.add((await front.mirror()).reflection.replica)
    return judge_drain(watched, requests, failures, before, answering)


def judge_drain(
    watched: Sequence[Watched], requests: int, failures: Counter[str], before: Collection[str], after: Collection[str]
) -> Check:
    """`failures` of `requests` by what was said; gateways that lived `before`, and that answer `after`."""
    gone, come = sorted(set(before) - set(after)), sorted(set(after) - set(before))
    broken = [one for one in watched if one.broken or one.pieces < _PIECES]
    figures: dict[str, Any] = {
        "streams": len(watched),
        "streams_broken": len(broken),
        "requests": requests,
        "requests_failed": failures.total(),
        "gateways_gone": len(gone),
        "gateways_come": len(come),
    }
    if broken and all(one.replica in gone for one in broken):
        return fault(
            DRAIN,
            f"{len(broken)} of {len(watched)} streams broke when their gateway ended.",
            remedy="Give gateways time to end: GRACEFUL_SECONDS, with stop_grace_period above it.",
            **figures,
        )
    if broken:
        return fault(
            DRAIN,
            f"{len(broken)} of {len(watched)} streams broke, and their gateways live: nginx ended them.",
            "worker_shutdown_timeout",
            "worker_shutdown_timeout 85s;   # and nginx itself is told to end with SIGQUIT, or reloaded",
            **figures,
        )
    if failures:
        worst = ", ".join(f"{count} x {problem}" for problem, count in failures.most_common(3))
        return fault(
            DRAIN,
            f"{failures.total()} of {requests} requests failed: {worst}.",
            "proxy_next_upstream",
            "proxy_next_upstream error timeout non_idempotent;",
            **figures,
        )
    if not watched:
        return unknown(DRAIN, "No stream could be watched.", **figures)
    moved = f"{len(gone)} gateways went and {len(come)} came" if gone or come else "no gateway went or came"
    return ok(DRAIN, f"{len(watched)} streams and {requests} requests went on unharmed; {moved}.", **figures)


async def _watch(front: Front, pause: float) -> Watched:
    params = {"pieces": str(_PIECES), "pause_ms": str(round(pause * 1000))}
    replica, pieces = "", 0
    try:
        async with front.listen("GET", PATH, params=params) as answer:
            async for line in answer.aiter_lines():
                if not line.startswith("data: "):
                    continue
                if not pieces:
                    replica = line.partition('"replica":"')[2].partition('"')[0]
                pieces += 1
    except (CannotTell, httpx.HTTPError) as problem:
        return Watched(replica, pieces, str(problem) or type(problem).__name__)
    return Watched(replica, pieces)


async def _ask(front: Front) -> str:
    """One POST on a connection of its own, which nobody closes under it; what went wrong, or nothing."""
    try:
        await front.mirror("POST", headers={"connection": "close"}, content=b"{}")
    except Refused as refused:
        return f"{refused.status} {refused.code}".strip()
    except (CannotTell, httpx.HTTPError) as problem:
        return type(problem).__name__
    return ""
