"""What gptomni.ai is asked and says: a prompt out, raw UTF-8 text back (`upstreams/gptomni.md`).

The answer has no frame and no end mark, so nothing but care tells it from a sign-in page, a challenge or an error:

* `Decoder` looks at the beginning (at most 512 bytes) before it lets a word out, and waits only while what came could
  still turn into something else than an answer;
* text is strict UTF-8, however it is cut; a character that the end of the body cuts in half means a truncated answer;
* `refusal` reads every answer that is not a 200.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from parley.chat.events import Event, Stop, Text
from parley.chat.prompt import Prompt
from parley.dialects import plain
from parley.dialects.challenge import is_challenge, is_page
from parley.dialects.hints import retry_after
from parley.errors import (
    BadRequest,
    Challenged,
    ContextTooLong,
    CredentialRejected,
    Failure,
    QuotaExhausted,
    Throttled,
    UpstreamBroken,
    UpstreamEmpty,
    UpstreamMalformed,
    UpstreamOverloaded,
    UpstreamTruncated,
)

History = Literal["transcript", "last_only"]

SNIFFED: Final = 512
_LONGEST_ERROR: Final = 16 * 1024
"""A JSON error is read to its end, which 512 bytes may not hold; what is longer is no error."""
_BOM: Final = codecs.BOM_UTF8
_MARKUP: Final = (b"<!doctype", b"<html")
_TITLE: Final = b"just a moment..."
_ERROR_KEYS: Final = ("error", "message", "code")
_LONGEST_COMPLAINT: Final = 300


def encode(prompt: Prompt, *, history: History = "transcript") -> bytes:
    """The body of a question. Raises BadRequest when there is nothing to ask."""
    if history == "last_only":
        text = plain.last_said(prompt.messages)
    else:
        text = plain.told(prompt.messages, plain.instructions(prompt.messages))
    return msgspec.json.encode({"prompt": text})


class Decoder:
    """Reads one 200: feed it the body's bytes as they come, then `close`. Both raise Failure."""

    def __init__(self, headers: Mapping[str, str]):
        self._headers = headers
        self._content_type = headers.get("content-type", "").lower()
        self._json = "json" in self._content_type
        self._held: bytes | None = b""  # the beginning, until it is known to be an answer
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")("strict")
        self._spoke = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """The words in `data`."""
        if self._held is not None:
            self._held += data
            if self._undecided(self._held):
                return
            data, self._held = self._held, None
        yield from self._decode(data)

    def close(self) -> Iterator[Event]:
        """The end of the body: what was held back, and Stop."""
        if self._held is not None:
            self._judge(self._held)
            data, self._held = self._held, None
            if not data.removeprefix(_BOM).strip():  # blanks are words only where words follow
                raise UpstreamEmpty("The upstream's answer is empty.")
            yield from self._decode(data)
        if self._utf8.getstate()[0]:
            raise UpstreamTruncated("The upstream's answer ended in the middle of a character.")
        if not self._spoke:
            raise UpstreamEmpty("The upstream's answer is empty.")
        yield Stop("stop")

    def _undecided(self, held: bytes) -> bool:
        """Whether more must be seen before the first word may go out. Raises Failure when enough was seen."""
        start = _start(held)
        if self._is_page(start) or (self._json and start.startswith(b"{")):
            undecided = len(held) < _LONGEST_ERROR  # no word of a page goes out anyway
        elif not start or start.startswith(b"<"):
            undecided = len(held) < SNIFFED
        else:
            undecided = len(start) < len(_TITLE) and _TITLE.startswith(start)
        if not undecided:
            self._judge(held)
        return undecided

    def _judge(self, held: bytes) -> None:
        start, told = _start(held), held[:_LONGEST_ERROR]
        if self._is_page(start):
            raise _page(self._headers, told)
        if self._json and start.startswith(b"{") and (error := _error(told)) is not None:
            raise _complaint(error, self._headers)

    def _is_page(self, start: bytes) -> bool:
        return (
            self._content_type.startswith("text/html")
            or start.startswith((*_MARKUP, _TITLE))
            or (start.startswith(b"<") and b"cf-chl" in start)
        )

    def _decode(self, data: bytes) -> Iterator[Event]:
        try:
            text, problem = self._utf8.decode(data), None
        except UnicodeDecodeError as wrong:
            # What was right before the wrong byte goes out, so that the same bytes cut otherwise say the same.
            text, problem = wrong.object[: wrong.start].decode(), wrong
        if text:
            self._spoke = self._spoke or not text.isspace()
            yield Text(text)
        if problem:
            raise UpstreamMalformed("The upstream's answer is not UTF-8.") from problem


def _start(held: bytes) -> bytes:
    """The beginning, in small letters, without what no reader sees; empty while there may be more of that."""
    held = held[:SNIFFED]
    return b"" if _BOM.startswith(held) else held.removeprefix(_BOM).lstrip().lower()


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """What an answer other than 200 means. `headers` must be found whatever their case; `body` may be its beginning."""
    page = is_page(headers.get("content-type", ""), body)
    if is_challenge(headers, body if page else b"") or (page and status in (403, 429, 503)):
        return _page(headers, body, status)
    if 300 <= status < 400:
        return _rejected("The upstream sends us to another page: the cookie has expired.", status)
    told = _error(body) or _text(body)
    if status == 402 or (status == 403 and _speaks_of_quota(told)) or (status == 429 and _speaks_of_credit(told)):
        return QuotaExhausted(_says(told), retry_after=retry_after(headers), upstream_status=status)
    return _by_status(status, headers, told)


def signed_in(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Read the answer of `/api/auth/session`; raises Failure when nobody is signed in."""
    if status != 200:
        raise refusal(status, headers, body)
    if is_page(headers.get("content-type", ""), body):
        raise _page(headers, body)
    try:
        session = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError) as problem:
        raise UpstreamMalformed("The upstream's session page is not JSON.") from problem
    if not (isinstance(session, dict) and session.get("user")):
        raise _rejected("The upstream does not know who this cookie belongs to: it has expired.", status)


def _by_status(status: int, headers: Mapping[str, str], told: str) -> Failure:
    match status:
        case 401 | 403:
            return _rejected(_says(told), status)
        case 429:
            return Throttled(_says(told), retry_after=retry_after(headers), upstream_status=status)
        case 413:
            return ContextTooLong(_says(told), param="messages", upstream_status=status)
        case 400 | 415 | 422:
            return BadRequest(_says(told), upstream_status=status)
        case 503 | 529:
            return UpstreamOverloaded(_says(told), retry_after=retry_after(headers), upstream_status=status)
        case _:
            return UpstreamBroken(f"The upstream answered {status}. {_says(told)}", upstream_status=status)


def _page(headers: Mapping[str, str], body: bytes, status: int = 200) -> Failure:
    if is_challenge(headers, body) or (status != 200 and "cloudflare" in headers.get("server", "").lower()):
        return Challenged(
            "The upstream shows a page that asks for a human.",
            retry_after=retry_after(headers),
            upstream_status=status,
        )
    if status in (429, 503):
        return _by_status(status, headers, "")
    return _rejected("The upstream shows a page instead of an answer: the cookie has expired.", status)


def _complaint(told: str, headers: Mapping[str, str]) -> Failure:
    """An error in a body that was announced as an answer."""
    if _speaks_of_quota(told):
        return QuotaExhausted(_says(told), upstream_status=200)
    words = told.lower()
    if any(sign in words for sign in ("unauthori", "sign in", "log in", "login", "not authenticated", "session")):
        return _rejected(_says(told), 200)
    if any(sign in words for sign in ("rate limit", "too many", "slow down")):
        return Throttled(_says(told), retry_after=retry_after(headers), upstream_status=200)
    return UpstreamBroken(_says(told), upstream_status=200)


def _rejected(message: str, status: int) -> CredentialRejected:
    # A sign-in is made by a person with a browser: nobody can renew it here, so it does not count as merely expired.
    return CredentialRejected(message, upstream_status=status)


def _speaks_of_quota(told: str) -> bool:
    words = told.lower()
    return _speaks_of_credit(told) or ("limit" in words and "rate limit" not in words)


def _speaks_of_credit(told: str) -> bool:
    return any(sign in told.lower() for sign in ("credit", "quota"))


def _error(body: bytes) -> str | None:
    """The text of a JSON error; None when this is not one."""
    try:
        told: Any = msgspec.json.decode(body.removeprefix(_BOM))
    except (msgspec.DecodeError, UnicodeError):
        return None
    if not isinstance(told, dict) or not any(told.get(key) for key in _ERROR_KEYS):
        return None
    inner = told.get("error")
    if isinstance(inner, dict):
        told = inner
    parts = [str(told[key]) for key in _ERROR_KEYS if isinstance(told.get(key), str | int)]
    return ": ".join(parts) or "unknown error"


def _text(body: bytes) -> str:
    return "" if is_page("", body) else body[: 4 * _LONGEST_COMPLAINT].decode("utf-8", "replace")


def _says(told: str) -> str:
    return f"The upstream says: {' '.join(told.split())[:_LONGEST_COMPLAINT] or 'nothing more'}"
