"""The vault lends credentials: to one answer at a time, in turn, and never more than the upstream bears.

What is decided is decided by one script in Redis; here it is asked, and acted upon. `lend` is one round trip when
something is free. `give_back` only says so: it is synchronous, may be called twice, never fails, and is not awaited.
While Redis does not answer, `Spare` lends this process's share.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, TypeVar

from parley.catalog import Upstream
from parley.clock import monotonic, sleep
from parley.errors import Failure, NothingToLend, StateUnavailable
from parley.leases import Credential, Lease, Renewal, Session
from parley.sealed import Seal
from parley.state import keys, script
from parley.state.desk import Desk, Stamp
from parley.state.line import Line
from parley.state.records import FIELDS, LostKey, Records
from parley.state.spare import Spare
from parley.state.standing import Standing, read_standing
from parley.state.terms import Terms, ms
from parley.state.turns import in_turn
from parley.state.verdict import ABORTED, OK, Verdict, verdict
from parley.state.wire import Argument

Renew = Callable[[Credential], Awaitable[Renewal]]

_BATCH: Final = 500
_MOST_UNSAID: Final = 10_000

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Out:
    """A lease that is out."""

    lease: Lease
    desk: Desk
    renewable: bool


class Vault:
    """Lends the credentials of every upstream. One per process."""

    def __init__(self, line: Line, seal: Seal, *, terms: Terms | None = None, queue_length: int = 1000) -> None:
        self.terms = terms = terms or Terms()
        self._line = line
        self._records = Records(seal)
        self._spare = Spare(self._records, terms)
        self._queue_length = queue_length
        self._desks: dict[str, Desk] = {}
        self._out: dict[str, _Out] = {}
        self._unsaid: deque[tuple[Argument, ...]] = deque(maxlen=_MOST_UNSAID)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._name = secrets.token_hex(4)
        self._count = count(1)
        self._life, self._grace = ms(terms.lease), ms(terms.renew_every)
        self._window, self._ticket, self._renewal = ms(terms.window), ms(terms.ticket), ms(terms.renewal)
        line.on_up.append(self._catch_up)

    # --- life ------------------------------------------------------------------------------------------------------

    async def open(self, upstreams: Iterable[Upstream]) -> None:
        """Enroll every upstream, and keep leases alive from now on. Raises LostKey.

        Without Redis nothing is enrolled yet; that is made up for when it comes.
        """
        for upstream in upstreams:
            self._desk(upstream)
        try:
            for desk in self._desks.values():
                await self.enroll(desk.upstream)
        except StateUnavailable:
            log.warning("Redis is not there yet; credentials are lent by share until it is")
        self._spawn(self._keep_leases())

    async def close(self) -> None:
        """Stop renewing. Leases that are still out end by themselves."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def enroll(self, upstream: Upstream) -> None:
        """Make the credentials of an upstream known to Redis; what is there already stays. Raises LostKey."""
        desk = self._desk(upstream)
        await self._check_seal()
        await self._line.run(script.ENROLL, desk.prefix, *self._records.enrollment(upstream))
        desk.enrolled = True

    # --- lending -----------------------------------------------------------------------------------------------------

    async def lend(
        self,
        upstream: Upstream,
        *,
        avoid: Collection[str] = (),
        wait_until: float,
        renew: Renew | None = None,
        sessions: bool = False,
    ) -> Lease:
        """Lend a credential of `upstream`, waiting for one until `wait_until` (monotonic) at most.

        `avoid` names credentials that this request tried: they come last. `renew` makes a new secret where one ran out
        or a guest is still missing; only one caller in the fleet does that. With `sessions` a warm one comes along if
        there is one. Raises NothingToLend, LimitReached, QueueFull, StateUnavailable, or what `renew` raised.
        """
        desk = self._desk(upstream)
        identity = f"{self._name}-{next(self._count):x}"
        oldest = ms(upstream.pool.age) if sessions and upstream.pool else 0

        def ask() -> Awaitable[Any]:
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
                *avoid,
                late=self._unwanted,
            )

        try:
            reply = await ask()
            if reply[0] != b"lent":
                reply = await self._in_turn(desk, identity, reply, ask, renew)
            credential = desk.known.get(reply[1].decode())
            if credential is None or credential.generation != int(reply[2]):
                credential = await self._opened(desk, identity, reply)
        except StateUnavailable:
            return self._lend_spare(desk, identity, avoid, renewable=renew is not None)
        session = Session(reply[5].decode(), credential.id, int(reply[3])) if reply[5] else None
        lease = Lease(identity, upstream, credential, session, reply[4] == 1)
        self._went_out(desk, lease, renewable=renew is not None)
        return lease

    def give_back(self, lease: Lease, failure: Failure | None, *, aborted: bool = False) -> None:
        """Take a lease back, with what its answer told: well, failed, or `aborted` (nothing was learned)."""
        out = self._out.pop(lease.id, None)
        if out is None:
            return
        desk, credential = out.desk, lease.credential
        desk.running[credential.id] -= 1
        if failure is not None:
            found = verdict(failure, credential, renewable=out.renewable)
        else:
            found = ABORTED if aborted else OK
        rolled = ""
        if lease.renewed is not None:
            rolled = self._records.sealed_parts(desk.upstream.name, credential.id, lease.renewed)
        said = (desk.prefix, lease.id, credential.id, credential.generation, *found, rolled)
        if not self._line.send(script.RETURN, *said):
            self._spare.learn(desk.upstream.name, credential.id, found)
            if lease.shared:
                self._unsaid.append(said)

    def works(self, lease: Lease) -> None:
        """The upstream began to answer a probe: the credential may be lent to others again. Not awaited."""
        if lease.probe and lease.id in self._out:
            self._line.send(script.WORKS, keys.prefix(lease.upstream.name), lease.id, lease.credential.id)

    def note_session(self, lease: Lease, session: Session) -> None:
        """A session was opened for `lease`. If that is back by now, the session is closed soon. Not awaited."""
        if lease.id in self._out:
            lease.session = session
        credential = lease.credential
        self._line.send(script.NOTE_SESSION, keys.prefix(lease.upstream.name), lease.id, credential.id, member(session))

    # --- renewing ----------------------------------------------------------------------------------------------------

    async def renew(self, upstream: Upstream, credential: str, renew: Renew, *, generation: int | None = None) -> bool:
        """Renew a credential that is new or expired (or still has that `generation`), if nobody else is at it.

        Returns whether it was renewed. Raises what `renew` raised, after the credential was sent to rest for it.
        """
        desk = self._desk(upstream)
        known = "" if generation is None else generation
        claim = await self._line.run(script.CLAIM_RENEWAL, desk.prefix, credential, self._renewal, known)
        if claim is None:
            return False
        return await asyncio.shield(self._spawn(self._renew(desk, credential, int(claim[0]), renew)))

    async def _renew(self, desk: Desk, identity: str, fence: int, renew: Renew) -> bool:
        """Renew under the fence. A task of the vault's own: a caller who hangs up must not waste a guest."""
        found = ABORTED
        done = False
        try:
            credential = await self.credential(desk.upstream, identity)
            async with asyncio.timeout(self.terms.renewal):
                made = await renew(credential)
            sealed = self._records.sealed_parts(desk.upstream.name, identity, made.parts)
            reply = await self._line.run(script.RENEWED, desk.prefix, identity, fence, sealed, int(made.same_account))
            done = True
        except Failure as failure:
            found = verdict(failure, Credential(identity, "", {}), renewable=True)
            raise
        except TimeoutError:
            overdue = NothingToLend("Renewing the credential took too long.")
            found = verdict(overdue, Credential(identity, "", {}), renewable=True)
            raise overdue from None
        finally:
            if not done:
                terms = self.terms
                rest = (ms(terms.renewal_rest), ms(terms.longest_renewal_rest)) if found is not ABORTED else (0, 0)
                self._line.send(script.RENEWAL_FAILED, desk.prefix, identity, fence, *found, *rest)
        return reply is not None

    async def credential(self, upstream: Upstream, identity: str) -> Credential:
        """The newest state of a credential, also of one that left the configuration a short time ago."""
        desk = self._desk(upstream)
        fields = await self._line.call("HMGET", keys.record(upstream.name, identity), *FIELDS)
        credential = self._records.opened(upstream.name, identity, fields)
        if credential is None:
            raise NothingToLend(f"'{upstream.name}' has no such credential any more.")
        desk.known[identity] = credential
        return credential

    # --- looking -----------------------------------------------------------------------------------------------------

    async def snapshot(self, upstream: Upstream) -> Standing:
        """How an upstream stands now. Also ends leases that nobody renewed."""
        desk = self._desk(upstream)
        standing = read_standing(await self._line.run(script.SNAPSHOT, desk.prefix, self._grace, self._window))
        desk.saw(standing)
        return standing

    async def look(self, living: int, place: int) -> None:
        """Prepare for the worst: see how everything stands, have every usable secret at hand, know our share."""
        self._spare.fleet(living, place)
        for desk in list(self._desks.values()):
            standing = await self.snapshot(desk.upstream)
            if not standing.credentials:
                await self.enroll(desk.upstream)
            for row in standing.credentials:
                known = desk.known.get(row.id)
                if row.state == "ok" and (known is None or known.generation != row.generation):
                    await self.credential(desk.upstream, row.id)

    @property
    def standings(self) -> Mapping[str, Standing | None]:
        """How each upstream stood when it was last seen."""
        return {name: desk.standing for name, desk in self._desks.items()}

    @property
    def out(self) -> int:
        """Leases that this process holds."""
        return len(self._out)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _desk(self, upstream: Upstream) -> Desk:
        desk = self._desks.get(upstream.name)
        if desk is None:
            desk = self._desks[upstream.name] = Desk(upstream)
        elif desk.upstream is not upstream:
            desk.upstream = upstream
        return desk

    async def _in_turn(
        self, desk: Desk, identity: str, reply: list[Any], ask: Callable[[], Awaitable[Any]], renew: Renew | None
    ) -> list[Any]:
        async def renew_it(asked: list[Any]) -> None:
            if renew is not None:  # else the script was told so, and asks for no renewal
                await asyncio.shield(self._spawn(self._renew(desk, asked[1].decode(), int(asked[4]), renew)))

        try:
            reply = await in_turn(desk.upstream.name, reply, ask, renew_it)
            if reply[0] == b"none":  # a Redis that was emptied
                await self.enroll(desk.upstream)
                reply = await in_turn(desk.upstream.name, await ask(), ask, renew_it)
        except BaseException:
            self._line.send(script.LEAVE, desk.prefix, identity)
            raise
        if reply[0] == b"none":
            raise NothingToLend(f"'{desk.upstream.name}' has no credential.", retry_after=1.0)
        return reply

    async def _opened(self, desk: Desk, lease: str, reply: list[Any]) -> Credential:
        """The secret that goes with a lease, which was renewed since this process last saw it."""
        identity = reply[1].decode()
        try:
            return await self.credential(desk.upstream, identity)
        except BaseException:
            self._line.send(script.RETURN, desk.prefix, lease, identity, 0, *ABORTED, "")
            raise

    def _lend_spare(self, desk: Desk, identity: str, avoid: Collection[str], *, renewable: bool) -> Lease:
        lease = Lease(identity, desk.upstream, self._spare.choose(desk, avoid), shared=False)
        self._went_out(desk, lease, renewable=renewable)
        return lease

    def _went_out(self, desk: Desk, lease: Lease, *, renewable: bool) -> None:
        self._out[lease.id] = _Out(lease, desk, renewable)
        credential = lease.credential.id
        desk.running[credential] += 1
        if desk.upstream.per_minute:
            desk.stamp(Stamp(monotonic(), lease.id, credential), self.terms.window)

    def _unwanted(self, command: tuple[Argument, ...], reply: Any) -> None:
        """Something was lent (or a place in the queue given) to a caller who is gone."""
        prefix, identity = command[3], command[4]
        if reply[0] == b"lent":
            self._line.send(script.RETURN, prefix, identity, reply[1], reply[2], *ABORTED, "")
        elif reply[0] == b"renew":
            self._line.send(script.RENEWAL_FAILED, prefix, reply[1], reply[4], *ABORTED, 0, 0)
        self._line.send(script.LEAVE, prefix, identity)

    def _catch_up(self) -> None:
        """Redis is back: first of all it is told what happened meanwhile."""
        self._spare.forget()
        window = self.terms.window
        for desk in self._desks.values():
            moment = monotonic()
            told = [
                (stamp.credential, stamp.lease, ms(moment - stamp.at))
                for stamp in desk.stamps
                if stamp.at > moment - window
            ]
            for batch in _batches(told):
                self._line.send(script.ADOPT, desk.prefix, self._window, *batch)
        self._renew_leases()
        while self._unsaid and self._line.send(script.RETURN, *self._unsaid[0]):
            self._unsaid.popleft()
        if not all(desk.enrolled for desk in self._desks.values()):
            self._spawn(self._enroll_rest())

    async def _enroll_rest(self) -> None:
        for desk in list(self._desks.values()):
            if not desk.enrolled:
                try:
                    await self.enroll(desk.upstream)
                except StateUnavailable:
                    return  # the line will come up again, and so will we
                except LostKey as lost:
                    log.critical("%s", lost)
                    return

    async def _keep_leases(self) -> None:
        while True:
            await sleep(self.terms.renew_every)
            self._renew_leases()

    def _renew_leases(self) -> None:
        by_desk: dict[str, list[tuple[Argument, ...]]] = {}
        for out in self._out.values():
            lease = out.lease
            session = member(lease.session) if lease.session else ""
            by_desk.setdefault(out.desk.prefix, []).append((lease.id, lease.credential.id, session))
        for prefix, leases in by_desk.items():
            for batch in _batches(leases):
                self._line.send(script.RENEW_LEASES, prefix, self._life, *batch)

    async def _check_seal(self) -> None:
        check = self._records.check()
        if await self._line.call("SET", keys.SEAL, check, "NX") is None:
            kept = await self._line.call("GET", keys.SEAL)
            if kept is not None and not self._records.passes(kept.decode()):
                raise LostKey

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) and not isinstance(problem, Failure):
            log.error("a task of the vault failed", exc_info=problem)


def member(session: Session) -> str:
    """How Redis writes a session down."""
    return f"{session.credential}:{session.epoch}:{session.id}"


def _batches(items: Sequence[Sequence[Argument]]) -> Iterable[list[Argument]]:
    for start in range(0, len(items), _BATCH):
        yield [fact for item in items[start : start + _BATCH] for fact in item]


__all__ = ["LostKey", "Renew", "Vault", "Verdict", "member"]
