"""What services that speak OpenAI's API say when they refuse (`upstreams/openai.md`, `huggingface.md`, sections 3).

A status says less than a code: a spent balance is a 400, 402, 403 or 429, depending on the service. `VERDICTS` has the
codes (and types) that mean the same wherever they are said; a service for which one means something else, or whose
codes are mere numbers, has a table of its own in its row.

A text of the upstream reaches a caller only where the caller can act on it, and bounded; what concerns the operator's
credential is said in our words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

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

Verdict = Literal["credential", "quota", "throttled", "no_model", "too_long", "filtered", "busy"]
VERDICTS: Final[Mapping[str, Verdict]] = {
    # OpenAI, and relays that pass its codes on
    **dict.fromkeys(("insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"), "quota"),
    **dict.fromkeys(("model_not_found", "model_not_supported"), "no_model"),
    "context_length_exceeded": "too_long",
    # relays that sell other vendors' models
    **dict.fromkeys(("insufficient_user_quota", "pre_consume_token_quota_failed"), "quota"),
    # Moonshot
    "exceeded_current_quota_error": "quota",
    "resource_not_found_error": "no_model",
    "engine_overloaded_error": "busy",
    "content_filter": "filtered",
    # Qwen
    "Arrearage": "quota",
    **dict.fromkeys(("data_inspection_failed", "DataInspectionFailed"), "filtered"),
    # Volcengine Ark; a code's part before the dot counts for all of its kind
    **dict.fromkeys(("AccountOverdueError", "QuotaExceeded", "AccountQuotaExceeded"), "quota"),
    **dict.fromkeys(("InvalidEndpointOrModel", "InvalidEndpoint", "ModelNotOpen", "UnsupportedModel"), "no_model"),
    **dict.fromkeys(("SensitiveContentDetected", "InputTextSensitiveContentDetected"), "filtered"),
    **dict.fromkeys(("InputImageSensitiveContentDetected", "OutputTextSensitiveContentDetected"), "filtered"),
    "ServerOverloaded": "busy",
    # llama.cpp
    "exceed_context_size_error": "too_long",
    # h2oGPTe
    "model_access": "no_model",
    "authorization_unavailable": "busy",
}
NO_VERDICTS: Final[Mapping[str, Verdict]] = {}
_STATUSES: Final[Mapping[int, Verdict]] = {
    401: "credential",
    402: "quota",
    403: "credential",
    404: "no_model",
    429: "throttled",
    503: "busy",
    529: "busy",
}
_NOT_THE_CALLERS: Final = frozenset({408, 409, 424, 425})
_NOT_A_MODEL: Final = re.compile(r"\bmodel not exist|not a valid model id", re.IGNORECASE)
"""DeepSeek's and OpenRouter's words for it; no code tells."""
_LONGEST_WAIT: Final = 365 * 86400
_RESET: Final = re.compile(r";\s*t=(\d{1,7})(?:\D|$)")


def failure_of(
    status: int, headers: Mapping[str, str], body: bytes, verdicts: Mapping[str, Verdict] = NO_VERDICTS
) -> Failure:
    """The failure that an HTTP answer other than 200 says. `headers` must be found whatever their case.

    `verdicts` are the service's own, before those that all share.
    """
    if is_page(headers.get("content-type", ""), body):
        if is_challenge(headers, body):
            wait = retry_after(headers)
            return Challenged("The upstream shows a page for humans.", retry_after=wait, upstream_status=status)
        return _by_status(status, _Facts(wait=_wait(headers, {})))
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = body.decode("utf-8", "replace")
    return _failure(status, said, headers, verdicts)


def failure_said(said: Any, verdicts: Mapping[str, Verdict] = NO_VERDICTS) -> Failure:
    """The failure that an error object says which came with status 200 or inside a stream."""
    return _failure(None, said, {}, verdicts)


def _failure(status: int | None, said: Any, headers: Mapping[str, str], verdicts: Mapping[str, Verdict]) -> Failure:
    if isinstance(said, list) and len(said) == 1:  # so says Google's face of this API
        (said,) = said
    outer: dict[str, Any] = said if isinstance(said, dict) else {}
    error = outer.get("error") or said
    inner: dict[str, Any] = error if isinstance(error, dict) else {}
    code = _word(inner.get("code"))
    kind = _word(inner.get("type")) or _word(outer.get("error_type"))
    facts = _Facts(
        code=code,
        kind=kind,
        param=_word(inner.get("param")),
        text=_text(error, outer)[:_LONGEST_TEXT],
        wait=_wait(headers, outer),
        verdict=_verdict(code, kind, verdicts) or _moderated(inner) or _key_refused(inner),
    )
    return _by_status(_status_meant(facts) if status is None else status, facts)


def _verdict(code: str, kind: str, own: Mapping[str, Verdict]) -> Verdict | None:
    for table in (own, VERDICTS):
        for word in (code, code.partition(".")[0], kind):
            if found := table.get(word):
                return found
    return None


def _key_refused(error: Mapping[str, Any]) -> Verdict | None:
    """Google's 400 for a key that is wrong is told from others by a detail (`upstreams/gemini.md` section 3)."""
    details = error.get("details")
    reasons = [one.get("reason") for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    return "credential" if "API_KEY_INVALID" in reasons else None


def _moderated(error: Mapping[str, Any]) -> Verdict | None:
    """OpenRouter's 403 for words that a moderator flagged looks like a forbidden key, but for its reasons."""
    more = error.get("metadata")
    return "filtered" if isinstance(more, dict) and "reasons" in more else None


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a refusal says, wherever a service puts it."""

    code: str = ""
    kind: str = ""
    param: str = ""
    text: str = ""
    wait: float | None = None
    verdict: Verdict | None = None


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


_STATUS_OF: Final[Mapping[Verdict, int]] = {
    "credential": 401,
    "quota": 429,
    "throttled": 429,
    "no_model": 404,
    "too_long": 400,
    "filtered": 400,
    "busy": 503,
}


def _status_meant(facts: _Facts) -> int:
    """The status that an error without one would have had, by its code and type."""
    code, kind = facts.code, facts.kind
    if code.isdigit() and 400 <= int(code) < 600:
        return int(code)
    if code == "rate_limit_exceeded" or kind in ("requests", "tokens"):
        return 429
    if facts.verdict is not None:
        return _STATUS_OF[facts.verdict]
    if code == "invalid_api_key" or kind == "authentication_error":
        return 401
    if kind in ("invalid_request_error", "validation"):
        return 400
    return 503 if kind in ("overloaded", "overloaded_error", "service_unavailable_error") else 500


def _by_status(status: int, facts: _Facts) -> Failure:
    text, wait, verdict = facts.text, facts.wait, facts.verdict or _verdict_of(status, facts.text)
    match verdict:
        case "credential":
            return CredentialRejected("The upstream refuses the operator's credential.", upstream_status=status)
        case "quota":
            return QuotaExhausted("The upstream's quota is used up.", retry_after=wait, upstream_status=status)
        case "throttled":
            return Throttled("The upstream's rate limit is reached.", retry_after=wait, upstream_status=status)
        case "no_model":
            text = text or "The upstream does not have this model."
            return ModelNotFound(text, param="model", upstream_status=status)
        case "too_long":
            text = text or "The conversation is too long for the model."
            return ContextTooLong(text, param=facts.param or "messages", upstream_status=status)
        case "filtered":
            text, param = text or "The upstream does not answer such words.", facts.param or "messages"
            return BadRequest(text, param=param, code="content_filter", upstream_status=status)
        case "busy":
            return UpstreamOverloaded("The upstream is overloaded.", retry_after=wait, upstream_status=status)
    if status == 413:
        return TooLarge(text or "The request is too large for the upstream.", upstream_status=status)
    if 400 <= status < 500 and status not in _NOT_THE_CALLERS:
        return BadRequest(
            text or "The upstream refused the request.",
            param=facts.param or None,
            code=None if facts.code.isdigit() else facts.code or None,  # a number only repeats the status
            upstream_status=status,
        )
    if status in (408, 504, 524):
        return UpstreamStalled("The upstream did not answer in time.", upstream_status=status)
    if 300 <= status < 400:
        return UpstreamBroken("The upstream sends us elsewhere, and we do not go there.", upstream_status=status)
    return UpstreamBroken("The upstream failed.", retry_after=wait, upstream_status=status)


def _verdict_of(status: int, text: str) -> Verdict | None:
    """What a status says by itself."""
    if status in (400, 422):
        if "maximum context length" in text:
            return "too_long"
        if _NOT_A_MODEL.search(text):
            return "no_model"
    return _STATUSES.get(status)


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
