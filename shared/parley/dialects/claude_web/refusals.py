"""What an answer of claude.ai that is no success means (`upstreams/claude-web.md` sections 1.7 and 4).

An expired session, a challenge of the front proxy and a usage limit may share a status. They are told apart with care:
the first is the credential's end, the second says nothing about it, the third ends at a time that it names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from parley.clock import now
from parley.dialects.challenge import is_challenge, is_page
from parley.dialects.hints import retry_after
from parley.errors import (
    BadRequest,
    Challenged,
    ContextTooLong,
    CredentialRejected,
    Failure,
    ModelExhausted,
    ModelNotFound,
    QuotaExhausted,
    SessionLost,
    Throttled,
    UpstreamBroken,
    UpstreamMalformed,
    UpstreamOverloaded,
)

_LONGEST: Final = 300
_STATUS: Final = {
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "conversation_not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
    "invalid_request_error": 400,
}
"""What an error that came as a success should have had as its status."""
_TOO_LONG: Final = ("too long", "too large", "context window", "maximum length", "exceeds the maximum", "length limit")
_CALLERS: Final = ("prompt", "text", "content", "attachment", "message")
_PATHS: Final = ("/login", "/logout", "/signin", "/sign-in", "/auth")


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The Failure behind an answer. `headers` must be found whatever their case; `body` may be its beginning."""
    page = is_page(headers.get("content-type", ""), body)
    if is_challenge(headers, body if page else b"") or (page and status in (403, 503)):
        made: Failure = Challenged("The upstream shows a page that asks for a human.", retry_after=retry_after(headers))
    elif 300 <= status < 400:
        made = _elsewhere(headers.get("location", ""))
    elif page and status < 300:
        made = UpstreamMalformed("The upstream shows a page instead of an answer.")
    else:
        error = _error({} if page else _json(body))
        meant = _STATUS.get(error.kind, 500) if status < 300 else status
        made = _meaning(meant, error, retry_after(headers))
    made.upstream_status = status
    return made


def failure_said(error: Any) -> Failure:
    """The Failure behind an error event of a stream."""
    read = _error({"error": error})
    return _meaning(_STATUS.get(read.kind, 500), read, None)


class _Error(msgspec.Struct):
    """The parts of an error that mean something."""

    kind: str = ""
    message: str = ""
    code: str = ""

    def __str__(self) -> str:
        said = " ".join((self.message or self.kind).split())[:_LONGEST]
        return f"The upstream says: {said or 'nothing more'}"


def _meaning(status: int, error: _Error, wait: float | None) -> Failure:
    words = error.message.lower()
    if "organization has been disabled" in words or error.code == "organization_disabled":
        return CredentialRejected(f"The account is disabled, and nothing but its owner can change that. {error}")
    if error.code == "account_session_invalid" or status == 401:
        return CredentialRejected(f"The session has expired: its owner has to sign in anew. {error}")
    match status:
        case 429:
            return _limit(error, wait)
        case 413:
            return ContextTooLong(str(error), param="messages")
        case 400 | 422:
            return _wrong(error, words)
        case 403:
            return _model(error) if "model" in words else CredentialRejected(str(error))
        case 404:
            return _model(error) if "model" in words else SessionLost(str(error))
        case 503 | 529:
            return UpstreamOverloaded(str(error), retry_after=wait)
        case _:
            return UpstreamBroken(f"The upstream answered {status}. {error}")


def _limit(error: _Error, wait: float | None) -> Failure:
    """The message of a used-up quota is itself JSON; any other means that we were too quick."""
    told = _json(error.message.encode())
    over = told.get("resetsAt")
    left = over - now() if isinstance(over, int | float) and math.isfinite(over) else 0.0
    if left <= 0:
        said = "" if told else f" {error}"
        return Throttled(f"The upstream asks to slow down.{said}", retry_after=wait)
    if told.get("perModelLimit") is True:
        return ModelExhausted(
            "The usage limit of this model is reached.", retry_after=min(left, ModelExhausted.longest_rest)
        )
    claim = {"five_hour": "five hours", "seven_day": "seven days"}.get(str(told.get("representativeClaim")))
    return QuotaExhausted(
        f"The usage limit of {claim} is reached." if claim else "The usage limit is reached.",
        retry_after=min(left, QuotaExhausted.longest_rest),
    )


def _wrong(error: _Error, words: str) -> Failure:
    if any(sign in words for sign in _TOO_LONG):
        return ContextTooLong(str(error), param="messages")
    if "model" in words:
        return _model(error)
    if any(sign in words for sign in _CALLERS):
        return BadRequest(str(error), param="messages")
    # A wrong uuid, locale or field: the form of our request is no matter of the caller's.
    return UpstreamBroken(f"The upstream does not take a request of this form. {error}")


def _model(error: _Error) -> Failure:
    return ModelNotFound(f"This account does not have the model. {error}", param="model")


def _elsewhere(location: str) -> Failure:
    """A redirect where an answer should be: to the sign-in, or by a front that turns us away."""
    if urlsplit(location).path.lower().startswith(_PATHS):
        return CredentialRejected("The session has expired: the upstream wants somebody to sign in.")
    return Challenged("The upstream turns us away to another page.")


def _error(told: dict[str, Any]) -> _Error:
    error = told.get("error")
    if isinstance(error, str):
        return _Error(message=error)
    if not isinstance(error, dict):
        return _Error()
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    return _Error(str(error.get("type") or ""), str(error.get("message") or ""), str(code or ""))


def _json(body: bytes) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
