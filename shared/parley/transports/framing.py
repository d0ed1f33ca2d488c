"""Bytes into frames: server-sent events, lines, UTF-8. Pure: no input or output, one object per answer.

Any cutting of the same bytes gives the same frames. Only CR and LF end a line (`upstreams/openai.md` section 2.4).
"""

from __future__ import annotations

import codecs
from typing import Final

from parley.errors import UpstreamMalformed

LONGEST_LINE: Final = 16 * 2**20
_BOM: Final = b"\xef\xbb\xbf"


class SSE:
    """Server-sent events by the WHATWG rules, of which only the data matters here."""

    def __init__(self) -> None:
        self._line = _Rest()
        self._data: list[bytes] = []
        self._size = 0
        self._bom: bytes | None = b""  # what may be the beginning of one; None once that is settled
        self._after_cr = False
        self._fresh = True
        """Whether an event begins with the next chunk."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of every event that `chunk` completes. Raises UpstreamMalformed for an endless line or event."""
        # Nearly every chunk of nearly every stream is whole events of one line each: that costs a look.
        if (
            self._fresh
            and chunk.startswith(b"data: ")
            and chunk.endswith(b"\n\n")
            and b"\r" not in chunk
            and len(chunk) <= LONGEST_LINE
        ):
            if chunk.find(b"\n") == len(chunk) - 2 > 6:
                self._bom = None
                return [chunk[6:-2]]
            payloads = chunk[6:-2].split(b"\n\ndata: ")
            if chunk.count(b"\n") == 2 * len(payloads) and b"" not in payloads:
                self._bom = None
                return payloads
        events = self._feed(chunk)
        self._fresh = self._bom is None and not (self._after_cr or self._data or self._line.begun)
        return events

    def _feed(self, chunk: bytes) -> list[bytes]:
        if self._bom is not None:
            chunk = self._without_bom(chunk)
        if self._after_cr and chunk:
            # A CR at the end of the last chunk ended a line; the LF of a CRLF that was cut there is part of it.
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        events: list[bytes] = []
        for line in self._line.cut(chunk):
            self._read(line, events)
            if self._size > LONGEST_LINE:
                self._line.endless = True
                break
        if self._line.endless and not events:  # what was said before is said first, however the bytes were cut
            raise UpstreamMalformed("The upstream sent an event without an end.")
        return events

    def finish(self) -> list[bytes]:
        """The event that the end of the body completes: some services forget the last blank line."""
        if self._line.endless:
            raise UpstreamMalformed("The upstream sent an event without an end.")
        events: list[bytes] = []
        self._read(self._line.take(), events)
        self._read(b"", events)
        return events

    def _without_bom(self, chunk: bytes) -> bytes:
        begun = (self._bom or b"") + chunk
        if len(begun) < len(_BOM) and _BOM.startswith(begun):
            self._bom = begun
            return b""
        self._bom = None
        return begun.removeprefix(_BOM)

    def _read(self, line: bytes, events: list[bytes]) -> None:
        if not line:
            if self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                self._data, self._size = [], 0
                if data:
                    events.append(data)
        elif line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            self._size += len(line)
        elif line == b"data":
            self._data.append(b"")
            self._size += 1


class Lines:
    """Lines that end with LF; a CR before it is dropped, blank lines are kept."""

    def __init__(self) -> None:
        self._line = _Rest()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Every line that `chunk` completes. Raises UpstreamMalformed for an endless line."""
        lines = [line.removesuffix(b"\r") for line in self._line.cut(chunk)]
        if self._line.endless and not lines:
            raise UpstreamMalformed("The upstream sent a line without an end.")
        return lines

    def finish(self) -> list[bytes]:
        """The last line, if it had no end."""
        if self._line.endless:
            raise UpstreamMalformed("The upstream sent a line without an end.")
        rest = self._line.take()
        return [rest.removesuffix(b"\r")] if rest else []


class _Rest:
    """The line that has not ended yet, in the pieces in which it came: a long one is put together once."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self.endless = False
        """A line was too long; nothing is read any more."""

    def cut(self, chunk: bytes) -> list[bytes]:
        """Every line that `chunk` ends, up to one that is too long."""
        *ended, rest = chunk.split(b"\n")
        if ended and self._pieces:
            ended[0] = self.take() + ended[0]
        if rest:
            self._pieces.append(rest)
            self._size += len(rest)
        for position, line in enumerate(ended):
            if self.endless or len(line) > LONGEST_LINE:
                self.endless = True
                return ended[:position]
        if self._size > LONGEST_LINE:
            self.endless = True
        return ended

    @property
    def begun(self) -> bool:
        """Whether the next chunk goes on with a line (or nothing is read any more)."""
        return bool(self._pieces) or self.endless

    def take(self) -> bytes:
        """The pieces so far; the next line begins."""
        taken = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces, self._size = [], 0
        return taken


class Utf8:
    """Text from bytes, strictly; a character cut in two waits for its other half."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")

    def feed(self, chunk: bytes) -> str:
        """Every whole character so far. Raises UpstreamMalformed for bytes that are not UTF-8."""
        try:
            return self._decoder.decode(chunk)
        except UnicodeDecodeError as problem:
            raise UpstreamMalformed("The upstream's answer is not UTF-8.") from problem

    @property
    def torn(self) -> bool:
        """Whether the bytes so far end inside a character."""
        return bool(self._decoder.getstate()[0])
