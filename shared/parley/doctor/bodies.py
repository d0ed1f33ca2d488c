"""What nginx makes of a request's body: how large it may be, and that a gateway gets it whole.

The limit is found without sending a body: with `Expect: 100-continue` (RFC 9110, 10.1.1) nginx says from the length
alone whether it would take it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from parley.clock import sleep
from parley.doctor.front import CannotTell, Front, Refused, refusal
from parley.doctor.reflection import PATH
from parley.doctor.report import Check, fault, ok

BODY_LIMIT: Final = "body-limit"
WHOLE_BODY: Final = "whole-body"

MB: Final = 2**20
_ANSWER_WITHIN: Final = 5.0
_SIZE: Final = 300_000
"""More than nginx keeps in memory (client_body_buffer_size), so that it must write it down."""
_PAUSE: Final = 0.3

Knock = Callable[[int], Awaitable[Refused | None]]
"""Asks whether a body of so many bytes may come: None, or the refusal."""


async def body_limit(front: Front) -> Check:
    """Whether nginx takes what the gateway takes, and no more."""
    limit = (await front.mirror()).reflection.max_body_mb

    async def knock(size: int) -> Refused | None:
        front.requests += 1
        return await _knock(front, size)

    return await judge_body_limit(limit, knock)


async def judge_body_limit(limit: int, knock: Knock) -> Check:
    """`limit` is the gateway's MAX_BODY_MB."""
    directive, remedy = "client_max_body_size", f"client_max_body_size {limit}m;   # MAX_BODY_MB"
    if refused := await knock(limit * MB):
        if refused.status != 413:
            raise refused
        taken = await _most(limit, knock)
        return fault(
            BODY_LIMIT,
            f"The gateway takes {limit} MB, and nginx only {taken or 'less than 1'}.",
            directive,
            remedy,
            limit_mb=limit,
            taken_mb=taken,
        )
    refused = await knock(limit * MB + 1)
    if refused is None:
        return fault(
            BODY_LIMIT,
            f"nginx takes more than the {limit} MB that the gateway takes: all of it travels before it is refused.",
            directive,
            remedy,
            limit_mb=limit,
        )
    if refused.status == 413 and refused.code != "request_too_large":
        return fault(
            BODY_LIMIT,
            "A body that is too large is refused, but not in the envelope that clients can read.",
            "error_page",
            "error_page 400 404 405 413 500 501 503 @refusal;",
        )
    return ok(BODY_LIMIT, f"A request may have {limit} MB, and not a byte more.", limit_mb=limit)


async def whole_body(front: Front) -> Check:
    """Whether a body that comes slowly reaches the gateway at once and whole, so that another could be asked too."""

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x" * (_SIZE // 2)
        await sleep(_PAUSE)
        yield b"x" * (_SIZE - _SIZE // 2)

    try:
        seen = await front.mirror("POST", headers={"content-length": str(_SIZE)}, content=slowly())
    except Refused as refused:
        return fault(
            WHOLE_BODY,
            f"A body of {_SIZE // 1000} kB is refused with {refused.status}.",
            "client_body_temp_path",
            "client_body_temp_path must be a folder that nginx may write, with room for bodies.",
        )
    return judge_whole_body(seen.reflection.body_bytes, seen.reflection.body_seconds)


def judge_whole_body(size: int, seconds: float) -> Check:
    """A gateway got `size` bytes in `seconds`."""
    took = round(seconds * 1000, 1)
    if size != _SIZE:
        return fault(WHOLE_BODY, f"Of {_SIZE} bytes {size} arrived.", "client_body_temp_path", body_bytes=size)
    if seconds > _PAUSE / 2:
        return fault(
            WHOLE_BODY,
            "nginx passes a body on while it comes: a slow client occupies a gateway, and what was sent cannot be sent "
            "again to another one.",
            "proxy_request_buffering",
            "proxy_request_buffering on;",
            body_ms=took,
        )
    return ok(WHOLE_BODY, "A request reaches the gateway when it is whole.", body_ms=took)


async def _most(limit: int, knock: Knock) -> int:
    """The most whole MB that are taken; 0 when 1 is refused."""
    taken, refused = 0, limit
    while refused - taken > 1:
        size = (taken + refused) // 2
        if await knock(size * MB):
            refused = size
        else:
            taken = size
    return taken


async def _knock(front: Front, size: int) -> Refused | None:
    """Announce a body and wait for what is said to that. Raises CannotTell."""
    url = front.url
    tls = ssl.create_default_context() if url.scheme == "https" else None
    lines = [
        f"POST {PATH} HTTP/1.1",
        f"Host: {url.netloc.decode()}",
        *(f"{name}: {value}" for name, value in front.authorization.items()),
        f"Content-Length: {size}",
        "Expect: 100-continue",
        "",
        "",
    ]
    try:
        async with asyncio.timeout(_ANSWER_WITHIN):
            reader, writer = await asyncio.open_connection(url.host, url.port or (443 if tls else 80), ssl=tls)
            with contextlib.closing(writer):
                writer.write("\r\n".join(lines).encode())
                head = await reader.readuntil(b"\r\n\r\n")
                status = int(head.split(b" ", 2)[1])
                return None if status == 100 else refusal(status, await _body(reader, head))
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError, IndexError) as problem:
        raise CannotTell(f"Nothing was said to a body of {size} bytes: {problem or type(problem).__name__}.") from None


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return await reader.readexactly(min(int(line.partition(b":")[2]), MB))
    return b""
