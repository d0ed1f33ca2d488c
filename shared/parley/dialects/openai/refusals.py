"""What services that speak OpenAI's API say when they refuse (`upstreams/openai.md`, `huggingface.md`, sections 3).

A text of the upstream reaches a caller only where the caller can act on it, bounded and without the credential's own
parts; what concerns the operator's credential is said in our words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from parley.dialects.challenge import is_challenge, is_page
from parley.dialects.hints import retry_after
from parley.errors import (
    BadRequest,
    Challenged,
    ContextTooLong,
    CredentialRejected,
    Failure,
    ModelNotFound,
    QuotaExhausted,
    Throttled,
    TooLarge,
    UpstreamBroken,
    UpstreamOverloaded,
    UpstreamStalled,
)

_LONGEST_TEXT: Final = 500
_QUOTA: Final = frozenset({"insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"})
_NO_MODEL: Final = frozenset({"model_not_found", "model_not_supported"})
_BUSY: Final = frozenset({503, 529})


def failure_of(status: int, headers: Mapping[str, str], body: bytes, *, hide: tuple[str, ...] = ()) -> Failure:
    """The failure that an HTTP answer other than 200 says. `hide`: texts that must not be repeated."""
    if is_page(headers.get("content-type", ""), body):
        if is_challenge(headers, body):
            return Challenged("The upstream shows a page for humans.", upstream_status=status)
        return _by_status(status, "", {}, headers)
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = body.decode("utf-8", "replace")
    return _failure(status, said, headers, hide)


def failure_said(said: Any, *, hide: tuple[str, ...] = ()) -> Failure:
    """The failure that an error object says which came with status 200 or inside a stream."""
    return _failure(None, said, {}, hide)


def _failure(status: int | None, said: Any, headers: Mapping[str, str], hide: tuple[str, ...]) -> Failure:
    error = said.get("error", said) if isinstance(said, dict) else said
    facts: dict[str, Any] = error if isinstance(error, dict) else {}
    text = _text(error, said)
    for secret in hide:
        if len(secret) > 3:
            text = text.replace(secret, "...")
    text = text[:_LONGEST_TEXT]
    outer = said if isinstance(said, dict) else {}
    if status is None:
        status = _status_meant(facts, outer)
    if isinstance(outer.get("estimated_time"), int | float):
        headers = {**headers, "retry-after": str(math.ceil(outer["estimated_time"]))}
    return _by_status(status, text, facts, headers)


def _text(error: Any, said: Any) -> str:
    """The sentence, wherever a service puts it."""
    for source in (error, said):
        if isinstance(source, str):
            return source
        if isinstance(source, dict):
            for name in ("message", "detail", "error"):
                found = source.get(name)
                if isinstance(found, str):
                    return found
                if isinstance(found, list):
                    return "; ".join(str(item.get("msg", item) if isinstance(item, dict) else item) for item in found)
    return ""


def _status_meant(facts: Mapping[str, Any], outer: Mapping[str, Any]) -> int:
    """The status that an error without one would have had, by its code and type."""
    code, kind = facts.get("code"), facts.get("type") or outer.get("error_type")
    if isinstance(code, int) and 400 <= code < 600:
        return code
    if code in _QUOTA or kind in _QUOTA or code == "rate_limit_exceeded" or kind in ("requests", "tokens"):
        return 429
    if code in _NO_MODEL:
        return 404
    if code == "invalid_api_key" or kind == "authentication_error":
        return 401
    if kind in ("invalid_request_error", "validation"):
        return 400
    return 503 if kind in ("overloaded", "overloaded_error", "service_unavailable_error") else 500


def _by_status(status: int, text: str, facts: Mapping[str, Any], headers: Mapping[str, str]) -> Failure:
    code, kind = facts.get("code"), facts.get("type")
    param = facts.get("param") if isinstance(facts.get("param"), str) else None
    wait = _wait(headers)
    if status in (401, 403):
        return CredentialRejected("The upstream refuses the operator's credential.", upstream_status=status)
    if status == 402 or code in _QUOTA or kind in _QUOTA:
        return QuotaExhausted("The upstream's quota is used up.", retry_after=wait, upstream_status=status)
    if status == 429:
        return Throttled("The upstream's rate limit is reached.", retry_after=wait, upstream_status=status)
    if code in _NO_MODEL or status == 404:
        return ModelNotFound(text or "The upstream does not have this model.", param="model", upstream_status=status)
    if status == 413:
        return TooLarge(text or "The request is too large for the upstream.", upstream_status=status)
    if code == "context_length_exceeded" or (status in (400, 422) and "maximum context length" in text):
        return ContextTooLong(text, param=param or "messages", upstream_status=status)
    if 400 <= status < 500 and status not in (408, 409, 424, 425):
        said = str(code) if isinstance(code, str) else None
        return BadRequest(text or "The upstream refused the request.", param=param, code=said, upstream_status=status)
    if status in _BUSY:
        return UpstreamOverloaded("The upstream is overloaded.", retry_after=wait, upstream_status=status)
    if status in (408, 504, 524):
        return UpstreamStalled("The upstream did not answer in time.", upstream_status=status)
    return UpstreamBroken("The upstream failed.", retry_after=wait, upstream_status=status)


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from the finer of the two headers."""
    try:
        fine = float(headers.get("retry-after-ms", "")) / 1000
    except ValueError:
        return retry_after(headers)
    return fine if math.isfinite(fine) and fine >= 0 else retry_after(headers)
