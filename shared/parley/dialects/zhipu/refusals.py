"""What Zhipu's platform means when it refuses: judged by its code, and by the status only where the code says nothing.

A 429 is a pause, an empty purse or a plan that ended; only the first of them heals (`upstreams/zhipu.md` section 3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import msgspec

from parley import clock
from parley.dialects import openai
from parley.dialects.challenge import is_page
from parley.dialects.hints import retry_after
from parley.errors import (
    BadRequest,
    ContextTooLong,
    CredentialExpired,
    CredentialRejected,
    Failure,
    ModelNotFound,
    QuotaExhausted,
    Throttled,
    TooLarge,
    UpstreamBroken,
    UpstreamOverloaded,
)

DUPLICATE_ID: Final = "duplicate_request_id"
"""Our code for: a request of this `request_id` was answered before."""

NO_HEADERS: Final[Mapping[str, str]] = {}
_LONGEST_TEXT: Final = 500
_TOO_LARGE: Final = 435
_TOKEN: Final = re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)
"""A signed token, which nobody is told who did not sign it; keys themselves are taken out by the caller."""
_BEIJING: Final = timezone(timedelta(hours=8))
_RESET: Final = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?)")


@dataclass(frozen=True, slots=True)
class _Said:
    """What a refusal says, wherever it stands."""

    code: str
    text: str
    status: int | None
    wait: float | None = None


def failure_of(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure that an HTTP answer other than 200 says. `headers` must be found whatever their case."""
    body = _TOKEN.sub(b"...", body)
    if is_page(headers.get("content-type", ""), body):
        return _nowhere(status) if status == 404 else openai.failure_of(status, headers, body)
    try:
        outer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        outer = None
    said = _read(outer if isinstance(outer, dict) else {}, status, retry_after(headers))
    if (judge := _CODES.get(said.code)) is not None:
        return judge(said)
    if status == _TOO_LARGE:
        return _too_large(said)
    if status == 404:
        return _nowhere(status)
    return openai.failure_of(status, headers, body)


def failure_in(chunk: dict[str, Any], headers: Mapping[str, str] = NO_HEADERS) -> Failure | None:
    """The failure that a chunk, or a body that came with status 200, says in the place of words, if any."""
    if chunk.get("error") or chunk.get("success") is False:
        chunk = msgspec.json.decode(_TOKEN.sub(b"...", msgspec.json.encode(chunk)))
        said = _read(chunk, None, retry_after(headers))
        if (judge := _CODES.get(said.code)) is not None:
            return judge(said)
        if said.code.isdigit() and 400 <= int(said.code) < 600:  # the front's own way: a status in the body
            return failure_of(int(said.code), headers, msgspec.json.encode(chunk))
        return openai.failure_said(chunk)
    return None


def _read(outer: dict[str, Any], status: int | None, wait: float | None) -> _Said:
    error = outer.get("error")
    inner: dict[str, Any] = error if isinstance(error, dict) else outer
    code, text = inner.get("code"), inner.get("message") or inner.get("msg")
    return _Said(
        str(code) if isinstance(code, str | int) else "",
        text[:_LONGEST_TEXT] if isinstance(text, str) else "",
        status,
        wait,
    )


# --- one judge per meaning ----------------------------------------------------------------------------------------


def _refused(said: _Said) -> Failure:
    return CredentialRejected(
        f"The upstream refuses the operator's credential (code {said.code}).", upstream_status=said.status
    )


def _expired(said: _Said) -> Failure:
    return CredentialExpired("The upstream says that the sign-in has expired.", upstream_status=said.status)


def _broke(said: _Said) -> Failure:
    until = _until_reset(said.text)
    return QuotaExhausted(
        f"The upstream's quota is used up (code {said.code}).",
        retry_after=said.wait if until is None else until,
        upstream_status=said.status,
    )


def _slow_down(said: _Said) -> Failure:
    return Throttled("The upstream's rate limit is reached.", retry_after=said.wait, upstream_status=said.status)


def _busy(said: _Said) -> Failure:
    return UpstreamOverloaded("The upstream is overloaded.", retry_after=said.wait, upstream_status=said.status)


def _no_model(said: _Said) -> Failure:
    return ModelNotFound(
        said.text or "The upstream does not have this model.", param="model", upstream_status=said.status
    )


def _too_long(said: _Said) -> Failure:
    return ContextTooLong(
        said.text or "The conversation is too long for the model.", param="messages", upstream_status=said.status
    )


def _too_large(said: _Said) -> Failure:
    return TooLarge(said.text or "The request is too large for the upstream.", upstream_status=said.status)


def _failed(said: _Said) -> Failure:
    return UpstreamBroken("The upstream failed.", upstream_status=said.status)


def _nowhere(status: int) -> Failure:
    """A missing model has a code; a 404 without one means that the address is wrong."""
    return UpstreamBroken("Nothing lives at this address of the upstream: see its base_url.", upstream_status=status)


def _bad(code: str, param: str | None = None) -> Callable[[_Said], Failure]:
    def judge(said: _Said) -> Failure:
        text = said.text or "The upstream refused the request."
        return BadRequest(text, param=param, code=code, upstream_status=said.status)

    return judge


_MEANINGS: Final[tuple[tuple[str, Callable[[_Said], Failure]], ...]] = (
    ("1000 1001 1002 1004 1005", _refused),
    ("1003", _expired),
    ("1110 1111 1112 1120 1121 1220", _refused),
    ("1113 1304 1308 1309 1310 1313", _broke),
    ("1210 1214 1215", _bad("invalid_value")),
    ("1213", _bad("missing_required_parameter")),
    ("1211 1212 1221 1222 1311", _no_model),
    ("1231", _bad(DUPLICATE_ID, "request_id")),
    ("1261", _too_long),
    ("1300 1301", _bad("content_filter")),
    ("1302 1303", _slow_down),
    ("1305 1312", _busy),
    ("1200 1230 1234", _failed),
)
_CODES: Final = {code: judge for codes, judge in _MEANINGS for code in codes.split()}


def _until_reset(text: str) -> float | None:
    """Seconds until the moment that a message about a used-up plan names, in Beijing's time."""
    found = _RESET.search(text)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(f"{found[1]} {found[2]}").replace(tzinfo=_BEIJING)
    except ValueError:
        return None
    return max(moment.timestamp() - clock.now(), 0.0)
