"""What the API says when it refuses (`upstreams/anthropic.md` section 3), before an answer or in the midst of one.

A text of the upstream reaches a caller only where the caller can act on it, and bounded; what concerns the operator's
credential is said in our words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

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
    FirstTokenTimeout,
    ModelNotFound,
    QuotaExhausted,
    Throttled,
    TooLarge,
    UpstreamBroken,
    UpstreamOverloaded,
    UpstreamStalled,
)

SAMPLING: Final = frozenset({"temperature", "top_p", "top_k"})
_LONGEST_TEXT: Final = 500
_STATUS: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_SPENT: Final = re.compile(r"credit balance is too low|spend(ing)? limit|usage limits?\b", re.IGNORECASE)
_TOO_LONG: Final = re.compile(r"prompt is too long|input length and .{0,3}max_tokens.{0,3} exceed", re.IGNORECASE)
_MISSING: Final = re.compile(r"(?P<param>[\w.]+): Field required", re.IGNORECASE)
_UNKNOWN: Final = re.compile(r"(?P<param>[\w.]+): Extra inputs are not permitted", re.IGNORECASE)
_SAMPLING: Final = re.compile(r"[`'\"]?\b(?P<param>temperature|top_p|top_k)\b", re.IGNORECASE)
_PLACE: Final = re.compile(r"(?P<param>[a-z_]+(?:\.\w+)*): ")
_FILTERED: Final = re.compile(r"output blocked by content filtering policy", re.IGNORECASE)
_OURS: Final = {
    "stop_sequences": "stop",
    "system": "messages",
    "metadata": "user",
    "thinking": "reasoning_effort",
    "output_config": "response_format",
}
"""What callers call the fields, where that is something else. Of what is below a field they know nothing."""
_THEIRS: Final = frozenset({"messages", "tools", "tool_choice", "model", "max_tokens", *SAMPLING})


def failure_of(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure that an HTTP answer other than 200 says. `headers` must be found whatever their case."""
    if is_page(headers.get("content-type", ""), body):
        if is_challenge(headers, body):
            wait = retry_after(headers)
            return Challenged("The upstream shows a page for humans.", retry_after=wait, upstream_status=status)
        return _meant(status, _Said(wait=_wait(headers)))
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = None
    return _meant(status, _said(said, _wait(headers)))


def failure_said(said: Any) -> Failure:
    """The failure that an error object says inside a stream; the answer's status was 200."""
    facts = _said(said, None)
    meant = _STATUS.get(facts.kind, 500)
    if meant == 504:
        return UpstreamStalled("The upstream did not finish in time.", upstream_status=200)
    # Inside a stream nobody says when to come back; so there its silence does not mean that a budget is spent.
    failure = _meant(meant, facts._replace(wait=0.0 if meant == 429 else None))
    failure.upstream_status, failure.retry_after = 200, None
    return failure


class _Said(NamedTuple):
    """What a refusal says."""

    kind: str = ""
    text: str = ""
    detail: str = ""
    wait: float | None = None


def _said(said: Any, wait: float | None) -> _Said:
    outer: dict[str, Any] = said if isinstance(said, dict) else {}
    error = outer.get("error")
    if isinstance(error, str):
        return _Said(text=error[:_LONGEST_TEXT], wait=wait)
    inner: dict[str, Any] = error if isinstance(error, dict) else outer
    details = inner.get("details")
    detail = details.get("error_code") if isinstance(details, dict) else None
    words = [value if isinstance(value, str) else "" for value in (inner.get("type"), inner.get("message"), detail)]
    return _Said(words[0], words[1][:_LONGEST_TEXT], words[2], wait)


def _meant(status: int, said: _Said) -> Failure:
    kind, text, wait = said.kind, said.text, said.wait
    if status == 402 or "spend_limit" in said.detail or (status in (400, 403, 429) and _SPENT.search(text)):
        return QuotaExhausted("The upstream's quota is used up.", retry_after=wait, upstream_status=status)
    if status in (401, 403):
        return CredentialRejected("The upstream refuses the operator's credential.", upstream_status=status)
    if status == 429:
        if kind == "rate_limit_error" and wait is None:  # a monthly cap says nothing of when to come back
            return QuotaExhausted("The upstream's quota is used up.", upstream_status=status)
        return Throttled("The upstream's rate limit is reached.", retry_after=wait, upstream_status=status)
    if kind == "not_found_error":
        return ModelNotFound(text or "The upstream does not have this model.", param="model", upstream_status=status)
    if status == 413:
        return TooLarge(text or "The request is too large for the upstream.", upstream_status=status)
    if status == 400 or kind == "invalid_request_error":
        return _wrong(status, text)
    if status in (503, 529):
        return UpstreamOverloaded("The upstream is overloaded.", retry_after=wait, upstream_status=status)
    if status in (408, 504, 524):
        return FirstTokenTimeout("The upstream did not answer in time.", upstream_status=status)
    if 300 <= status < 400:
        return UpstreamBroken("The upstream sends us elsewhere, and we do not go there.", upstream_status=status)
    return UpstreamBroken("The upstream failed.", retry_after=wait, upstream_status=status)


def _wrong(status: int, text: str) -> Failure:
    """What a caller did wrong, by the sentence: the API has no codes."""
    if _TOO_LONG.search(text):
        return ContextTooLong(text, param="messages", upstream_status=status)
    if _FILTERED.search(text):
        return BadRequest(text, code="content_filter", upstream_status=status)
    code, found = "invalid_value", _PLACE.match(text)
    for name, pattern in (("missing_required_parameter", _MISSING), ("unknown_parameter", _UNKNOWN)):
        if at := pattern.match(text):
            code, found = name, at
    found = found or _SAMPLING.match(text)
    param = _ours(found["param"]) if found else None
    words = text or "The upstream refused the request."
    return BadRequest(words, param=param, code=code if param else None, upstream_status=status)


def _ours(param: str) -> str | None:
    head, _, rest = param.partition(".")
    if head in _OURS:
        return _OURS[head]
    if head in _THEIRS or not rest:
        return head
    return None


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, by the finest of what was said about it."""
    try:
        fine = float(headers.get("retry-after-ms", "")) / 1000
    except ValueError:
        fine = -1.0
    if fine >= 0 and math.isfinite(fine):
        return fine
    if (wait := retry_after(headers)) is not None:
        return wait
    waits = [
        wait
        for name in ("requests", "tokens", "input-tokens", "output-tokens")
        if headers.get(f"anthropic-ratelimit-{name}-remaining", "").strip() == "0"
        and (wait := _until(headers.get(f"anthropic-ratelimit-{name}-reset", ""))) is not None
    ]
    return max(waits, default=None)


def _until(text: str) -> float | None:
    """Seconds until a moment, written as RFC 3339 does."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return max(moment.timestamp() - now(), 0.0) if moment.tzinfo else None
