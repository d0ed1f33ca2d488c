"""The relay: asks one target after another until one speaks, and passes on what it says.

Retry and failover happen before the first event only; two answers are never spliced. Whatever was lent is given back
on every way out of here, exactly once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from msgspec import structs

from gateway.accounting import Tally
from gateway.drain import draining
from gateway.patience import patiently
from gateway.routing import Place
from parley.chat.events import Events, Stop, Usage
from parley.chat.prompt import Prompt
from parley.clock import monotonic, sleep
from parley.errors import Failure, LimitReached, UpstreamTruncated
from parley.leases import Lease
from parley.providers.optional import OpensSessions, opener, renewer
from parley.state.vault import Vault


@dataclass(frozen=True, slots=True)
class Relay:
    """Where leases come from, and how often and how long a request may try."""

    vault: Vault
    attempts: int
    """Most attempts at upstreams per request, over all targets."""
    queue_seconds: float
    """Longest wait for a busy credential."""

    async def answer(self, plan: Sequence[Place], prompt: Prompt, tally: Tally) -> Events:
        """The events of the first place that speaks. Raises the Failure that says most about why none did."""
        give_up = monotonic() + self.queue_seconds
        failure: Failure | None = None
        left = self.attempts
        for place in plan:
            tried: set[str] = set()
            asked = structs.replace(prompt, model=place.model)
            while left > 0:
                attempt = tally.attempt(place.upstream.name, place.model)
                try:
                    lease = await self._lend(place, tried, give_up)
                except Failure as refused:
                    attempt.failure, attempt.ended = refused, monotonic()
                    failure = _worse(failure, refused)
                    if not refused.try_next:
                        raise failure from None
                    break
                left -= 1
                attempt.credential = lease.credential.alias
                settled = False
                try:
                    async with aclosing(self._stream(place, asked, lease, tally)) as events:
                        async for event in events:
                            if attempt.first_event is None:
                                attempt.first_event = monotonic()
                                self.vault.works(lease)
                            attempt.events += 1
                            yield event
                except Failure as failed:
                    settled = True
                    lease.credential.keep_out_of(failed, place.upstream)
                    self.vault.give_back(lease, failed)
                    attempt.failure, failure = failed, failed
                    if attempt.first_event is not None or not failed.try_next:
                        raise
                    tried.add(lease.credential.id)
                else:
                    settled = True
                    self.vault.give_back(lease, None)
                    return
                finally:
                    attempt.ended = monotonic()
                    if not settled:  # hung up, cut short by us, or a bug of ours: nobody upstream is to blame
                        self.vault.give_back(lease, None, aborted=attempt.first_event is None)
                if left > 0:
                    attempt.next = failure.reason
                    await _breathe(failure)
        raise failure or LimitReached("No upstream could be asked.")

    async def _lend(self, place: Place, tried: set[str], give_up: float) -> Lease:
        renewing = renewer(place.provider)
        return await self.vault.lend(
            place.upstream,
            avoid=tried,
            wait_until=give_up,
            renew=renewing.renew if renewing else None,
            sessions=opener(place.provider) is not None,
        )

    async def _stream(self, place: Place, prompt: Prompt, lease: Lease, tally: Tally) -> Events:
        """One upstream's answer, with its patience and its ending seen to."""
        opening = opener(place.provider)
        if opening is not None and lease.session is None:
            # Shielded: a session that the upstream makes while the caller hangs up must still be noted, to be deleted.
            await asyncio.shield(asyncio.ensure_future(self._open(opening, lease)))
        events = patiently(place.provider.stream(prompt, lease), lease.place.timeouts, lease)
        if place.upstream.hang_up == "drain":
            events = draining(events, tally)
        going: set[int] = set()
        ended = False
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Stop):
                    going.discard(event.choice)
                    ended = True
                elif not isinstance(event, Usage):
                    going.add(event.choice)
                yield event
        if going or not ended:
            raise UpstreamTruncated("The upstream's answer ended without a finish reason.")

    async def _open(self, provider: OpensSessions, lease: Lease) -> None:
        self.vault.note_session(lease, await provider.open_session(lease.credential))


async def _breathe(failure: Failure) -> None:
    """An upstream in trouble is not asked again at once, nor by everybody at the same moment."""
    if failure.blames == "upstream":
        await sleep(random.uniform(0.05, 0.3))  # noqa: S311  # jitter, not a secret


def _worse(before: Failure | None, lending: Failure) -> Failure:
    """What an upstream said tells more than that nothing is left to lend, except when and how to come back."""
    if before is None or isinstance(lending, LimitReached):
        return lending
    if before.retry_after is None:
        before.retry_after = lending.retry_after
    return before
