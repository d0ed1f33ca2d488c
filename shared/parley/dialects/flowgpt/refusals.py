"""What FlowGPT says when it refuses, and what stands in front of it (`upstreams/flowgpt.md` section 4).

What concerns the operator's credential is said in our words; the service's own text reaches a caller only where the
caller can act on it, and bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from parley.dialects.challenge import LOOK, is_challenge, is_page
from parley.dialects.hints import retry_after
from parley.errors import (
    AddressThrottled,
    BadRequest,
    Challenged,
    ContextTooLong,
    CredentialExpired,
    CredentialRejected,
    Failure,
    ModelNotFound,
    QuotaExhausted,
    Throttled,
    UpstreamBroken,
    UpstreamMalformed,
    UpstreamOverloaded,
    UpstreamStalled,
)

_LONGEST_TEXT: Final = 300
_TEXTS: Final = ("message", "error", "data", "detail", "code")
_WAF: Final = re.compile(rb"awswaf|aws-waf|gokuprops|captcha", re.IGNORECASE)
_SIGNATURE: Final = re.compile(r"signature|nonce|timestamp|x-sign|\bsign\b(?!\W*(?:in|up|out|on)\b)", re.IGNORECASE)
_TOKEN: Final = re.compile(r"\btoken\b|\bjwt\b", re.IGNORECASE)
_QUOTA: Final = re.compile(r"quota|credit|balance|(?:daily|monthly|usage|message) limit", re.IGNORECASE)
_RATE: Final = re.compile(r"rate.?limit|too many|slow down", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"\bip\b", re.IGNORECASE)
_SIGN_IN: Final = re.compile(
    r"unauthori[sz]ed|forbidden|sign(?:ed)?\W*in|log(?:ged)?\W*in|\btoken\b|\bjwt\b|suspended|banned", re.IGNORECASE
)
_PROMPT: Final = re.compile(r"\bprompt(?:\W*id)?\b", re.IGNORECASE)
_GONE: Final = re.compile(r"not.?found|not exist|no such|deleted|private|removed|invalid", re.IGNORECASE)
_LONG: Final = re.compile(
    r"too (?:long|large)|context (?:length|window)|maximum.{0,30}(?:length|tokens)", re.IGNORECASE
)


def failure_of(status: int, headers: Mapping[str, str], body: bytes, *, renewable: bool = False) -> Failure:
    """The failure that an answer other than 200 says. `headers` must be found whatever their case.

    With `renewable`, a token that is refused counts as run out: a newer one can be had.
    """
    page = is_page(headers.get("content-type", ""), body)
    if _is_wall(headers, body, page=page) or (page and status in (202, 403, 405, 429)):
        return _wall(status, headers)
    said = "" if page else _said(body)
    return _by_words(status, said, retry_after(headers), renewable=renewable)


def page_instead(headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure that a page says which came with status 200 in an answer's place."""
    if _is_wall(headers, body, page=True):
        return _wall(200, headers)
    return UpstreamMalformed("The upstream showed a page instead of an answer.", upstream_status=200)


def complaint(told: Mapping[str, Any]) -> Failure:
    """The failure that an error among the lines of an answer says."""
    said, status = _text(told), _status(told)
    if status is None:
        if _RATE.search(said):
            status = 429
        elif _SIGN_IN.search(said) and not _about_signature(said):
            status = 401
        else:
            status = 500
    return _by_words(status, said, None, renewable=False)


def speaks_of_signature(status: int, body: bytes) -> bool:
    """Whether a refusal is about the signature, and not about the token."""
    return status in (400, 401, 403) and _about_signature(_said(body))


def _about_signature(said: str) -> bool:
    """A JSON web token has a signature, too; that one is the token's matter."""
    return bool(_SIGNATURE.search(said)) and not _TOKEN.search(said)


def _by_words(status: int, said: str, wait: float | None, *, renewable: bool) -> Failure:
    if status == 402 or (status in (400, 403, 429) and _QUOTA.search(said)):
        return QuotaExhausted("The upstream says that a quota is used up.", retry_after=wait, upstream_status=status)
    if status in (400, 401, 403) and _about_signature(said):
        return UpstreamBroken(
            "The upstream does not accept how the question was signed (see FLOWGPT_SIGNATURE_MODE).",
            upstream_status=status,
        )
    if status in (400, 404) and _PROMPT.search(said) and (status == 404 or _GONE.search(said)):
        return ModelNotFound(
            "The upstream does not know the prompt behind this model.", param="model", upstream_status=status
        )
    if status == 413 or (status in (400, 422) and _LONG.search(said)):
        return ContextTooLong("The conversation is too long.", param="messages", upstream_status=status)
    return _by_status(status, said, wait, renewable=renewable)


def _by_status(status: int, said: str, wait: float | None, *, renewable: bool) -> Failure:
    match status:
        case 401 | 403 if renewable:
            return CredentialExpired("The upstream does not accept the token any more.", upstream_status=status)
        case 401 | 403:
            return CredentialRejected("The upstream does not accept the token.", upstream_status=status)
        case 429 if _ADDRESS.search(said):
            return AddressThrottled(
                "The upstream counts too many requests from our address.", retry_after=wait, upstream_status=status
            )
        case 429:
            return Throttled("The upstream asked us to slow down.", retry_after=wait, upstream_status=status)
        case 400 | 422:
            text = " ".join(said.split())[:_LONGEST_TEXT]
            return BadRequest(f"The upstream refused: {text or 'it did not say why'}", upstream_status=status)
        case 408 | 504 | 524:
            return UpstreamStalled("The upstream did not answer in time.", upstream_status=status)
        case 503 | 529:
            return UpstreamOverloaded("The upstream is overloaded.", retry_after=wait, upstream_status=status)
        case _ if 300 <= status < 400:
            return UpstreamBroken("The upstream sends us elsewhere, and we do not go there.", upstream_status=status)
    return UpstreamBroken(f"The upstream answered {status}.", upstream_status=status)


def _is_wall(headers: Mapping[str, str], body: bytes, *, page: bool) -> bool:
    """Whether Cloudflare or AWS asks for a human."""
    asked = headers.get("x-amzn-waf-action", "").lower() in ("captcha", "challenge")
    return asked or is_challenge(headers, body if page else b"") or (page and bool(_WAF.search(body[:LOOK])))


def _wall(status: int, headers: Mapping[str, str]) -> Challenged:
    return Challenged(
        "The upstream shows a page that asks for a human.", retry_after=retry_after(headers), upstream_status=status
    )


def _said(body: bytes) -> str:
    """The words of a refusal, wherever they are."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return body[: 4 * _LONGEST_TEXT].decode("utf-8", "replace")
    return _text(told)


def _text(told: Any) -> str:
    if isinstance(told, str):
        return told
    if isinstance(told, list):
        return "; ".join(filter(None, map(_text, told)))
    if isinstance(told, Mapping):
        return "; ".join(filter(None, (_text(told.get(name)) for name in _TEXTS)))
    return ""


def _status(told: Any) -> int | None:
    """The HTTP status that an error object names."""
    if not isinstance(told, Mapping):
        return None
    for name in ("status", "statusCode", "code"):
        value = told.get(name)
        if str(value).isdigit() and 400 <= int(str(value)) < 600:
            return int(str(value))
    return next((found for name in ("error", "data") if (found := _status(told.get(name))) is not None), None)
