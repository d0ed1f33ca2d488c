"""Whether connections are used again: those of nginx to the gateways, and ours to nginx."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from parley.doctor.front import Front, Seen
from parley.doctor.reflection import Reflection
from parley.doctor.report import Check, fault, ok

KEEP_ALIVE: Final = "keep-alive"

_FEWEST: Final = 0.1
"""The share of requests on a connection that was there before; less means that it was chance."""


async def keep_alive(front: Front) -> Check:
    """Ask one after the other, on one connection: of nginx' workers, each has connections of its own."""
    first = await front.mirror()
    asks = min(max(12, 4 * len(first.reflection.replicas)), 40)
    seen = [first, *[await front.mirror() for _ in range(asks - 1)]]
    # nginx must not pass on what a client says about his own connection.
    ended = (await front.mirror(headers={"connection": "close"})).reflection
    return judge_keep_alive([one.reflection for one in seen], ended, _closed(seen))


def judge_keep_alive(seen: Sequence[Reflection], ended: Reflection, closed: int) -> Check:
    """`ended` was asked on a connection for one request; `closed` of the answers said that ours ends."""
    setting = "proxy_set_header Connection"
    peers = {(one.replica, one.peer) for one in seen}
    again = len(seen) - len(peers)
    share = again / max(1, len(seen) - len({one.replica for one in seen}))
    if any(one.http_version == "1.0" for one in seen):
        return fault(
            KEEP_ALIVE,
            "nginx speaks HTTP/1.0 to the gateways: each request has a connection of its own, and no stream an end.",
            "proxy_http_version",
            "proxy_http_version 1.1;",
            reused=again,
        )
    if any("close" in one.values.get("connection", "") for one in seen):
        return fault(
            KEEP_ALIVE,
            "nginx tells the gateways to close the connection after each request.",
            setting,
            f'{setting} "";',
            reused=again,
        )
    if "close" in ended.values.get("connection", ""):
        return fault(
            KEEP_ALIVE,
            "What a client says about his connection is passed on: one that closes his closes nginx' own too.",
            setting,
            f'{setting} "";',
            reused=again,
        )
    if share < _FEWEST:
        return fault(
            KEEP_ALIVE,
            f"nginx opens a connection to a gateway for each request: of {len(seen)}, {again} used one again.",
            "keepalive",
            "keepalive 256;   # in upstream gateways",
            reused=again,
        )
    if closed > 1:
        return fault(
            KEEP_ALIVE,
            "nginx closes a client's connection after a request.",
            "keepalive_timeout",
            "keepalive_timeout 75s;   # in the server",
            closed=closed,
        )
    return ok(KEEP_ALIVE, f"Connections are used again: {again} of {len(seen)} requests opened none.", reused=again)


def _closed(seen: Sequence[Seen]) -> int:
    return sum("close" in one.headers.get("connection", "").lower() for one in seen)
