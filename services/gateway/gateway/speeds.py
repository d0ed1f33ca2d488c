"""How long candidates take to their first token: what this process saw of late.

Each process learns by itself. What it measures includes its own way to the upstream, and nothing has to be told to
anybody or waited for; the price is that each process tries each candidate once itself, and again now and then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from gateway.routing import Candidate
from parley.clock import monotonic

_NEW: Final = 0.3
"""How much the newest answer counts in the average."""
_AT_LEAST: Final = 10.0
"""Seconds that a failure counts as, lest failing fast be taken for speed."""
_TRY: Final = 10.0
"""Seconds that one who is tried gets no others, unless it speaks before."""
_MOST: Final = 1000
"""Candidates that are remembered: where callers choose the model's name, they could name any number."""


@dataclass(slots=True)
class _Known:
    seconds: float | None = None
    seen: float = -math.inf
    tried: float = -math.inf


class Speeds:
    """By upstream and model. What is older than `recent` seconds is not believed: the candidate is tried again."""

    def __init__(self, recent: float = 60.0) -> None:
        self._recent = recent
        self._known: dict[tuple[str, str], _Known] = {}

    def spoke(self, candidate: Candidate, seconds: float) -> None:
        """A candidate said its first token after so many seconds."""
        known = self._of(candidate)
        known.seconds = seconds if known.seconds is None else known.seconds + _NEW * (seconds - known.seconds)
        known.seen = monotonic()

    def failed(self, candidate: Candidate) -> None:
        """A candidate failed before it said anything."""
        known = self._of(candidate)
        known.seconds = max(2 * (known.seconds or 0.0), _AT_LEAST)
        known.seen = monotonic()

    def expected(self, candidate: Candidate) -> float:
        """Seconds to be expected; below 0 for one who should be tried, and infinite while somebody tries it."""
        known, moment = self._of(candidate), monotonic()
        if known.seconds is not None and moment - known.seen < self._recent:
            return known.seconds
        if moment - known.tried < _TRY:
            return math.inf if known.seconds is None else known.seconds
        return -1.0

    def tries(self, candidate: Candidate) -> None:
        """A candidate is asked now."""
        self._of(candidate).tried = monotonic()

    def _of(self, candidate: Candidate) -> _Known:
        which = candidate.upstream.name, candidate.model
        if (known := self._known.get(which)) is None:
            if len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            known = self._known[which] = _Known()
        return known
