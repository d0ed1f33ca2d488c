"""A request refused, in OpenAI's envelope or in one of the shapes that other services use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

Shape = Literal["openai", "string", "detail", "message", "numbered", "bare", "text", "html", "empty"]

HTML = """<!DOCTYPE html>
<html><head><title>{status}</title></head>
<body><center><h1>{status} Bad gateway</h1></center><hr><center>edge</center></body></html>
"""


class Refused(Exception):
    """The answer to this request is an error."""

    def __init__(
        self,
        status: int,
        message: str,
        type: str = "invalid_request_error",  # noqa: A002 - the envelope's own word
        code: str | None = None,
        param: str | None = None,
        *,
        shape: Shape = "openai",
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ):
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.shape = shape
        self.headers = dict(headers or {})
        self.more = dict(more or {})

    def error(self) -> dict[str, Any]:
        """The value of the envelope's `error`."""
        return {"message": self.message, "type": self.type, "param": self.param, "code": self.code}

    def content(self) -> tuple[str, bytes]:
        """Content type and body."""
        match self.shape:
            case "openai":
                return _json({"error": self.error(), **self.more})
            case "string":
                return _json({"error": self.message, **self.more})
            case "detail":
                return _json({"detail": self.message, **self.more})
            case "message":
                return _json({"message": self.message, **self.more})
            case "numbered":
                return _json({"error": {"message": self.message, "code": self.status, **self.more}})
            case "bare":
                return _json(self.message)
            case "text":
                return "text/plain; charset=utf-8", self.message.encode()
            case "html":
                return "text/html; charset=utf-8", HTML.format(status=self.status).encode()
            case "empty":
                return "application/json", b""


def _json(value: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(value, ensure_ascii=False).encode()
