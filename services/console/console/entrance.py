"""Where every HTTP request comes in: it gets its id, is let in or refused, and has its line in the journal.

One pure ASGI layer around everything else, so that errors carry the same headers as answers, and so that nothing under
`/admin` is looked at before the key was: what does not exist looks the same as what does.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import Final
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.parts import Parts
from parley.clock import monotonic
from parley.envelope import told
from parley.errors import Failure, TooLarge, UnknownURL

API: Final = "/admin/api/v1"
DOCS: Final = frozenset({f"{API}/openapi.json", f"{API}/docs"})
"""Open to everybody where there is an admin API: a page cannot send a key, and there is nothing of this place in it."""
ADMIN: Final = "admin"
"""Who it was, in the journal and the audit: whoever has the key."""

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,128}")
_QUIET: Final = ("/health", "/metrics")
_LONGEST_PATH: Final = 200
_MEGABYTE: Final = 1024 * 1024


class Entrance:
    """Goes around the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in."""
        if scope["type"] != "http":
            await self._app(scope, receive, _without_traceback(send))
            return
        parts: Parts = scope["state"]["parts"]
        visit = Visit(parts, scope)
        try:
            await self._enter(visit, receive, visit.dressed(send))
        finally:
            visit.record()

    async def _enter(self, visit: Visit, receive: Receive, send: Send) -> None:
        scope = visit.scope
        try:
            await visit.sign_in()
        except Failure as failure:
            status, headers, body = told(failure)
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        if scope["method"] == "HEAD":  # GET without its body, which the server leaves out by itself
            scope = {**scope, "method": "GET"}
        await self._app(scope, _up_to(visit.parts.settings.max_body_mb, receive), send)


class Visit:
    """One request, from its arrival to its line in the journal."""

    def __init__(self, parts: Parts, scope: Scope) -> None:
        self.parts = parts
        self.scope = scope
        self._began = monotonic()
        self._status = 0
        self._who = ""
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        self._id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex.encode()
        self._client = parts.visitors.address(scope["headers"])
        scope["state"]["request_id"] = self._id.decode()
        scope["state"]["client"] = self._client

    async def sign_in(self) -> None:
        """Let in who may enter. Raises Failure."""
        path: str = self.scope["path"]
        if path != "/admin" and not path.startswith("/admin/"):
            return  # health and metrics, which the front does not pass on
        if not self.parts.sign_in.possible:
            raise UnknownURL(f"Invalid URL ({self.scope['method']} {path}).")
        if path not in DOCS:
            await self.parts.sign_in.admit(self.scope["headers"], self._client)
            self._who = ADMIN

    def dressed(self, send: Send) -> Send:
        """Every answer has the request's id, and is kept by no cache."""

        def sent(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                self._status = message["status"]
                added = [(b"x-request-id", self._id), (b"cache-control", b"no-store")]
                message["headers"] = [*message["headers"], *added]
            return send(message)

        return sent

    def record(self) -> None:
        """Write the line. What comes every few seconds is heard when it fails."""
        status, path = self._status, self.scope["path"]
        if 0 < status < 400 and path.startswith(_QUIET):
            return
        seconds = monotonic() - self._began
        self.parts.figures.answered(self.scope["method"], status)
        self.parts.journal.write(
            {
                "event": "admin",
                "request_id": self._id.decode(),
                "outcome": "done" if 0 < status < 400 else "refused" if 0 < status < 500 else "failed",
                "status": status,
                "client": self._client,
                "who": self._who,
                "method": self.scope["method"],
                "path": path[:_LONGEST_PATH],
                "ms": round(seconds * 1000, 2),
            }
        )


def _up_to(megabytes: int, receive: Receive) -> Receive:
    """A body is read up to its limit; what is beyond raises TooLarge."""
    size = 0

    async def received() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > megabytes * _MEGABYTE:
            raise TooLarge(f"The request is larger than {megabytes} MB, which is the limit here (MAX_BODY_MB).")
        return message

    return received


def _without_traceback(send: Send) -> Send:
    """A start that failed was logged by itself; the framework's traceback would quote what the error was told."""

    def sent(message: Message) -> Awaitable[None]:
        if message["type"] in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            message = {"type": message["type"], "message": "See above for the reason."}
        return send(message)

    return sent
