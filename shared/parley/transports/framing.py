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
        self._rest = b""
        self._data: list[bytes] = []
        self._begun = False
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of every event that `chunk` completes. Raises UpstreamMalformed for an endless line."""
        if self._after_cr and chunk:
            # A CR at the end of the last chunk ended a line; the LF of a CRLF that was cut there is part of it.
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        buffer = self._rest + chunk if self._rest else chunk
        if not self._begun:
            if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
                self._rest = buffer
                return []
            self._begun = True
            buffer = buffer.removeprefix(_BOM)
        if b"\r" in buffer:
            self._after_cr = buffer.endswith(b"\r")
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = buffer.split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise UpstreamMalformed("The upstream sent a line without an end.")
        events: list[bytes] = []
        for line in lines:
            self._line(line, events)
        return events

    def finish(self) -> list[bytes]:
        """The event that the end of the body completes: some services forget the last blank line."""
        events: list[bytes] = []
        rest, self._rest = self._rest, b""
        if rest:
            self._line(rest, events)
        self._line(b"", events)
        return events

    def _line(self, line: bytes, events: list[bytes]) -> None:
        if not line:
            if self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                self._data = []
                if data:
                    events.append(data)
        elif line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            self._data.append(b"")


class Lines:
    """Lines that end with LF; a CR before it is dropped, blank lines are kept."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Every line that `chunk` completes. Raises UpstreamMalformed for an endless line."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise UpstreamMalformed("The upstream sent a line without an end.")
        return [line.removesuffix(b"\r") for line in lines]

    def finish(self) -> list[bytes]:
        """The last line, if it had no end."""
        rest, self._rest = self._rest, b""
        return [rest.removesuffix(b"\r")] if rest else []


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
