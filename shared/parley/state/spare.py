"""Lending while Redis is slow or gone: each process keeps to its share of what was left, so that all stay in the limit.

* What was last seen counts: how many leases were out and paced, and how many processes were alive (a heartbeat of one
  second). For the rest of that window a process lends its share of what remained; later its share of the whole limit.
  What does not divide goes to the first processes in the order of their names.
* Credentials are those last known to work, in turn. One that fails now rests in this process.
* No warm session is taken and no guest is made: that is for all to know, and nobody can be told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from parley.clock import monotonic
from parley.errors import LimitReached, NothingToLend, OverLimit, QueueFull, StateUnavailable
from parley.leases import Credential
from parley.state.desk import Desk
from parley.state.records import Records
from parley.state.standing import CredentialStanding
from parley.state.terms import Terms
from parley.state.verdict import Verdict


class Spare:
    """This process's share."""

    def __init__(self, records: Records, terms: Terms) -> None:
        self._records = records
        self._terms = terms
        self._living = 0
        self._place = 0
        self._turns: dict[str, int] = {}
        self._rests: dict[tuple[str, str, str], float] = {}

    def fleet(self, living: int, place: int) -> None:
        """So many processes lend, and this one has that place among them."""
        self._living, self._place = living, place

    def learn(self, upstream: str, credential: str, verdict: Verdict, model: str = "") -> None:
        """A lease ended without Redis being told."""
        if verdict.outcome == "failed" and verdict.base and verdict.blame != "nobody":
            of_model = verdict.blame == "model"
            who = upstream, "" if verdict.blame == "upstream" else credential, model if of_model else ""
            rest = min(verdict.hint or verdict.base, verdict.longest) / 1000
            self._rests[who] = max(self._rests.get(who, 0.0), monotonic() + rest)

    def forget(self) -> None:
        """Redis is back, and knows better."""
        self._rests.clear()

    def choose(
        self, desk: Desk, avoid: Collection[str], admit: Callable[[Credential], None], model: str = ""
    ) -> Credential:
        """The next credential within the share, which `admit` counts for its limits (or raises OverLimit).

        Raises StateUnavailable, NothingToLend, LimitReached or QueueFull.
        """
        name, moment = desk.upstream.name, monotonic()
        usable = list(self._usable(desk, model))
        if not usable:
            raise StateUnavailable("Redis does not answer, and no credential is known to work.", retry_after=1.0)
        rests = [
            max(self._rests.get((name, *of), 0.0) for of in ((who, model), (who, ""), ("", ""))) for who, _ in usable
        ]
        turn = self._turns.get(name, 0)
        paced = busy = False
        for kind in (False, True):  # those that this request tried already come last
            for step in range(len(usable)):
                at = (turn + step) % len(usable)
                credential, standing = usable[at][1], self._standing(desk, usable[at][0])
                if (credential.id in avoid) is not kind or rests[at] > moment:
                    continue
                if not self._has_room(desk, credential.id, standing):
                    busy = True
                elif not self._has_pace(desk, credential.id, standing):
                    paced = True
                else:
                    try:
                        admit(credential)
                    except OverLimit:
                        paced = True
                        continue
                    self._turns[name] = at + 1
                    return credential
        if paced:
            raise LimitReached("The limit is reached for now; Redis does not answer.", retry_after=1.0)
        if busy:
            raise QueueFull("Every credential is busy; Redis does not answer.", retry_after=1.0)
        raise NothingToLend(f"No credential for '{name}' can be used just now.", retry_after=min(rests) - moment)

    def _usable(self, desk: Desk, model: str) -> Iterator[tuple[str, Credential]]:
        """Credentials that worked when Redis was last seen and whose secret this process has."""
        if desk.standing is None:
            if not desk.upstream.concurrency and not desk.upstream.per_minute:  # else nobody knows what is left
                yield from self._records.configured(desk.upstream).items()
            return
        since = monotonic() - desk.standing.seen
        if desk.standing.rests > since:
            return
        for standing in desk.standing.credentials:
            credential = desk.known.get(standing.id)
            rests = max(standing.rests, *(one.rests for one in standing.models if one.model == model), 0.0)
            if credential and standing.state == "ok" and rests <= since:
                yield standing.id, credential

    def _standing(self, desk: Desk, credential: str) -> CredentialStanding | None:
        rows = desk.standing.credentials if desk.standing else ()
        return next((row for row in rows if row.id == credential), None)

    def _has_room(self, desk: Desk, credential: str, standing: CredentialStanding | None) -> bool:
        limit = desk.upstream.concurrency
        if not limit or standing is None:
            return not limit
        allowed = self._share(limit)
        if self._fresh(desk):
            allowed = desk.running_then[credential] + self._share(max(limit - standing.held, 0))
        return desk.running[credential] < allowed

    def _has_pace(self, desk: Desk, credential: str, standing: CredentialStanding | None) -> bool:
        limit = desk.upstream.per_minute
        if not limit or standing is None or desk.standing is None:
            return not limit
        moment = monotonic()
        since = moment - self._terms.window
        allowed = self._share(limit)
        if self._fresh(desk):
            since = desk.standing.seen
            allowed = self._share(max(limit - standing.paced, 0))
        return sum(1 for stamp in desk.stamps if stamp.credential == credential and stamp.at > since) < allowed

    def _fresh(self, desk: Desk) -> bool:
        """Whether the window in which Redis was last seen is still running."""
        return desk.standing is not None and monotonic() < desk.standing.seen + self._terms.window

    def _share(self, amount: int) -> int:
        if not self._living:
            return 0
        return amount // self._living + (self._place < amount % self._living)
