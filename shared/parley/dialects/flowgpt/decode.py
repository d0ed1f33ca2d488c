"""An answer of FlowGPT: lines of JSON; those with `"event": "text"` are words (`upstreams/flowgpt.md` section 1.4).

The end of the body is the end of the answer: there is no other mark. Other events are not for us, unless they tell of a
failure. Only CR LF and LF end a line; U+2028 and its kin are letters like others.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from parley.chat.events import Event, Stop, Text
from parley.dialects.challenge import LOOK, is_page
from parley.dialects.flowgpt.clean import Cleaner
from parley.dialects.flowgpt.refusals import complaint, page_instead
from parley.errors import UpstreamEmpty, UpstreamMalformed, UpstreamTruncated

_FAILED: Final = frozenset({"error", "failed", "exception"})
_COMPLAINTS: Final = ("error", "message", "code")


class Decoder:
    """Reads one answer: feed it line by line, then `finish`. Both raise Failure."""

    def __init__(self, headers: Mapping[str, str], cleaner: Cleaner) -> None:
        self._headers = headers
        self._cleaner = cleaner
        self._page: bytes | None = None  # what came instead of an answer, once that is clear
        self._begun = False
        self._spoke = False
        self._blanks = ""  # blanks are words only where words follow

    def feed(self, line: bytes, *, whole: bool = True) -> Iterator[Event]:
        """The words in a line; it is not `whole` when the body ended before the line did."""
        if self._page is not None:
            self._page += b"\n" + line
            if len(self._page) > LOOK:
                raise page_instead(self._headers, self._page)
            return
        text = line.strip() if self._begun else line.removeprefix(codecs.BOM_UTF8).strip()
        if not text:
            return
        if not self._begun and text.startswith(b"<"):
            self._page = text
            return
        self._begun = True
        yield from self._read(_object(text, whole=whole))

    def finish(self) -> Iterator[Event]:
        """The end of the body: what was held back, and Stop."""
        if self._page is not None:
            raise page_instead(self._headers, self._page)
        yield from self._said(self._cleaner.finish())
        if not self._spoke:
            raise UpstreamEmpty("The upstream's answer has no words in it.")
        yield Stop("stop")

    def _read(self, told: dict[str, Any]) -> Iterator[Event]:
        event, data = told.get("event"), told.get("data")
        if event == "text":
            if isinstance(data, str):
                yield from self._said(self._cleaner.feed(data))
        elif event in _FAILED or (event is None and any(told.get(name) for name in _COMPLAINTS)):
            raise complaint(told)

    def _said(self, words: str) -> Iterator[Event]:
        if not self._spoke:
            words = self._blanks + words
            self._spoke = bool(words.strip())
            self._blanks = "" if self._spoke else words
        if words and self._spoke:
            yield Text(words)


def conversation_id(headers: Mapping[str, str], body: bytes) -> str:
    """The id of the conversation that was just made. Raises Failure when there is none."""
    if is_page(headers.get("content-type", ""), body):
        raise page_instead(headers, body)
    told = _object(body.strip(), whole=True)
    if not isinstance(found := told.get("id"), str) or not found:
        raise UpstreamMalformed("The upstream made a conversation without an id.")
    return found


def _object(text: bytes, *, whole: bool) -> dict[str, Any]:
    """The JSON object of a line; a last line without an end that is none broke off."""
    try:
        told = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        if not whole and text.startswith(b"{"):
            raise UpstreamTruncated("The upstream's answer ended in the middle of a line.") from problem
        raise UpstreamMalformed("The upstream sent a line that is not JSON.") from problem
    if not isinstance(told, dict):
        raise UpstreamMalformed("The upstream sent a line that is not a JSON object.")
    return told
