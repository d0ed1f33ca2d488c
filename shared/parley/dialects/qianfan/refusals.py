"""What the v2 API means when it refuses (`upstreams/baidu-qianfan.md` B3).

A 401 is mostly no matter of the key: a model that is not there, or not for this account, is one too. Codes and types
are compared in lower case, for the service writes some of them with capitals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from parley.dialects import openai
from parley.dialects.challenge import is_page
from parley.errors import (
    BadRequest,
    CredentialExpired,
    Failure,
    Throttled,
    TokensThrottled,
    UnsupportedParameter,
    UpstreamBroken,
    WrongMethod,
)

_LONGEST_TEXT: Final = 500
_VERDICTS: Final[Mapping[str, openai.Verdict]] = {
    **dict.fromkeys(("characters_too_long", "tokens_too_long"), "too_long"),
    **dict.fromkeys(("invalid_model", "model_offline"), "no_model"),
    **dict.fromkeys(("system_unsafe", "user_setting_unsafe", "functions_unsafe", "image_url_unsafe"), "filtered"),
    "unsafe_request": "filtered",
    "account_overdue": "quota",
    "invalid_appid": "credential",
    **dict.fromkeys(("cluster_rpm_rate_limit_exceeded", "cluster_tpm_rate_limit_exceeded"), "busy"),
    **dict.fromkeys((f"{whose}_rate_limit_exceeded" for whose in ("rpm", "user", "preemptible")), "throttled"),
    **dict.fromkeys((f"{whose}tpm_rate_limit_exceeded" for whose in ("", "input_", "output_")), "throttled"),
    "offline_batch_reasoning_refused": "throttled",
    "rate_limit_exceeded": "throttled",  # the type of all limits
}


def failure_of(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure that an HTTP answer other than 200 says. `headers` must be found whatever their case."""
    if is_page(headers.get("content-type", ""), body):
        return nowhere() if status == 404 else openai.failure_of(status, headers, body)
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = None
    error = _error(said if isinstance(said, dict) else {})
    if status == 404 and error.get("code") not in _VERDICTS:
        return nowhere()
    return _judged(error, status) or _told_apart(
        openai.failure_of(status, headers, msgspec.json.encode({"error": error}), _VERDICTS), error
    )


def nowhere() -> Failure:
    """A model that is not there is said by a code; a mere 404 means that the address is wrong."""
    return UpstreamBroken("Nothing lives at this address of the upstream: see its base_url.", upstream_status=404)


def failure_in(chunk: dict[str, Any]) -> Failure | None:
    """The failure that a chunk, or a body that came with status 200, says in the place of words."""
    if not (chunk.get("error") or (chunk.get("code") and not chunk.get("choices"))):
        return None
    error = _error(chunk)
    return _judged(error, None) or _told_apart(openai.failure_said({"error": error}, _VERDICTS), error)


def _error(said: dict[str, Any]) -> dict[str, Any]:
    """Code, type and message, wherever they stand and however they are written."""
    inner = said.get("error")
    given: dict[str, Any] = inner if isinstance(inner, dict) else said
    error: dict[str, Any] = {}
    for name in ("code", "type"):
        value = given.get(name)
        if isinstance(value, str | int):
            error[name] = str(value).lower()
    text = given.get("message") or given.get("msg") or (inner if isinstance(inner, str) else "")
    if isinstance(text, str):
        error["message"] = text[:_LONGEST_TEXT]
    return error


def _judged(error: dict[str, Any], status: int | None) -> Failure | None:
    """What is not as anywhere else."""
    text = error.get("message", "")
    match error.get("code"), status:
        case "invalid_model", 400:
            said = text or "The upstream was told no model."
            return BadRequest(said, param="model", code="missing_required_parameter", upstream_status=status)
        case "no_parameter_permission", _:
            return UnsupportedParameter(text or "The account may not use a parameter.", upstream_status=status)
        case "invalid_iam_token", _:
            return CredentialExpired("The upstream does not accept the bearer any more.", upstream_status=status)
        case "method_not_supported", _:
            return WrongMethod(text or "The upstream does not take such requests here.", upstream_status=status)
    return None


def _told_apart(failure: Failure, error: dict[str, Any]) -> Failure:
    if type(failure) is Throttled and "tpm" in error.get("code", ""):
        text = "The upstream's limit of tokens a minute is reached."
        return TokensThrottled(text, retry_after=failure.retry_after, upstream_status=failure.upstream_status)
    return failure
