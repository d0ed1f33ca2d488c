"""Enrollment: which credentials there are, and what they are at this moment."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Container, Iterable

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
        for identity in list(desk.known):  # an alias or a way there may be new, which no generation tells
            with contextlib.suppress(NothingToLend):  # it is long gone
                await self.credential(desk, identity)
        desk.enrolled = True

    async def follow(self, upstreams: Iterable[Upstream]) -> None:
        """These are the upstreams from now on: enroll what is new or changed, without Redis later. Raises LostKey."""
        for upstream in upstreams:
            if not self._desks.take(upstream).enrolled:
                try:
                    await self.enroll(upstream)
                except StateUnavailable:
                    log.warning("'%s' is enrolled when Redis is back", upstream.name)

    async def retire_others(self, names: Container[str]) -> None:
        """All other upstreams left the configuration: nothing of them is lent any more."""
        for desk in self._desks:
            if desk.upstream.name not in names:
                self._desks.drop(desk.upstream)
                try:
                    await self._line.run(script.ENROLL, desk.prefix)
                except StateUnavailable:
                    log.warning("Redis could not be told that '%s' is gone; nobody asks for it", desk.upstream.name)

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
            desk.known.pop(identity, None)
            raise NothingToLend(f"'{desk.upstream.name}' has no such credential any more.")
        desk.known[identity] = credential
        return credential

    async def _check_seal(self) -> None:
        if await self._line.call("SET", keys.SEAL, self._records.check(), "NX") is None:
            kept = await self._line.call("GET", keys.SEAL)
            if kept is not None and not self._records.passes(kept.decode()):
                raise LostKey
