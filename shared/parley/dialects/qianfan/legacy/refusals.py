"""What the legacy API means by its codes (`upstreams/baidu-qianfan.md` A3). They come with status 200."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from parley.dialects import openai
from parley.dialects.challenge import is_page
from parley.dialects.hints import retry_after
from parley.dialects.qianfan.refusals import nowhere
from parley.errors import (
    BadRequest,
    ContextTooLong,
    CredentialExpired,
    CredentialRejected,
    Failure,
    ModelNotFound,
    QuotaExhausted,
    Throttled,
    TokensThrottled,
    UpstreamBroken,
    UpstreamOverloaded,
)

NO_HEADERS: Final[Mapping[str, str]] = {}
_LONGEST_TEXT: Final = 500
_SENSITIVE: Final = re.compile("sensitive|敏感", re.IGNORECASE)


class _Said(NamedTuple):
    code: int
    text: str
    wait: float | None
    status: int | None


Judge = Callable[[_Said], Failure]


def failure_of(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure that an HTTP answer other than 200 says: its code's, if it has one."""
    if not is_page(headers.get("content-type", ""), body):
        try:
            said = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            said = None
        if isinstance(said, dict) and (failure := failure_in(said, headers, status)) is not None:
            return failure
    return nowhere() if status == 404 else openai.failure_of(status, headers, body)


def failure_in(
    said: dict[str, Any], headers: Mapping[str, str] = NO_HEADERS, status: int | None = None
) -> Failure | None:
    """The failure that an object says in the place of words."""
    code = said.get("error_code")
    if code is None:
        return None
    number = int(code) if isinstance(code, int) or (isinstance(code, str) and code.isdecimal()) else -1
    text = said.get("error_msg")
    told = _Said(number, text[:_LONGEST_TEXT] if isinstance(text, str) else "", retry_after(headers), status)
    return _JUDGES.get(number, _failed)(told)


# --- one judge per meaning ----------------------------------------------------------------------------------------


def _failed(said: _Said) -> Failure:
    return UpstreamBroken(f"The upstream failed (code {said.code}).", upstream_status=said.status)


def _busy(said: _Said) -> Failure:
    return UpstreamOverloaded("The upstream is overloaded.", retry_after=said.wait, upstream_status=said.status)


def _slow_down(said: _Said) -> Failure:
    return Throttled("The upstream's rate limit is reached.", retry_after=said.wait, upstream_status=said.status)


def _fewer_tokens(said: _Said) -> Failure:
    text = "The upstream's limit of tokens a minute is reached."
    return TokensThrottled(text, retry_after=said.wait, upstream_status=said.status)


def _broke(said: _Said) -> Failure:
    text = f"The upstream's quota is used up (code {said.code})."
    return QuotaExhausted(text, retry_after=said.wait, upstream_status=said.status)


def _refused(said: _Said) -> Failure:
    text = f"The upstream refuses the operator's credential (code {said.code})."
    return CredentialRejected(text, upstream_status=said.status)


def _expired(said: _Said) -> Failure:
    text = f"The upstream does not accept the access token any more (code {said.code})."
    return CredentialExpired(text, upstream_status=said.status)


def _no_model(said: _Said) -> Failure:
    text = said.text or "The upstream does not have this model."
    return ModelNotFound(text, param="model", upstream_status=said.status)


def _too_long(said: _Said) -> Failure:
    text = said.text or "The conversation is too long for the model."
    return ContextTooLong(text, param="messages", upstream_status=said.status)


def _bad(said: _Said) -> Failure:
    text = said.text or "The upstream refused the request."
    if _SENSITIVE.search(text):
        return BadRequest(text, param="messages", code="content_filter", upstream_status=said.status)
    return BadRequest(text, code="invalid_value", upstream_status=said.status)


_MEANINGS: Final[tuple[tuple[Judge, tuple[int, ...]], ...]] = (
    (_busy, (1, 2, 336100, 336200, 336201)),
    (_no_model, (3, 6, 336004, 336005)),  # who may not use a model is told that it is not there
    (_slow_down, (4, 18, 336501)),
    (_fewer_tokens, (336502,)),
    (_broke, (17, 19, 336503, 336504)),
    (_refused, (13, 14)),
    (_expired, (100, 110, 111)),
    (_failed, (15, 336000)),
    (_bad, (336001, 336002, 336003, 336101, 336102, 336104, 336105)),
    (_too_long, (336006, 336007, 336103)),
)
_JUDGES: Final = {code: judge for judge, codes in _MEANINGS for code in codes}
