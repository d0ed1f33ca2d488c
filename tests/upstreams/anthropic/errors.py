"""The refusals of `anthropic.md` section 3, by name, as a fault or a rule may raise them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ..plan import Params, hints

INVALID = "invalid_request_error"
HTML = "<html>\r\n<head><title>502</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center></body></html>"

# name: status, type, message
NAMED: dict[str, tuple[int, str, str]] = {
    "invalid_request": (400, INVALID, "messages: at least one message is required"),
    "authentication": (401, "authentication_error", "invalid x-api-key"),
    "billing": (402, "billing_error", "Your account has a problem with its billing."),
    "permission": (403, "permission_error", "Your API key does not have permission to use the specified resource."),
    "forbidden": (403, "forbidden", "Request not allowed"),
    "not_found": (404, "not_found_error", "model: claude-nobody"),
    "conflict": (409, "conflict_error", "The resource was changed by somebody else."),
    "too_large": (413, "request_too_large", "Request exceeds the maximum size"),
    "rate_limit": (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    "spend_cap": (429, "rate_limit_error", "This request would exceed your organization's monthly tier."),
    "spend_limit": (400, INVALID, "The workspace has reached its limit."),
    "credit_balance": (
        400,
        INVALID,
        "Your credit balance is too low to access the Anthropic API. Please go to Billing.",
    ),
    "api_error": (500, "api_error", "Internal server error"),
    "html": (502, "", ""),
    "timeout": (504, "timeout_error", "The request timed out."),
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "context_too_long": (400, INVALID, "prompt is too long: 210000 tokens > 200000 maximum"),
    "context_limit": (400, INVALID, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
    "max_tokens_too_large": (
        400,
        INVALID,
        "max_tokens: 99999 > 8192, which is the maximum allowed number of output tokens for claude-demo",
    ),
    "content_filter": (400, INVALID, "Output blocked by content filtering policy"),
}
_CODES = {"spend_limit": "enforced_spend_limit_reached"}
_BARE = {"forbidden"}  # said by an edge, which has no envelope and no request id


class Refused(Exception):
    """The answer to this request is an error."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        error_code: str | None = None,
        headers: Mapping[str, str] | None = None,
        name: str = "",
    ):
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.error_code = error_code
        self.headers = dict(headers or {})
        self.name = name

    def content(self, request_id: str) -> tuple[str, bytes]:
        """Content type and body."""
        if self.name == "html":
            return "text/html", HTML.encode()
        details = {"error_code": self.error_code} if self.error_code else None
        error: Params = {"type": self.kind, "message": self.message}
        if self.name in _BARE:
            return "application/json", json.dumps({"error": error}).encode()
        body = {"type": "error", "error": {**error, "details": details}, "request_id": request_id}
        return "application/json", json.dumps(body, ensure_ascii=False).encode()


def invalid(message: str) -> Refused:
    """A request that is wrong."""
    return Refused(400, INVALID, message)


def refusal(name: str, params: Params) -> Refused:
    """The refusal of this name; `params` may replace any part of it."""
    status, kind, message = NAMED[name]
    return Refused(
        params.get("status", status),
        params.get("type", kind),
        params.get("message", message),
        error_code=params.get("error_code", _CODES.get(name)),
        headers=hints(params),
        name=name,
    )
