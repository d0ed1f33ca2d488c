"""The relay: asks one target after another until one speaks.

Retry and failover happen before the first event only; two answers are never spliced.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import structs

from gateway.accounting import Tally
from gateway.race import race
from gateway.routing import Place, Plan
from gateway.trial import Trial
from parley.chat.prompt import Prompt
from parley.clock import monotonic, sleep
from parley.errors import Failure, LimitReached
from parley.leases import Lease
from parley.providers.optional import opener, renewer
from parley.state.vault import Vault


@dataclass(frozen=True, slots=True)
class Relay:
    """Where leases come from, and how often and how long a request may try."""

    vault: Vault
    attempts: int
    """Most attempts at upstreams per request, over all targets."""
    queue_seconds: float
    """Longest wait for a busy credential."""

    async def first_to_speak(self, plan: Plan, prompt: Prompt, tally: Tally) -> Trial:
        """The trial of the first place that speaks. Raises the Failure that says most about why none did."""
        if plan.race:
            trial = await race([self._in_order([place], prompt, tally) for place in plan.places])
        else:
            trial = await self._in_order(plan.places, prompt, tally)
        tally.speaks(trial.attempt)
        return trial

    async def _in_order(self, places: Sequence[Place], prompt: Prompt, tally: Tally) -> Trial:
        give_up = monotonic() + self.queue_seconds
        failure: Failure | None = None
        left = self.attempts
        for place in places:
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
                trial = Trial(self.vault, place, lease, attempt)
                try:
                    await trial.begin(asked, tally)
                except Failure as failed:
                    if not failed.try_next:
                        raise
                    failure = failed
                    tried.add(lease.credential.id)
                else:
                    return trial
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
