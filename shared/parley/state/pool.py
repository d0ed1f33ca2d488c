"""The pool: warm sessions, each bound to the credential and account that made it, used by one answer, then closed.

A session is ready (it waits, at most as long as the upstream's pool allows), lent (by `lease_take`, to one lease), or
doomed (to be closed upstream: used, too old, or never wanted). It is in exactly one of the three; what is in none of
them and still lives upstream is an orphan.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from parley.catalog import Upstream
from parley.leases import Session
from parley.state import keys, script
from parley.state.line import Line
from parley.state.terms import ms

_MOST: Final = 100
_CLAIM: Final = 30.0


def written(session: Session) -> str:
    """How Redis writes a session down."""
    return f"{session.credential}:{session.epoch}:{session.id}"


def _read(member: bytes) -> Session:
    credential, epoch, identity = member.decode().split(":", 2)
    return Session(identity, credential, int(epoch))


class Pool:
    """Hands sessions from those who open them to the vault's leases, and on to those who close them."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def add(self, upstream: Upstream, session: Session) -> bool:
        """A session was opened ahead of time. False: its account is gone meanwhile, it will be due for closing."""
        where = keys.prefix(upstream.name)
        return bool(await self._line.run(script.ADD_SESSION, where, session.credential, session.epoch, session.id))

    async def weed(self, upstream: Upstream, credential: str, age: float) -> int:
        """Doom the ready sessions of a credential that are older than `age` seconds; return how many they were."""
        doomed: int = await self._line.run(script.STALE_SESSIONS, keys.prefix(upstream.name), credential, ms(age))
        return doomed

    async def due(self, upstream: Upstream, most: int = _MOST, claim: float = _CLAIM) -> list[Session]:
        """Sessions to close upstream now. Nobody else is given them for `claim` seconds; then, unless they are
        reported `done`, they come up again."""
        found = await self._line.run(script.DUE_SESSIONS, keys.prefix(upstream.name), most, ms(claim))
        return [_read(member) for member in found]

    async def done(self, upstream: Upstream, sessions: Iterable[Session]) -> None:
        """These sessions are closed upstream."""
        members = [written(session) for session in sessions]
        if members:
            await self._line.run(script.DONE_SESSIONS, keys.prefix(upstream.name), *members)

    async def known(self, upstream: Upstream, credential: str) -> set[str]:
        """Ids of all sessions of a credential that are accounted for.

        A session that is being opened just now is not known yet: what is listed upstream and not known is an orphan
        only if it still is when asked again a while later.
        """
        found = await self._line.run(script.KNOWN_SESSIONS, keys.prefix(upstream.name), credential)
        return {member.decode().partition(":")[2] for member in found}
