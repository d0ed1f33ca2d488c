"""The vault lends credentials: to one answer at a time, in turn, and never more than the upstream bears.

What is decided is decided by one script in Redis; here it is asked, and acted upon. `lend` is one round trip when
something is free, and the limits of each credential are kept in the same. `give_back` only says so: it is synchronous,
may be called twice, never fails, and is not awaited.
While Redis does not answer, `Spare` lends this process's share.
"""

from __future__ import annotations

import logging
from asyncio import CancelledError
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Final

from parley.catalog import Upstream
from parley.clock import monotonic, sleep
from parley.errors import Failure, NothingToLend, StateUnavailable
from parley.leases import Credential, Lease, Session
from parley.sealed import Seal
from parley.state import keys, script
from parley.state.admission import Admission
from parley.state.credential_limits import Reservation
from parley.state.desk import Desk, Desks, Stamp
from parley.state.enrollment import Enrollment
from parley.state.errands import Errands
from parley.state.line import Line
from parley.state.pool import written
from parley.state.records import LostKey, Records, Unsigned, signed_in
from parley.state.renewals import Renew, Renewals
from parley.state.scopes import NOTHING, Amounts
from parley.state.script import Script
from parley.state.spare import Spare
from parley.state.standing import Standing, read_standing
from parley.state.terms import Terms, ms
from parley.state.turns import in_turn
from parley.state.verdict import ABORTED, OK, UNUSED, verdict
from parley.state.wire import Argument

_BATCH: Final = 500
_MOST_UNSAID: Final = 10_000
_START_SECONDS: Final = 1.0
_UNLIMITED: Final = 6
"""So many parts has the reply that something was lent, where its credential has no limits."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Out:
    """A lease that is out."""

    lease: Lease
    desk: Desk
    renewable: bool


class NotAdmitted(Exception):
    """The request that wants a credential was refused, or is over: whoever asked for its admission knows why."""


class Vault:
    """Lends the credentials of every upstream. One per process."""

    def __init__(
        self,
        line: Line,
        seal: Seal,
        *,
        terms: Terms | None = None,
        queue_length: int = 1000,
        admission: Admission | None = None,
        unsigned: Unsigned = signed_in,
    ) -> None:
        """`admission` keeps the limits of credentials; whoever lends none that has limits needs none."""
        self.terms = terms = terms or Terms()
        self._line = line
        self._admission = admission
        self._records = Records(seal, unsigned)
        self._desks = Desks()
        self._errands = Errands()
        self._enrollment = Enrollment(line, self._records, self._desks)
        self._renewals = Renewals(line, self._records, self._enrollment, self._errands, terms)
        self._spare = Spare(self._records, terms)
        self._out: dict[str, _Out] = {}
        self._unsaid: deque[tuple[Script, tuple[Argument, ...]]] = deque(maxlen=_MOST_UNSAID)
        self._count = count(1)
        self._queue_length = queue_length
        self._life, self._grace = ms(terms.lease), ms(terms.renew_every)
        self._window, self._ticket, self._renewal = ms(terms.window), ms(terms.ticket), ms(terms.renewal)
        line.on_up.append(self._catch_up)

    async def open(self, upstreams: Iterable[Upstream]) -> None:
        """Enroll every upstream, and keep leases alive from now on. Raises LostKey.

        Without Redis nothing is enrolled yet; that is made up for when it comes.
        """
        wanted = list(upstreams)
        for upstream in wanted:
            self._desks.take(upstream)
        until = monotonic() + _START_SECONDS
        while missing := [upstream for upstream in wanted if not self._desks.of(upstream).enrolled]:
            try:
                await self._enrollment.enroll(missing[0])
            except StateUnavailable:
                if monotonic() > until or not await self._line.ready(until - monotonic()):
                    log.warning("Redis is not there yet; until it is, credentials are lent by share")
                    break
        self._errands.run(self._keep_leases())

    async def close(self) -> None:
        """Stop renewing. Leases that are still out end by themselves."""
        await self._errands.close()

    # --- lending ------------------------------------------------------------------------------------------------------

    async def lend(
        self,
        upstream: Upstream,
        *,
        avoid: Collection[str] = (),
        wait_until: float,
        renew: Renew | None = None,
        sessions: bool = False,
        admitted_as: str = "",
        reserve: Amounts = NOTHING,
        model: str = "",
    ) -> Lease:
        """Lend a credential of `upstream`, waiting for one until `wait_until` (monotonic) at most.

        `avoid` names credentials that this request tried: they come last. `renew` makes a new secret where one ran out
        or a guest is still missing; only one caller in the fleet does that. With `sessions` a warm one comes along if
        there is one. With `admitted_as` (`Asked.id`) nothing is lent or taken, not even a place in the queue, unless
        that request was admitted; else it raises NotAdmitted, and `Asked.granted` knows why. (It may grant all the
        same, where Redis lost what it knew in between: then lend again.) What rests for `model` is not lent for it.

        A credential that has limits is lent if they have room for one more request, and for what it may take at worst:
        `reserve`. What was asked with the lease is to be settled (`Admission.settle`, which is told the lease itself)
        or released. Raises NothingToLend, LimitReached, QueueFull, StateUnavailable, or what `renew` raised.
        """
        desk = self._desks.of(upstream)
        reserved = Reservation(self._admission, desk.limits_of(upstream), reserve)
        identity = self._named(reserved)
        oldest = ms(upstream.pool.age) if sessions and upstream.pool else 0
        heard, lent = self._line.up, False

        def ask(admission: str = "") -> Awaitable[Any]:
            return self._line.run(
                script.TAKE,
                desk.prefix,
                identity,
                self._life,
                self._grace,
                upstream.concurrency,
                upstream.per_minute,
                self._window,
                max(ms(wait_until - monotonic()), 0),
                self._queue_length,
                self._ticket,
                oldest,
                0 if renew is None else self._renewal,
                admission,
                ",".join(avoid),
                model,
                *reserved.told(identity),
                late=self._unwanted,
            )

        try:
            reply = await ask(keys.admission(admitted_as) if admitted_as else "")
            if reply[0] == b"refused":
                raise NotAdmitted
            if reply[0] != b"lent":
                reply = await self._in_turn(desk, identity, reply, ask, renew)
            lent = True
            credential = desk.known.get(reply[1].decode())
            if credential is None or credential.generation != int(reply[2]):
                credential = await self._opened(desk, identity, reply)
        except (StateUnavailable, CancelledError, NothingToLend) as problem:
            if lent or (heard and not isinstance(problem, NothingToLend)):  # Redis may have lent it, or may do so yet
                reserved.never_used(identity)
            if not isinstance(problem, StateUnavailable):
                raise
            identity = self._named(reserved)  # what Redis may have lent is another lease
            credential = self._spare.choose(desk, avoid, partial(reserved.by_share, identity), model)
            lease = Lease(identity, upstream, credential, model=model, shared=False)
        else:
            session = Session(reply[5].decode(), credential.id, int(reply[3])) if reply[5] else None
            lease = Lease(identity, upstream, credential, session, model, reply[4] == 1)
            if len(reply) > _UNLIMITED:
                reserved.lent(identity, reply[_UNLIMITED].decode(), reply[_UNLIMITED + 1])
        self._out[identity] = _Out(lease, desk, renew is not None)
        desk.running[lease.credential.id] += 1
        if upstream.per_minute:
            desk.stamp(Stamp(monotonic(), identity, lease.credential.id), self.terms.window)
        return lease

    def give_back(self, lease: Lease, failure: Failure | None, *, aborted: bool = False) -> None:
        """Take a lease back, with what its answer told: all well, a failure, or nothing (`aborted`)."""
        out = self._out.pop(lease.id, None)
        if out is None:
            return
        desk, credential = out.desk, lease.credential
        desk.running[credential.id] -= 1
        found = ABORTED if aborted else OK
        if failure:
            found = verdict(failure, credential, renewable=out.renewable, model=lease.model)
        rolled = ""
        if lease.renewed is not None:
            rolled = self._records.sealed_parts(desk.upstream.name, credential.id, lease.renewed)
        if not self._line.up:
            self._spare.learn(desk.upstream.name, credential.id, found, lease.model)
            if not lease.shared:
                return  # Redis never knew of it
        self._say(
            script.RETURN, desk.prefix, lease.id, credential.id, credential.generation, *found, rolled, lease.model
        )

    def works(self, lease: Lease) -> None:
        """The upstream began to answer a probe: the credential may be lent to others again. Not awaited."""
        out = self._out.get(lease.id)
        if out and lease.probe:
            self._line.send(script.WORKS, out.desk.prefix, lease.id, lease.credential.id, lease.model)

    def note_session(self, lease: Lease, session: Session) -> None:
        """A session was opened for `lease`. If that is back by now, the session is closed soon. Not awaited."""
        if lease.id in self._out:
            lease.session = session
        prefix = self._desks.of(lease.upstream).prefix
        self._say(script.NOTE_SESSION, prefix, lease.id, lease.credential.id, written(session))

    # --- keeping ------------------------------------------------------------------------------------------------------

    async def enroll(self, upstream: Upstream) -> None:
        """Make an upstream's credentials known, also after they changed. Raises LostKey, StateUnavailable."""
        await self._enrollment.enroll(upstream)

    async def follow(self, upstreams: Iterable[Upstream]) -> None:
        """The configuration changed: what is new or changed in it can be lent. Raises LostKey."""
        await self._enrollment.follow(upstreams)

    async def retire_others(self, names: Container[str]) -> None:
        """Upstreams that are not among these left the configuration: nothing of them is lent any more."""
        await self._enrollment.retire_others(names)

    async def renew(self, upstream: Upstream, credential: str, renew: Renew, *, generation: int | None = None) -> bool:
        """Renew a credential that is new or expired (or still has that `generation`), if nobody else is at it.

        Returns whether it was renewed. Raises what `renew` raised, after the credential was sent to rest for it.
        """
        desk = self._desks.of(upstream)
        fence = await self._renewals.claim(desk, credential, generation)
        return fence is not None and await self._renewals.renew(desk, credential, fence, renew)

    def report(self, upstream: Upstream, credential: Credential, failure: Failure) -> None:
        """The keeper's own call failed: whoever is to blame rests as after an answer. Not awaited."""
        found = verdict(failure, credential, renewable=True)
        self._line.send(script.REPORT, self._desks.of(upstream).prefix, credential.id, credential.generation, *found)

    def found_well(self, upstream: Upstream, credential: Credential, refusal: str) -> None:
        """A probe found the credential well, which ends a rest for the reason `refusal`, and no other. Not awaited."""
        found = OK._replace(outcome="well", reason=refusal)
        self._line.send(script.REPORT, self._desks.of(upstream).prefix, credential.id, credential.generation, *found)

    async def credential(self, upstream: Upstream, credential: str) -> Credential:
        """The newest state of a credential, also of one that left the configuration less than a day ago."""
        return await self._enrollment.credential(self._desks.of(upstream), credential)

    async def snapshot(self, upstream: Upstream) -> Standing:
        """How an upstream stands now. Also ends leases that nobody renewed."""
        desk = self._desks.of(upstream)
        standing = read_standing(await self._line.run(script.SNAPSHOT, desk.prefix, self._grace, self._window))
        desk.saw(standing)
        return standing

    async def look(self, living: int, place: int) -> None:
        """See how everything stands, and prepare for Redis going away: know our share, have every usable secret."""
        self._spare.fleet(living, place)
        for desk in self._desks:
            standing = await self.snapshot(desk.upstream)
            if not standing.credentials:
                await self._enrollment.enroll(desk.upstream)
            for row in standing.credentials:
                known = desk.known.get(row.id)
                if row.state == "ok" and (known is None or known.generation != row.generation):
                    await self._enrollment.credential(desk, row.id)

    @property
    def standings(self) -> dict[str, Standing | None]:
        """How each upstream stood when it was last seen."""
        return {desk.upstream.name: desk.standing for desk in self._desks}

    def busy(self, upstream: str) -> int:
        """Answers under way at an upstream and requests waiting there, over all replicas; asks nobody (`Desk.busy`)."""
        desk = self._desks.named(upstream)
        return desk.busy if desk else 0

    def rests(self, upstream: str) -> bool:
        """Whether an upstream, or every credential of it, rested when it was last seen; asks nobody."""
        desk = self._desks.named(upstream)
        return desk.rests if desk else False

    @property
    def out(self) -> int:
        """Leases that this process holds."""
        return len(self._out)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _named(self, reserved: Reservation) -> str:
        """A name for the next lease: whose it is (`parley.state.holders`), and for how much room it waits."""
        return f"{self._line.name}-{next(self._count):x}{reserved.size}"

    async def _in_turn(
        self, desk: Desk, identity: str, reply: list[Any], ask: Callable[[], Awaitable[Any]], renew: Renew | None
    ) -> list[Any]:
        async def renew_it(asked: list[Any]) -> None:
            if renew is not None:  # else the script was told so, and asks for no renewal
                await self._renewals.renew(desk, asked[1].decode(), int(asked[4]), renew)

        try:
            reply = await in_turn(desk.upstream.name, reply, ask, renew_it)
            if reply[0] == b"none" and self._desks.has(desk):  # Redis was emptied
                await self._enrollment.enroll(desk.upstream)
                reply = await in_turn(desk.upstream.name, await ask(), ask, renew_it)
        except BaseException:
            self._say(script.LEAVE, desk.prefix, identity)
            raise
        if reply[0] == b"none":
            raise NothingToLend(f"'{desk.upstream.name}' has no credential.", retry_after=1.0)
        return reply

    async def _opened(self, desk: Desk, identity: str, reply: list[Any]) -> Credential:
        """The secret that goes with a lease: it was renewed since this process last saw it."""
        try:
            return await self._enrollment.credential(desk, reply[1].decode())
        except BaseException as problem:
            self._say(script.RETURN, desk.prefix, identity, reply[1], reply[2], *UNUSED, "", "")
            if isinstance(problem, LostKey):  # seen at the start too, unless Redis came later than we did
                log.critical("%s", problem)
                raise NothingToLend("The credentials in Redis were sealed with another key.") from problem
            raise

    def _unwanted(self, command: tuple[Argument, ...], reply: list[Any]) -> None:
        """Something was lent, or a place in the queue given, to a caller who did not wait for it."""
        prefix, identity = command[3], command[4]
        if reply[0] == b"lent":
            self._say(script.RETURN, prefix, identity, reply[1], reply[2], *UNUSED, "", "")
            if len(reply) > _UNLIMITED and self._admission is not None:
                self._admission.never_used(str(identity))
        elif reply[0] == b"renew":
            self._say(script.RENEWAL_FAILED, prefix, reply[1], reply[4], *ABORTED, 0, 0)
        if reply[0] in (b"wait", b"renew"):
            self._say(script.LEAVE, prefix, identity)

    def _say(self, what: Script, *command: Argument) -> None:
        """Tell Redis, now or when it is back."""
        if not self._line.send(what, *command):
            self._unsaid.append((what, command))

    def _catch_up(self) -> None:
        """Redis is back, perhaps without its last moments: first of all it is told what happened."""
        self._spare.forget()
        for desk in self._desks:
            told = [(stamp.credential, stamp.lease, ago) for stamp, ago in desk.recent(self.terms.window)]
            for batch in _batches(told):
                self._line.send(script.ADOPT, desk.prefix, self._window, *batch)
        self._renew_leases()
        while self._unsaid and self._line.send(self._unsaid[0][0], *self._unsaid[0][1]):
            self._unsaid.popleft()
        self._errands.run(self._enrollment.enroll_rest())

    async def _keep_leases(self) -> None:
        while True:
            await sleep(self.terms.renew_every)
            self._renew_leases()

    def _renew_leases(self) -> None:
        by_desk: dict[str, list[tuple[Argument, ...]]] = {}
        for out in self._out.values():
            lease = out.lease
            session = written(lease.session) if lease.session else ""
            by_desk.setdefault(out.desk.prefix, []).append((lease.id, lease.credential.id, session))
        for prefix, leases in by_desk.items():
            for batch in _batches(leases):
                self._line.send(script.RENEW_LEASES, prefix, self._life, *batch)


def _batches(items: Sequence[Sequence[Argument]]) -> Iterable[list[Argument]]:
    for start in range(0, len(items), _BATCH):
        yield [fact for item in items[start : start + _BATCH] for fact in item]
