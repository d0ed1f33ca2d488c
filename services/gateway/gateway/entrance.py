"""Where every HTTP request comes in: it gets its id, its CORS headers, and its line in the journal.

One pure ASGI layer around everything else, so that errors carry the same headers as answers.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from typing import Final
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.parts import Parts
from gateway.wire import ratelimit
from parley.clock import monotonic
from parley.envelope import Headers

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,128}")
_HEADER_LIST: Final = re.compile(rb"[A-Za-z0-9_-]+(?:\s*,\s*[A-Za-z0-9_-]+)*")
_EXPOSED: Final = (
    b"x-request-id, x-parley-attempts, x-parley-upstream, x-parley-usage, retry-after, retry-after-ms, x-should-retry, "
    + b", ".join(ratelimit.NAMES)
)
_LONGEST_PATH: Final = 200


class Entrance:
    """Goes around the application."""

    def __init__(self, app: ASGIApp, shortcut: tuple[str, ASGIApp], origins: Sequence[str]) -> None:
        self._app = app
        # One POST address skips the framework, whose layers cost 40 us a request and 2 us a chunk.
        self._path, self._endpoint = shortcut
        self._anybody = "*" in origins
        self._origins = frozenset(origin.rstrip("/").encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in."""
        if scope["type"] != "http":
            await self._app(scope, receive, _without_traceback(send))
            return
        given = _headers(scope, b"x-request-id", b"origin", b"access-control-request-method")
        request_id = given.get(b"x-request-id", b"")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = uuid4().hex.encode()
        added: Headers = [(b"x-request-id", request_id)]
        if origin := given.get(b"origin"):
            added += self._cors(origin)
        state = scope["state"]
        state["request_id"] = request_id.decode()
        status = 0

        def dressed(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *added]
            return send(message)

        method = scope["method"]
        if method == "OPTIONS" and origin and b"access-control-request-method" in given:
            await self._preflight(scope, dressed, allowed=len(added) > 1)
            return
        app = self._endpoint if method == "POST" and scope["path"] == self._path else self._app
        if method == "HEAD":  # GET without its body, which the server leaves out by itself
            scope = {**scope, "method": "GET"}
        began = monotonic()
        try:
            await app(scope, receive, dressed)
        finally:
            if "recorded" not in state:
                _record(scope, method, status, monotonic() - began)

    def _cors(self, origin: bytes) -> Headers:
        if self._anybody:
            allowed = [(b"access-control-allow-origin", b"*")]
        elif origin in self._origins:
            allowed = [(b"access-control-allow-origin", origin), (b"vary", b"origin")]
        else:
            return []
        return [*allowed, (b"access-control-expose-headers", _EXPOSED)]

    @staticmethod
    async def _preflight(scope: Scope, send: Send, *, allowed: bool) -> None:
        headers: Headers = []
        if allowed:
            wanted = _headers(scope, b"access-control-request-headers").get(b"access-control-request-headers", b"")
            headers = [
                (b"access-control-allow-methods", b"GET, HEAD, POST, OPTIONS"),
                # What is asked for is allowed: clients bring x-stainless-* headers of ever new names.
                (b"access-control-allow-headers", wanted if _HEADER_LIST.fullmatch(wanted.strip()) else b"*"),
                (b"access-control-max-age", b"600"),
            ]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _without_traceback(send: Send) -> Send:
    """A start that failed was logged by itself; the framework's traceback would quote what the error was told."""

    def told(message: Message) -> Awaitable[None]:
        if message["type"] in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            message = {"type": message["type"], "message": "See above for the reason."}
        return send(message)

    return told


def _headers(scope: Scope, *names: bytes) -> dict[bytes, bytes]:
    return {name: value for name, value in scope["headers"] if name in names}


def _record(scope: Scope, method: str, status: int, seconds: float) -> None:
    """The line of a request that had no tally. What comes every few seconds is heard when it fails."""
    path: str = scope["path"]
    if status < 400 and path.startswith(("/health", "/metrics")):
        return
    parts: Parts = scope["state"]["parts"]
    parts.journal.write(
        {
            "event": "page",
            "request_id": scope["state"]["request_id"],
            "outcome": "done" if 0 < status < 400 else "refused" if 0 < status < 500 else "failed",
            "status": status,
            "client": parts.visitors.address(scope["headers"]),
            "method": method,
            "path": path[:_LONGEST_PATH],
            "ms": round(seconds * 1000, 2),
        }
    )
