"""What a stand-in tells of a request: in its log, and to whoever asks it with `!report`."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web


def headers_of(request: web.Request) -> dict[str, str]:
    """As they arrived, names in small letters."""
    return {name.lower(): value for name, value in request.headers.items()}


def bearer(request: web.Request) -> str | None:
    """The key, only from `Authorization: Bearer`."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme == "Bearer" and key.strip() else None


def content_of(content: bytes) -> Any:
    """The JSON that a body is, else its text."""
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        return content.decode(errors="replace")


def told(request: web.Request, content: bytes) -> dict[str, Any]:
    """A request for the log: how, where to, with which headers and body."""
    where = {"method": request.method, "path": request.raw_path}
    return {**where, "headers": headers_of(request), "body": content_of(content)}
