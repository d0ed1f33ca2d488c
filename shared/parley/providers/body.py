"""Bytes of an answer into events, however they are cut. Pure.

A service may answer a stream's request with a completion in one piece, or with a page. Which it is, the first byte
tells: what services say of the content's type is often wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol

from parley.chat.events import Event
from parley.dialects.openai import failure_of
from parley.errors import UpstreamEmpty, UpstreamMalformed
from parley.transports.framing import LONGEST_LINE, SSE

_BLANK: Final = b"\xef\xbb\xbf \t\r\n"
_BEGINNINGS: Final = b"{<:deir"
"""JSON, a page, a comment, and the fields of a stream: data, event, id, retry."""


class Decoder(Protocol):
    """Payloads into events, such as `parley.dialects.openai.Decoder`."""

    @property
    def done(self) -> bool:
        """The service said that this was all."""
        ...

    def feed(self, payload: bytes) -> list[Event]:
        """Events of one payload. Raises Failure."""
        ...

    def finish(self) -> list[Event]:
        """What remains to be said at the end of the body. Raises Failure."""
        ...


class Body:
    """Feed it the body's bytes as they come, then `finish`."""

    def __init__(self, headers: Mapping[str, str], decoder: Decoder) -> None:
        self._headers = headers
        self._sse = SSE()
        self._decoder = decoder
        self._begun: bytes | None = b""  # blanks, until the first byte that tells
        self._whole: list[bytes] | None = None
        self._size = 0
        self._strange = False
        """Whether it began like nothing that a service should say."""

    @property
    def done(self) -> bool:
        """Whether the service said that this was all."""
        return self._decoder.done

    def feed(self, chunk: bytes) -> Iterable[Event]:
        """The events that `chunk` completes. Raises Failure after those that came before it."""
        if self._begun is None and self._whole is None:
            payloads = self._sse.feed(chunk)
            return self._decoder.feed(payloads[0]) if len(payloads) == 1 else self._each(payloads)
        return self._beginning(chunk)

    def _each(self, payloads: list[bytes]) -> Iterator[Event]:
        for payload in payloads:
            yield from self._decoder.feed(payload)

    def _beginning(self, chunk: bytes) -> Iterable[Event]:
        if self._begun is not None:
            chunk = self._begun + chunk
            start = chunk.lstrip(_BLANK)
            if not start:
                self._begun = chunk
                return ()
            self._begun = None
            self._strange = start[0] not in _BEGINNINGS
            if start.startswith((b"{", b"<")):
                self._whole, chunk = [], start
        if self._whole is not None:
            self._size += len(chunk)
            if self._size > LONGEST_LINE:
                raise UpstreamMalformed("The upstream's answer is too large.")
            self._whole.append(chunk)
            return ()
        return self._each(self._sse.feed(chunk))

    def finish(self) -> Iterator[Event]:
        """The events that the end of the body completes, and the usage. Raises Failure."""
        if self._whole is not None:
            body = b"".join(self._whole)
            if body.startswith(b"<"):
                raise failure_of(502, self._headers, body)
            yield from self._decoder.feed(body)
        for payload in self._sse.finish():
            yield from self._decoder.feed(payload)
        try:
            yield from self._decoder.finish()
        except UpstreamEmpty:
            if self._strange:
                raise UpstreamMalformed("The upstream's answer is neither a stream nor JSON.") from None
            raise
