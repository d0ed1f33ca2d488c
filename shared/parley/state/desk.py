"""Desk: what this process keeps in memory of one upstream: a copy of what Redis knows, and its own part in it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from parley.catalog import Upstream
from parley.clock import monotonic
from parley.leases import Credential
from parley.state import keys
from parley.state.credential_limits import CredentialLimits
from parley.state.standing import Standing
from parley.state.terms import ms


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
    _limits: CredentialLimits | None = None

    def __post_init__(self) -> None:
        self.prefix = keys.prefix(self.upstream.name)

    def limits_of(self, upstream: Upstream) -> CredentialLimits:
        """The limits of each credential, in the revision of the upstream that a request began with."""
        if self._limits is None or self._limits.upstream is not upstream:
            self._limits = CredentialLimits(upstream)
        return self._limits

    def stamp(self, stamp: Stamp, window: float) -> None:
        """Remember a lease for pacing; forget those that do not count any more."""
        while self.stamps and self.stamps[0].at <= stamp.at - window:
            self.stamps.popleft()
        self.stamps.append(stamp)

    def recent(self, window: float) -> Iterator[tuple[Stamp, int]]:
        """The stamps that still count, each with how many milliseconds ago it was."""
        moment = monotonic()
        return ((stamp, ms(moment - stamp.at)) for stamp in self.stamps if stamp.at > moment - window)

    @property
    def busy(self) -> int:
        """Answers under way and requests waiting: this process's own now, the others' as of the last look."""
        own = sum(self.running.values())
        if self.standing is None:
            return own
        seen = self.standing.held + self.standing.waiting
        return max(seen - sum(self.running_then.values()), 0) + own

    @property
    def rests(self) -> bool:
        """Whether nothing is lent here just now, as far as the last look told."""
        if self.standing is None:
            return False
        since = monotonic() - self.standing.seen
        rows = self.standing.credentials
        return self.standing.rests > since or (bool(rows) and all(row.rests > since for row in rows))

    def saw(self, standing: Standing) -> None:
        """Take note of how the upstream stands."""
        self.standing = standing
        self.running_then = Counter(self.running)


class Desks:
    """The desks of all upstreams that this process has met."""

    def __init__(self) -> None:
        self._by_name: dict[str, Desk] = {}

    def take(self, upstream: Upstream) -> Desk:
        """The desk of an upstream as it is from now on."""
        desk = self._by_name.get(upstream.name)
        if desk is None:
            desk = self._by_name[upstream.name] = Desk(upstream)
        elif desk.upstream != upstream:
            desk.upstream = upstream
            desk.enrolled = False
        return desk

    def of(self, upstream: Upstream) -> Desk:
        """The desk of an upstream, for a request that began with it. It may have changed since, or be gone: then the
        desk is nobody's, and what the request knew is not made known again."""
        return self._by_name.get(upstream.name) or Desk(upstream)

    def has(self, desk: Desk) -> bool:
        """Whether a desk is of an upstream that is still there."""
        return self._by_name.get(desk.upstream.name) is desk

    def drop(self, upstream: Upstream) -> Desk | None:
        """Clear the desk of an upstream that is gone."""
        return self._by_name.pop(upstream.name, None)

    def named(self, upstream: str) -> Desk | None:
        """The desk of that name, if it was met."""
        return self._by_name.get(upstream)

    def __iter__(self) -> Iterator[Desk]:
        return iter(list(self._by_name.values()))
