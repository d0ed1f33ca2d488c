"""Answers that are no answers, in the shapes that the page was seen to get (`upstreams/claude-web.md` 1.7)."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

from ..cloudflare import challenge, gateway
from ..plan import Page, Params

JSON = "application/json"


def error(status: int, kind: str, message: str, **details: Any) -> Page:
    """An error in the service's envelope."""
    inner = {"type": kind, "message": message, **({"details": details} if details else {})}
    return Page(status, JSON, json.dumps({"type": "error", "error": inner, "request_id": None}))


def session_invalid(status: int = 403) -> Page:
    """The session key is not known, or is over."""
    return error(
        status,
        "permission_error",
        "Invalid authorization",
        error_visibility="user_facing",
        error_code="account_session_invalid",
    )


def quota(params: Params) -> Page:
    """The window's quota is used up; the message is a JSON text."""
    left = params.get("resets_in", 3600)
    told = {
        "type": "exceeded_limit",
        "resetsAt": None if left is None else int(time.time() + left),
        "remaining": None,
        "perModelLimit": params.get("per_model", False),
        "representativeClaim": params.get("claim", "five_hour"),
    }
    return error(429, "rate_limit_error", json.dumps(told))


def throttle(params: Params) -> Page:
    """Not so fast, with or without a Retry-After."""
    made = error(429, "rate_limit_error", "This request would exceed your account's rate limit. Please slow down.")
    wait = params.get("retry_after")
    if wait == "date":
        wait = formatdate(time.time() + 7, usegmt=True)
    return made if wait is None else made.changed({"retry_after": wait})


def refused(name: str, params: Params) -> Page | None:
    """The page of a fault of this name; None when the fault is of another kind."""
    status = params.get("status")
    match name:
        case "session_invalid":
            return session_invalid(status or 403)
        case "authentication_error":
            return error(401, "authentication_error", "Authentication failed")
        case "redirect_login":
            return Page(307, "", "", {"Location": params.get("location", "/login?returnTo=%2Fchats")})
        case "org_disabled":
            return error(status or 400, "invalid_request_error", "This organization has been disabled.")
        case "cloudflare_403" | "cloudflare_503" | "cloudflare_200":
            return challenge(int(name[-3:]))
        case "quota":
            return quota(params)
        case "throttle":
            return throttle(params)
        case "concurrents":
            return quota({"resets_in": None, "claim": "concurrents"})
        case "raw":
            return Page(status or 200, params.get("content_type", JSON), params.get("text", ""))
    made = _PLAIN.get(name)
    return None if made is None else error(*made) if isinstance(made, tuple) else made


_PLAIN: dict[str, tuple[int, str, str] | Page] = {
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "server_error": (500, "api_error", "Internal server error"),
    "bad_gateway_html": gateway(502),
    "too_large": (413, "request_too_large", "Request exceeds the maximum size"),
    "not_found": (404, "not_found_error", "Conversation not found"),
    "no_model": (400, "invalid_request_error", "Invalid model"),
    "too_long": (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum for the model"),
    "bad_locale": (400, "invalid_request_error", "locale: Input should be 'en-US', 'de-DE' or 'fr-FR'"),
    "no_permission": (403, "permission_error", "You do not have access to this resource"),
}
REFUSALS = (
    "session_invalid",
    "authentication_error",
    "redirect_login",
    "org_disabled",
    "cloudflare_403",
    "cloudflare_503",
    "cloudflare_200",
    "quota",
    "throttle",
    "concurrents",
    "raw",
    *_PLAIN,
)
