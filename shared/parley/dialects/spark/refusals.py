"""What a code in a frame or a body means, and a refused handshake or request (section 3).

What concerns the operator's application is said in our words; the service's own words reach a caller only where the
caller can act on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from parley.clock import now
from parley.dialects.hints import retry_after
from parley.dialects.openai import failure_of
from parley.errors import (
    BadRequest,
    ContextTooLong,
    CredentialRejected,
    Failure,
    ModelExhausted,
    ModelNotFound,
    QuotaExhausted,
    Throttled,
    UpstreamBroken,
    UpstreamOverloaded,
)

_LONGEST_TEXT: Final = 500
_CHINA: Final = timezone(timedelta(hours=8))
_MOMENT: Final = 2.0
"""Seconds after which asking again makes sense. The service never says when."""
_A_WHILE: Final = 120.0


class OutputBlocked(BadRequest):
    """The service withholds the rest of an answer: a way to end it, where it was reached while answering."""


class NotMendedByTime(UpstreamBroken):
    """The service failed, and would fail again."""

    try_next = False


@dataclass(frozen=True, slots=True)
class _Said:
    """An error of the service."""

    code: int
    text: str
    sid: str
    status: int | None

    @property
    def told(self) -> str:
        """Its words, for those who can act on them."""
        words = " ".join(self.text.split())[:_LONGEST_TEXT] or "nothing more"
        return f"The upstream says: {words} ({self.reference})"

    @property
    def reference(self) -> str:
        """What the vendor asks for when one complains."""
        return f"code {self.code}, sid {self.sid}" if self.sid else f"code {self.code}"


def failure_in(said: Mapping[str, Any], status: int | None = None) -> Failure | None:
    """The failure that a frame's header or a body says, in either of the HTTP API's shapes; None when it says none."""
    error = said.get("error")
    inner: Mapping[str, Any] = error if isinstance(error, dict) else said
    code = inner.get("code")
    number = int(code) if isinstance(code, int | str) and str(code).isdecimal() and len(str(code)) < 10 else None
    sid = said.get("sid")
    text = inner.get("message")
    if number:
        facts = _Said(
            number,
            text if isinstance(text, str) else "",
            sid[:100] if isinstance(sid, str) else "",
            status,
        )
        return _MEANINGS.get(number, _hopeless)(facts)
    return failure_of(status or 500, {}, msgspec.json.encode(said)) if error else None


def refused(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """What a handshake or a request means that was answered with another status than it should."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = None
    if isinstance(said, dict):
        # The gateway before the service speaks of clocks in the words of a bad signature.
        if wrong_clock(status, body):
            return NotMendedByTime("The upstream does not take this machine's time for now.", upstream_status=status)
        code = said.get("code") or (said["error"].get("code") if isinstance(said.get("error"), dict) else None)
        if code and (meant := failure_in(said, status)) is not None:
            if meant.retry_after is not None and (wait := retry_after(headers)) is not None:
                meant.retry_after = wait
            return meant
    return failure_of(status, headers, body)


def wrong_clock(status: int, body: bytes) -> bool:
    """Whether a handshake was refused because of its date."""
    return status == 403 and b"date" in body


def ahead(headers: Mapping[str, str]) -> float:
    """How far the service's clock is ahead of ours, by the date of its answer."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp() - now()
    except ValueError:
        return 0.0


# --- codes --------------------------------------------------------------------------------------------------------

Meaning = Callable[[_Said], Failure]


def _callers(code: str | None = None, param: str | None = None) -> Meaning:
    return lambda said: BadRequest(said.told, code=code, param=param, upstream_status=said.status)


def _ours(kind: type[Failure], text: str, retry_after: float | None = None) -> Meaning:
    """What a caller can do nothing about, in our words."""
    return lambda said: kind(f"{text} ({said.reference}).", retry_after=retry_after, upstream_status=said.status)


def _broken(said: _Said) -> Failure:
    return UpstreamBroken(said.told, upstream_status=said.status)


def _hopeless(said: _Said) -> Failure:
    return NotMendedByTime(said.told, upstream_status=said.status)


def _daily(said: _Said) -> Failure:
    here = datetime.fromtimestamp(now(), _CHINA)
    midnight = (here + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    wait = (midnight - here).total_seconds()
    return _ours(QuotaExhausted, "The upstream's daily limit is reached", wait)(said)


_NOT_ALLOWED: Final = "The upstream does not allow the operator's application this model, or its volume is used up"
_MEANINGS: Final[Mapping[int, Meaning]] = {
    **dict.fromkeys((10000, 10001, 10002, 10009, 10010, 10011, 10012, 10222, 10223), _broken),
    **dict.fromkeys((10003, 10004, 10163), _callers()),
    10005: _callers("invalid_value"),
    **dict.fromkeys((10006, 10007), _ours(Throttled, "The upstream still answers this application", _MOMENT)),
    **dict.fromkeys((10008, 10110, 11500, 11501), _ours(UpstreamOverloaded, "The upstream is overloaded", _MOMENT)),
    **dict.fromkeys((10013, 10019, 10021, 10022), _callers("content_filter", "messages")),
    10014: lambda said: OutputBlocked(said.told, code="content_filter", upstream_status=said.status),
    10015: _ours(CredentialRejected, "The upstream has locked the operator's application"),
    # The application's right is one for each version; what it lacks it may be given at any time.
    **dict.fromkeys((10016, 11200), _ours(ModelExhausted, _NOT_ALLOWED, _A_WHILE)),
    **dict.fromkeys((10017, 10018), _hopeless),
    10404: lambda said: ModelNotFound(said.told, param="model", upstream_status=said.status),
    10907: lambda said: ContextTooLong(said.told, param="messages", upstream_status=said.status),
    11201: _daily,
    **dict.fromkeys((11202, 11203), _ours(Throttled, "The upstream's rate limit is reached", 1.0)),
}
"""Section 3.2, row by row."""
