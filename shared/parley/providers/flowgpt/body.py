"""Bytes of an answer into events, however they are cut. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from parley.chat.events import Event
from parley.dialects.flowgpt import Cleaner, Decoder
from parley.transports.framing import Lines


class Body:
    """Feed it the body's bytes as they come, then `finish`. Both raise Failure after the events that came before it."""

    def __init__(self, headers: Mapping[str, str], cleaner: Cleaner) -> None:
        self._lines = Lines()
        self._decoder = Decoder(headers, cleaner)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that `chunk` completes."""
        for line in self._lines.feed(chunk):
            yield from self._decoder.feed(line)

    def finish(self) -> Iterator[Event]:
        """The events that the end of the body completes."""
        for line in self._lines.finish():
            yield from self._decoder.feed(line, whole=False)
        yield from self._decoder.finish()
