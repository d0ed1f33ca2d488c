"""Enrollment: which credentials there are, and what they are at this moment."""

from __future__ import annotations

import logging

from parley.catalog import Upstream
from parley.errors import NothingToLend, StateUnavailable
from parley.leases import Credential
from parley.state import keys, script
from parley.state.desk import Desk, Desks
from parley.state.line import Line
from parley.state.records import FIELDS, LostKey, Records

log = logging.getLogger(__name__)


class Enrollment:
    """Tells Redis what is configured, and reads back what became of it."""

    def __init__(self, line: Line, records: Records, desks: Desks) -> None:
        self._line = line
        self._records = records
        self._desks = desks

    async def enroll(self, upstream: Upstream) -> None:
        """Make the credentials of an upstream known; what is there already stays. Raises LostKey, StateUnavailable."""
        desk = self._desks.take(upstream)
        await self._check_seal()
        await self._line.run(script.ENROLL, desk.prefix, *self._records.enrollment(upstream))
        desk.enrolled = True

    async def retire(self, upstream: Upstream) -> None:
        """An upstream left the configuration: nothing of it is lent any more. Raises StateUnavailable."""
        if (desk := self._desks.drop(upstream)) is not None:
            await self._line.run(script.ENROLL, desk.prefix)

    async def enroll_rest(self) -> None:
        """Enroll what could not be enrolled before. Never raises: the line will come up again."""
        try:
            for desk in self._desks:
                if not desk.enrolled:
                    await self.enroll(desk.upstream)
        except StateUnavailable:
            pass
        except LostKey as lost:
            log.critical("%s", lost)

    async def credential(self, desk: Desk, identity: str) -> Credential:
        """The newest state of a credential. Raises NothingToLend when there is none, LostKey, StateUnavailable."""
        fields = await self._line.call("HMGET", keys.record(desk.upstream.name, identity), *FIELDS)
        credential = self._records.opened(desk.upstream.name, identity, fields)
        if credential is None:
            raise NothingToLend(f"'{desk.upstream.name}' has no such credential any more.")
        desk.known[identity] = credential
        return credential

    async def _check_seal(self) -> None:
        if await self._line.call("SET", keys.SEAL, self._records.check(), "NX") is None:
            kept = await self._line.call("GET", keys.SEAL)
            if kept is not None and not self._records.passes(kept.decode()):
                raise LostKey
