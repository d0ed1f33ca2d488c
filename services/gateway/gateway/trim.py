"""`stop` and `max_tokens`, kept by the gateway where the upstream cannot.

Pure: events in, events out. What could be the beginning of a stop sequence is held back until it is known not to be.
"""

from __future__ import annotations

from collections.abc import Callable

from parley.chat.events import Event, Stop, Text, Usage


class Trim:
    """Cuts one answer (choice 0) short. After `done`, the answer has ended and the upstream is of no more use."""

    def __init__(self, stops: list[str], limit: int | None, count: Callable[[str], int]) -> None:
        self._stops = stops
        self._longest = max(map(len, stops), default=0)
        self._limit = limit
        self._count = count
        self._held = ""
        self._spent = 0
        self.done = False

    def feed(self, event: Event) -> list[Event]:
        """What may be passed on now that `event` has come."""
        if isinstance(event, Text):
            return self._text(event.text)
        if isinstance(event, Stop):
            # Usage may still follow a Stop, so the answer goes on after it; only held words are released.
            return [*self._release(self._take_held()), event] if not self.done else []
        if isinstance(event, Usage):
            return [event]
        return [*self._release(self._take_held()), event]

    def _text(self, text: str) -> list[Event]:
        pending = self._held + text
        # The sequence that is complete first ends the answer, wherever the pieces were cut.
        found = [(at + len(stop), at) for stop in self._stops if (at := pending.find(stop)) >= 0]
        if found:
            at = min(found)[1]
            self._held = ""
            out = self._release(pending[:at])
            if not self.done:
                self.done = True
                out.append(Stop("stop"))
            return out
        keep = self._overlap(pending)
        self._held = pending[len(pending) - keep :] if keep else ""
        return self._release(pending[: len(pending) - keep] if keep else pending)

    def _overlap(self, text: str) -> int:
        """Length of the longest end of `text` that begins a stop sequence."""
        for size in range(min(self._longest - 1, len(text)), 0, -1):
            tail = text[-size:]
            if any(stop.startswith(tail) for stop in self._stops):
                return size
        return 0

    def _take_held(self) -> str:
        held, self._held = self._held, ""
        return held

    def _release(self, text: str) -> list[Event]:
        if not text:
            return []
        if self._limit is None:
            return [Text(text)]
        cost = self._count(text)
        if self._spent + cost <= self._limit:
            self._spent += cost
            # An answer that just fills the limit may also be complete: the upstream's next event tells.
            return [Text(text)]
        self.done = True
        fitting = self._fitting(text, self._limit - self._spent)
        return [*([Text(fitting)] if fitting else []), Stop("length")]

    def _fitting(self, text: str, room: int) -> str:
        """The longest beginning of `text` that counts at most `room` tokens."""
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self._count(text[:middle]) <= room:
                low = middle
            else:
                high = middle - 1
        return text[:low]
