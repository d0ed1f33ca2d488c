"""Bytes of a completion into events, however they are cut. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from parley.chat.events import Event
from parley.dialects.claude_web import Decoder
from parley.errors import UpstreamMalformed
from parley.transports.framing import SSE


class Reading:
    """Reads one answer's body."""

    def __init__(self) -> None:
        self._sse = SSE()
        self.decoder = Decoder()

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that `chunk` completes. Raises Failure after those that came before it."""
        for payload in self._sse.feed(chunk):
            yield from self.decoder.feed(payload)

    def finish(self) -> Iterator[Event]:
        """The events that the end of the body completes: a last one that lacks its blank line counts if it is whole."""
        for payload in self._sse.finish():
            try:
                events = self.decoder.feed(payload)
            except UpstreamMalformed:  # it was cut in the middle, as the answer was
                return
            yield from events
