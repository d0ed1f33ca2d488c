"""The examination: all checks, in an order that lets them share what they set up; seconds, and bounded traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import httpx

from parley.clock import monotonic
from parley.doctor import bodies, door, heads, replicas, reuse, streams
from parley.doctor.answers import steadily, told
from parley.doctor.drain import DRAIN, drain
from parley.doctor.front import PATIENCE, Front
from parley.doctor.report import Check, Report
from parley.sealed import Secret

Question = Callable[[Front], Awaitable[Check]]

SILENCE: Final = 6.0
"""Seconds for which an answer is silent, by default: no examination is shorter."""

NAMES: Final = (
    door.REACH,
    door.KEY,
    heads.REQUEST_ID,
    heads.HEADERS,
    heads.CLIENT_ADDRESS,
    door.METRICS,
    bodies.BODY_LIMIT,
    bodies.WHOLE_BODY,
    reuse.KEEP_ALIVE,
    streams.STREAM,
    streams.BUFFERING,
    streams.COMPRESSION,
    streams.PATIENCE,
    *replicas.NAMES,
)
"""Every check, in the order of the report. `drain` is asked for apart."""


class BadAddress(ValueError):
    """What was given is not the address of a front."""


async def examine(
    url: str,
    key: Secret | None = None,
    *,
    only: Collection[str] = (),
    silence: float = SILENCE,
    drain_seconds: float | None = None,
) -> Report:
    """Examine the front at `url`, which is nginx' address, with or without `/v1`.

    `key` opens /v1 (none where none is needed). `only`: names of checks (`NAMES`); empty: all. With `drain_seconds`,
    streams and requests are kept going for so long instead, while somebody reloads nginx or stops a gateway.
    Raises BadAddress. Whatever else goes wrong is in the report.
    """
    address = _address(url)
    began = monotonic()
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=20)
    # Nobody's proxy and nobody's .netrc: what stands between us and nginx is what is examined.
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE, limits=limits, trust_env=False) as http:
        front = Front(address, key, http)
        checks = await _checks(front, only or NAMES, silence, drain_seconds, key)
    seconds = monotonic() - began
    return Report(front.address, checks, tuple(sorted(front.seen)), front.requests, seconds)


async def _checks(
    front: Front, only: Collection[str], silence: float, drain_seconds: float | None, key: Secret | None
) -> list[Check]:
    reached, keyed = await door.reach(front)
    if reached.verdict != "ok":
        return [reached]
    opened = await door.key(front, needed=keyed, given=key)
    if opened.verdict != "ok":
        return [reached, opened]
    if drain_seconds is not None:
        return [reached, opened, *await told((DRAIN,), drain(front, drain_seconds))]

    async def one_by_one() -> list[Check]:
        # On one connection, and so at one worker of nginx, as a client without much to do.
        limits = httpx.Limits(max_connections=1)
        async with httpx.AsyncClient(base_url=front.url, timeout=PATIENCE, limits=limits, trust_env=False) as http:
            alone = front.on(http)
            found = [check for name, ask in _SHORT.items() if name in only for check in await told((name,), ask(alone))]
        front.requests += alone.requests
        return found

    async def alongside() -> list[Check]:
        found = await asyncio.gather(*(told((name,), ask(front)) for name, ask in _STREAMS.items() if name in only))
        return [check for checks in found for check in checks]

    async def crowd() -> list[Check]:
        wanted = [name for name in replicas.NAMES if name in only]
        return await told(wanted, replicas.replicas(front, wanted)) if wanted else []

    async def patience() -> list[Check]:
        if streams.PATIENCE not in only:
            return []
        return await told((streams.PATIENCE,), streams.patience(front, silence))

    waiting = asyncio.create_task(patience())
    try:
        found = [
            reached,
            opened,
            *(check for checks in await asyncio.gather(one_by_one(), alongside()) for check in checks),
        ]
        found += [check for check in await crowd() if check.name in only]
        found += await waiting
    finally:
        waiting.cancel()
    return sorted(found, key=lambda check: NAMES.index(check.name))


_SHORT: Final[dict[str, Question]] = {
    heads.REQUEST_ID: heads.request_id,
    heads.HEADERS: heads.headers,
    heads.CLIENT_ADDRESS: heads.client_address,
    door.METRICS: door.metrics,
    bodies.BODY_LIMIT: bodies.body_limit,
    bodies.WHOLE_BODY: steadily(bodies.whole_body),
    reuse.KEEP_ALIVE: reuse.keep_alive,
}

_STREAMS: Final[dict[str, Question]] = {
    streams.STREAM: steadily(streams.stream),
    streams.BUFFERING: steadily(streams.buffering),
    streams.COMPRESSION: streams.compression,
}


def _address(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL:
        raise BadAddress("This is no address.") from None
    if url.userinfo or url.query or url.path.rstrip("/") not in ("", "/v1"):
        raise BadAddress("The address is that of nginx alone, such as http://127.0.0.1:8088.")
    if url.scheme not in ("http", "https") or not url.host:
        raise BadAddress(f"{text!r} is no address such as http://127.0.0.1:8088.")
    return url.copy_with(path="/", fragment=None)
