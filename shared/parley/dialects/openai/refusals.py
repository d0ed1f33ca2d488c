"""What services that speak OpenAI's API say when they refuse (`upstreams/openai.md`, `huggingface.md`, sections 3).

A text of the upstream reaches a caller only where the caller can act on it, and bounded; what concerns the operator's
credential is said in our words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
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
_LONGEST_WORD: Final = 100
_QUOTA: Final = frozenset({"insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"})
_NO_MODEL: Final = frozenset({"model_not_found", "model_not_supported"})
_BUSY: Final = frozenset({503, 529})
_NOT_THE_CALLERS: Final = frozenset({408, 409, 424, 425})
_LONGEST_WAIT: Final = 365 * 86400
_RESET: Final = re.compile(r";\s*t=(\d{1,7})(?:\D|$)")


def failure_of(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure that an HTTP answer other than 200 says. `headers` must be found whatever their case."""
    if is_page(headers.get("content-type", ""), body):
        if is_challenge(headers, body):
            wait = retry_after(headers)
            return Challenged("The upstream shows a page for humans.", retry_after=wait, upstream_status=status)
        return _by_status(status, _Facts(wait=_wait(headers, {})))
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = body.decode("utf-8", "replace")
    return _failure(status, said, headers)


def failure_said(said: Any) -> Failure:
    """The failure that an error object says which came with status 200 or inside a stream."""
    return _failure(None, said, {})


def _failure(status: int | None, said: Any, headers: Mapping[str, str]) -> Failure:
    outer: dict[str, Any] = said if isinstance(said, dict) else {}
    error = outer.get("error") or said
    inner: dict[str, Any] = error if isinstance(error, dict) else {}
    facts = _Facts(
        code=_word(inner.get("code")),
        kind=_word(inner.get("type")) or _word(outer.get("error_type")),
        param=_word(inner.get("param")),
        text=_text(error, outer)[:_LONGEST_TEXT],
        wait=_wait(headers, outer),
    )
    return _by_status(_status_meant(facts) if status is None else status, facts)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a refusal says, wherever a service puts it."""

    code: str = ""
    kind: str = ""
    param: str = ""
    text: str = ""
    wait: float | None = None


def _word(value: Any) -> str:
    return str(value)[:_LONGEST_WORD] if isinstance(value, str | int) else ""


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


def _status_meant(facts: _Facts) -> int:
    """The status that an error without one would have had, by its code and type."""
    code, kind = facts.code, facts.kind
    if code.isdigit() and 400 <= int(code) < 600:
        return int(code)
    if {code, kind} & _QUOTA or code == "rate_limit_exceeded" or kind in ("requests", "tokens"):
        return 429
    if code in _NO_MODEL:
        return 404
    if code == "invalid_api_key" or kind == "authentication_error":
        return 401
    if kind in ("invalid_request_error", "validation"):
        return 400
    return 503 if kind in ("overloaded", "overloaded_error", "service_unavailable_error") else 500


def _by_status(status: int, facts: _Facts) -> Failure:
    code, text, wait = facts.code, facts.text, facts.wait
    if status in (401, 403):
        return CredentialRejected("The upstream refuses the operator's credential.", upstream_status=status)
    if status == 402 or {code, facts.kind} & _QUOTA:
        return QuotaExhausted("The upstream's quota is used up.", retry_after=wait, upstream_status=status)
    if status == 429:
        return Throttled("The upstream's rate limit is reached.", retry_after=wait, upstream_status=status)
    if code in _NO_MODEL or status == 404:
        return ModelNotFound(text or "The upstream does not have this model.", param="model", upstream_status=status)
    if status == 413:
        return TooLarge(text or "The request is too large for the upstream.", upstream_status=status)
    if code == "context_length_exceeded" or (status in (400, 422) and "maximum context length" in text):
        return ContextTooLong(
            text or "The conversation is too long for the model.",
            param=facts.param or "messages",
            upstream_status=status,
        )
    if 400 <= status < 500 and status not in _NOT_THE_CALLERS:
        return BadRequest(
            text or "The upstream refused the request.",
            param=facts.param or None,
            code=code or None,
            upstream_status=status,
        )
    if status in _BUSY:
        return UpstreamOverloaded("The upstream is overloaded.", retry_after=wait, upstream_status=status)
    if status in (408, 504, 524):
        return UpstreamStalled("The upstream did not answer in time.", upstream_status=status)
    if 300 <= status < 400:
        return UpstreamBroken("The upstream sends us elsewhere, and we do not go there.", upstream_status=status)
    return UpstreamBroken("The upstream failed.", retry_after=wait, upstream_status=status)


def _wait(headers: Mapping[str, str], said: Mapping[str, Any]) -> float | None:
    """Seconds to wait, by the finest of what was said about it."""
    loading = said.get("estimated_time")
    if isinstance(loading, int | float) and 0 <= loading < _LONGEST_WAIT:
        return float(math.ceil(loading))
    try:
        fine = float(headers.get("retry-after-ms", "")) / 1000
    except ValueError:
        fine = -1.0
    if 0 <= fine < _LONGEST_WAIT:
        return fine
    if (wait := retry_after(headers)) is not None:
        return wait
    # Hugging Face's own: RateLimit: "api";r=0;t=55
    reset = _RESET.search(headers.get("ratelimit", ""))
    return float(reset[1]) if reset else None
