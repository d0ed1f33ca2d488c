"""Renewals: one process in the fleet at a time makes a new secret of an expired one, or a guest of an empty place.

Whoever renews holds a fence for half a minute. The work is an errand of this process, not of the caller who caused it:
a caller who hangs up must not waste the guest that is just being made.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from parley.clock import monotonic
from parley.errors import Failure, NothingToLend, StateUnavailable
from parley.leases import Credential, Renewal
from parley.state import script
from parley.state.desk import Desk
from parley.state.enrollment import Enrollment
from parley.state.errands import Errands
from parley.state.line import Line
from parley.state.records import Records
from parley.state.terms import Terms, ms
from parley.state.verdict import ABORTED, verdict
from parley.state.wire import Argument

Renew = Callable[[Credential], Awaitable[Renewal]]
"""Makes new parts for a credential (a provider does). Raises Failure."""


class Renewals:
    """Renews under a fence."""

    def __init__(self, line: Line, records: Records, enrollment: Enrollment, errands: Errands, terms: Terms) -> None:
        self._line = line
        self._records = records
        self._enrollment = enrollment
        self._errands = errands
        self._terms = terms

    async def claim(self, desk: Desk, identity: str, generation: int | None) -> int | None:
        """Get the fence of a credential that needs it (or still has that `generation`); None: not needed, or taken."""
        known = "" if generation is None else generation
        lock = ms(self._terms.renewal)
        claimed = await self._line.run(script.CLAIM_RENEWAL, desk.prefix, identity, lock, known, late=self._unwanted)
        return int(claimed[0]) if claimed else None

    async def renew(self, desk: Desk, identity: str, fence: int, renew: Renew) -> bool:
        """Renew; return whether it counts (False: it took so long that another renewed it). Raises Failure.

        After a failure the credential rests, so that nobody tries again at once; and so does whoever is to blame.
        """
        return await asyncio.shield(self._errands.run(self._renew(desk, identity, fence, renew)))

    def release(self, prefix: str, identity: str, fence: int) -> None:
        """Give up a fence without having tried."""
        self._line.send(script.RENEWAL_FAILED, prefix, identity, fence, *ABORTED, 0, 0)

    async def _renew(self, desk: Desk, identity: str, fence: int, renew: Renew) -> bool:
        credential = Credential(identity, "", {})
        try:
            credential = await self._enrollment.credential(desk, identity)
            with credential.unsaid(desk.upstream):
                made = await self._in_time(renew, credential)
        except StateUnavailable:
            raise
        except Failure as failure:
            rest = ms(self._terms.renewal_rest), ms(self._terms.longest_renewal_rest)
            found = verdict(failure, credential, renewable=True)
            self._line.send(script.RENEWAL_FAILED, desk.prefix, identity, fence, *found, *rest)
            raise
        except BaseException:
            self.release(desk.prefix, identity, fence)
            raise
        sealed = self._records.sealed_parts(desk.upstream.name, identity, made.parts)
        renewed = (desk.prefix, identity, fence, sealed, int(made.same_account))
        try:
            return await self._line.run(script.RENEWED, *renewed) is not None
        except StateUnavailable:
            self._errands.run(self._store(renewed))
            raise

    async def _store(self, renewed: tuple[Argument, ...]) -> None:
        """Redis did not take what was made: while the fence may still be ours, it is offered again."""
        until = monotonic() + self._terms.renewal
        while await self._line.ready(until - monotonic()):
            with contextlib.suppress(StateUnavailable):
                await self._line.run(script.RENEWED, *renewed)
                return

    async def _in_time(self, renew: Renew, credential: Credential) -> Renewal:
        try:
            async with asyncio.timeout(self._terms.renewal):
                return await renew(credential)
        except TimeoutError:
            raise NothingToLend(f"Renewing the credential '{credential.alias}' took too long.") from None

    def _unwanted(self, command: tuple[object, ...], reply: list[object] | None) -> None:
        if reply:
            self.release(str(command[3]), str(command[4]), int(str(reply[0])))
