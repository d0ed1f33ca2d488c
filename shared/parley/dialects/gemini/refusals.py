"""What Gemini says when it refuses (`upstreams/gemini.md` section 3).

A wrong key is a 400 and the time to wait is in the body, so that a status says little: the details do. A text of the
upstream reaches a caller only where the caller can act on it, and bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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
    ModelThrottled,
    QuotaExhausted,
    Throttled,
    TooLarge,
    UpstreamBroken,
    UpstreamOverloaded,
    UpstreamStalled,
)

_LONGEST_TEXT: Final = 500
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_TOO_LONG: Final = re.compile(r"input token count|exceeds the maximum number of tokens", re.IGNORECASE)
_BAD_KEY: Final = re.compile(r"api key (?:not valid|expired|not found)|pass a valid api key", re.IGNORECASE)
_CODES: Final = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_FIELDS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        (
            r"^tools\[\d+\]\.function_?declarations\[(\d+)\]\.parameters(?:_?json_?schema)?",
            r"tools[\1].function.parameters",
        ),
        (r"^tools\[\d+\]\.function_?declarations\[(\d+)\]", r"tools[\1].function"),
        (r"^tool_?config.*", "tool_choice"),
        (r"^(?:generate_content_request\.)?contents.*", "messages"),
        (r"^system_?instruction.*", "messages"),
        (r"^generation_?config\.response_?(?:json_?)?schema", "response_format.json_schema.schema"),
        (r"^generation_?config\.response_?mime_?type", "response_format"),
        (r"^generation_?config\.max_?output_?tokens", "max_tokens"),
        (r"^generation_?config\.stop_?sequences", "stop"),
        (r"^generation_?config\.candidate_?count", "n"),
        (r"^generation_?config\.top_?p", "top_p"),
        (r"^generation_?config\.presence_?penalty", "presence_penalty"),
        (r"^generation_?config\.frequency_?penalty", "frequency_penalty"),
        (r"^generation_?config\.response_?logprobs", "logprobs"),
        (r"^generation_?config\.logprobs", "top_logprobs"),
        (r"^generation_?config\.thinking_?config.*", "reasoning_effort"),
        (r"^generation_?config\.", ""),
    )
)
"""Gemini's fields by the names under which our callers know them."""


def failure_of(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure that an HTTP answer other than 200 says. `headers` must be found whatever their case."""
    if is_page(headers.get("content-type", ""), body):
        if is_challenge(headers, body):
            wait = retry_after(headers)
            return Challenged("The upstream shows a page for humans.", retry_after=wait, upstream_status=status)
        return _by_status(status, status, _Facts(wait=retry_after(headers)))
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = None
    facts = _facts(said, retry_after(headers))
    return _by_status(status, status, facts)


def failure_said(said: Any) -> Failure:
    """The failure that an error object says which came with status 200 or inside a stream."""
    facts = _facts(said, None)
    return _by_status(facts.code or _CODES.get(facts.status, 500), None, facts)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a refusal says."""

    code: int = 0
    status: str = ""
    text: str = ""
    reasons: frozenset[str] = frozenset()
    param: str | None = None
    daily: bool = False
    """A quota is used up that does not come back within minutes."""
    of_model: bool = False
    """Every quota that is used up is counted for each model apart."""
    wait: float | None = None


def _facts(said: Any, waiting: float | None) -> _Facts:
    """`waiting`: what a header said; the body knows better."""
    if isinstance(said, list):  # without `alt=sse`, and at the OpenAI-compatible endpoint
        said = next(iter(said), None)
    error = said.get("error") if isinstance(said, dict) else None
    if not isinstance(error, dict):
        return _Facts(text=error if isinstance(error, str) else "", wait=waiting)
    listed = error.get("details")
    details = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    code, status, text = error.get("code"), error.get("status"), error.get("message")
    quotas = _inside(details, "violations")
    wait = next(
        (float(found[1]) for one in details if (found := _DURATION.fullmatch(str(one.get("retryDelay"))))), None
    )
    return _Facts(
        code=code if isinstance(code, int) and 400 <= code < 600 else 0,
        status=status if isinstance(status, str) else "",
        text=text[:_LONGEST_TEXT] if isinstance(text, str) else "",
        reasons=frozenset(str(one.get("reason")) for one in details),
        param=next((_param(one["field"]) for one in _inside(details, "fieldViolations") if one.get("field")), None),
        daily=any(_is_daily(one) for one in quotas),
        of_model=bool(quotas) and all("PerModel" in str(one.get("quotaId")) for one in quotas),
        wait=waiting if wait is None else wait,
    )


def _inside(details: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Members of the lists of this name, wherever they are in the details."""
    lists = [one[name] for one in details if isinstance(one.get(name), list)]
    return [one for found in lists for one in found if isinstance(one, dict)]


def _is_daily(violation: Mapping[str, Any]) -> bool:
    return "PerDay" in str(violation.get("quotaId")) or str(violation.get("quotaValue")) == "0"


def _param(field: Any) -> str | None:
    name = str(field)[:_LONGEST_TEXT]
    for pattern, ours in _FIELDS:
        if pattern.match(name):
            return pattern.sub(ours, name, count=1)
    return name


def _by_status(status: int, seen: int | None, facts: _Facts) -> Failure:
    """`seen`: the status of the HTTP answer, if it was one of refusal."""
    refuse: Callable[[int | None, _Facts], Failure]
    match status:
        case 400:
            refuse = _bad_request
        case 401 | 403:
            refuse = _rejected
        case 404:
            return ModelNotFound(facts.text or "Gemini does not have this model.", param="model", upstream_status=seen)
        case 413:
            return TooLarge(facts.text or "The request is too large for the upstream.", upstream_status=seen)
        case 429:
            refuse = _throttled
        case 503 | 529:
            return UpstreamOverloaded("The upstream is overloaded.", retry_after=facts.wait, upstream_status=seen)
        case 408 | 504:
            return UpstreamStalled("The upstream did not answer in time.", upstream_status=seen)
        case _ if 300 <= status < 400:
            return UpstreamBroken("The upstream sends us elsewhere, and we do not go there.", upstream_status=seen)
        case _ if 400 <= status < 499 and status not in (409, 425):
            refuse = _bad_request
        case _:
            return UpstreamBroken("The upstream failed.", retry_after=facts.wait, upstream_status=seen)
    return refuse(seen, facts)


def _rejected(seen: int | None, _: _Facts) -> Failure:
    return CredentialRejected("The upstream refuses the operator's credential.", upstream_status=seen)


def _bad_request(seen: int | None, facts: _Facts) -> Failure:
    if facts.reasons & {"API_KEY_INVALID", "API_KEY_EXPIRED"} or _BAD_KEY.search(facts.text):
        return _rejected(seen, facts)
    if (
        facts.status == "FAILED_PRECONDITION"
    ):  # the operator's place or billing; another credential may have a better one
        return CredentialRejected(
            "The upstream does not serve the operator's account: its place, or its billing.", upstream_status=seen
        )
    if _TOO_LONG.search(facts.text):
        return ContextTooLong(facts.text, param="messages", upstream_status=seen)
    return BadRequest(facts.text or "The upstream refused the request.", param=facts.param, upstream_status=seen)


def _throttled(seen: int | None, facts: _Facts) -> Failure:
    if facts.daily:
        exhausted = ModelExhausted if facts.of_model else QuotaExhausted
        return exhausted("The upstream's quota is used up.", retry_after=_until_midnight(), upstream_status=seen)
    throttled = ModelThrottled if facts.of_model else Throttled
    return throttled("The upstream's rate limit is reached.", retry_after=facts.wait, upstream_status=seen)


def _pacific() -> tzinfo:
    try:
        return ZoneInfo("America/Los_Angeles")
    except ZoneInfoNotFoundError:  # a machine without time zones: at most an hour late
        return timezone(timedelta(hours=-8))


def _until_midnight() -> float:
    """Seconds to the next midnight in California, when a day's quota begins anew."""
    moment = datetime.fromtimestamp(now(), UTC).astimezone(_pacific())
    midnight = (moment + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(1.0, midnight.timestamp() - moment.timestamp())
