"""Tally: one sliding window of one scope as one process sees it: what Redis said, and the process's own part in it.

While Redis answers it is only kept; when it does not, it says how much of the process's share is left. While the window
in which Redis last spoke is still running, that is a share of what was left then; later, a share of the whole limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_CELLS: Final = 300
"""Entries at most: those that come close together are one, and leave with the last of them."""


@dataclass(slots=True)
class Entry:
    """Requests and tokens that count until a window after `at` (monotonic)."""

    at: float
    requests: int
    tokens: int


class Tally:
    """The window of `length` seconds. Amounts are pairs: requests, tokens."""

    __slots__ = ("_entries", "_own", "_seen", "_since", "_used", "length")

    def __init__(self, length: float, seen: float) -> None:
        self.length = length
        self._seen = seen
        self._used = (0, 0)
        self._since = (0, 0)
        self._own = (0, 0)
        self._entries: list[Entry] = []

    def saw(self, requests: int, tokens: int, moment: float) -> None:
        """Redis said just now what is in the window, our own part included."""
        self._seen = moment
        self._used = (requests, tokens)
        self._since = (0, 0)

    def add(self, moment: float, tokens: int) -> Entry:
        """We admitted a request."""
        self._forget(moment)
        cell = self.length / _CELLS
        if not self._entries or self._entries[-1].at < moment:
            self._entries.append(Entry((moment // cell + 1) * cell, 0, 0))
        entry = self._entries[-1]
        self._change(entry, 1, tokens)
        return entry

    def change(self, entry: Entry, tokens: int, moment: float) -> None:
        """What was added turned out to be so much more or less. If it has left the window, nothing changes."""
        if tokens and entry.at > moment - self.length:
            self._change(entry, 0, tokens)

    def left(self, limit: int, what: int, share: Callable[[int], int], moment: float) -> int:
        """How much of `limit` (of requests or of tokens) this process may still admit."""
        if moment < self._seen + self.length:
            return share(max(limit - self._used[what], 0)) - self._since[what]
        self._forget(moment)
        return share(limit) - self._own[what]

    def _change(self, entry: Entry, requests: int, tokens: int) -> None:
        entry.requests += requests
        entry.tokens += tokens
        self._own = (self._own[0] + requests, self._own[1] + tokens)
        self._since = (self._since[0] + requests, self._since[1] + tokens)

    def _forget(self, moment: float) -> None:
        over = 0
        for entry in self._entries:
            if entry.at > moment - self.length:
                break
            self._own = (self._own[0] - entry.requests, self._own[1] - entry.tokens)
            over += 1
        if over:
            del self._entries[:over]
