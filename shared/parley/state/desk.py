"""Desk: what this process keeps in memory of one upstream. All of it may be forgotten at any time."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from parley.catalog import Upstream
from parley.leases import Credential
from parley.state import keys
from parley.state.standing import Standing


class Stamp(NamedTuple):
    """A lease that counts for pacing: when (monotonic), which, of which credential."""

    at: float
    lease: str
    credential: str


@dataclass(slots=True)
class Desk:
    """One upstream, as this process knows it."""

    upstream: Upstream
    enrolled: bool = False
    known: dict[str, Credential] = field(default_factory=dict)
    """Opened credentials by id, the newest generation of each."""
    running: Counter[str] = field(default_factory=Counter)
    """Answers under way in this process, by credential."""
    stamps: deque[Stamp] = field(default_factory=deque)
    """Of the last window, oldest first, where pacing counts them."""
    standing: Standing | None = None
    running_then: Counter[str] = field(default_factory=Counter)
    """`running` at the moment of `standing`."""
    prefix: str = ""

    def __post_init__(self) -> None:
        self.prefix = keys.prefix(self.upstream.name)

    def stamp(self, stamp: Stamp, window: float) -> None:
        """Remember a lease for pacing; forget those that do not count any more."""
        while self.stamps and self.stamps[0].at <= stamp.at - window:
            self.stamps.popleft()
        self.stamps.append(stamp)

    def saw(self, standing: Standing) -> None:
        """Take note of how the upstream stands."""
        self.standing = standing
        self.running_then = Counter(self.running)
