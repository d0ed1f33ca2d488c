"""The relay: asks one target after another until one speaks.

Retry and failover happen before the first event only; two answers are never spliced. How often a request may try is
capped twice: by its own number of attempts, and by the budget for retries that all requests of the fleet share.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from gateway.accounting import Attempt, Tally
from gateway.limiter import Limiter, Permit
from gateway.planning import Heat, Lane, Plan
from gateway.race import race
from gateway.routing import Candidate
from gateway.speeds import Speeds
from gateway.trial import Trial
from parley.chat.prompt import Prompt
from parley.clock import monotonic, sleep
from parley.errors import Failure, LimitReached
from parley.leases import Lease
from parley.providers.optional import opener, renewer
from parley.state.retries import Retries
from parley.state.scopes import Amounts
from parley.state.vault import NotAdmitted, Vault

_TOKEN_SECONDS = 1.0
"""How long a request waits for a token to try again with, while others give theirs back."""


@dataclass(slots=True)
class _Effort:
    """What one request has tried, and may still try."""

    left: int
    give_up: float
    """When waiting for busy credentials ends."""
    permit: Permit | None = None
    failure: Failure | None = None
    """What says most about why there is no answer yet."""
    strained: bool = False
    """Whether another call is the budget's matter."""
    last: Attempt | None = None
    """The latest call."""


@dataclass(frozen=True, slots=True)
class Relay:
    """Where leases come from, and how often and how long a request may try."""

    vault: Vault
    retries: Retries
    speeds: Speeds
    limiter: Limiter
    attempts: int
    """Most attempts at upstreams per request, over all targets."""
    queue_seconds: float
    """Longest wait for a busy credential."""

    async def first_to_speak(self, plan: Plan, prompt: Prompt, tally: Tally, permit: Permit | None = None) -> Trial:
        """The trial of the first candidate that speaks. Raises the Failure that says most about why none did.

        Whether the caller's limits allow the request may still be under way (`permit`): nothing is lent before it is
        known, and nobody waits longer for that.
        """
        self.retries.called()
        effort = _Effort(self.attempts, monotonic() + self.queue_seconds, permit)
        for number, heat in enumerate(plan.heats, 1):
            later = len(plan.heats) - number
            try:
                if len(heat) == 1:
                    trial = await self._in_order(heat[0], later, prompt, tally, effort)
                else:
                    trial = await self._side_by_side(heat, later, prompt, tally, effort)
            except Failure as failed:
                if not (failed.try_next and later and effort.left > 0):
                    raise
                effort.failure = failed
            else:
                tally.speaks(trial.attempt)
                return trial
        raise effort.failure or LimitReached("No upstream could be asked.")

    async def _side_by_side(self, heat: Heat, later: int, prompt: Prompt, tally: Tally, effort: _Effort) -> Trial:
        """Each lane has all attempts that are left, and none shortens another's."""
        efforts = [replace(effort) for _ in heat]
        try:
            return await race(
                [self._in_order(lane, later, prompt, tally, own) for lane, own in zip(heat, efforts, strict=True)]
            )
        finally:
            effort.left = min(own.left for own in efforts)
            effort.strained = any(own.strained for own in efforts)

    async def _in_order(self, lane: Lane, later: int, prompt: Prompt, tally: Tally, effort: _Effort) -> Trial:
        """`later`: so many others are asked if all of these fail, and one attempt is kept for each of them."""
        for number, candidate in enumerate(lane, 1):
            here = max(effort.left - (len(lane) - number) - later, 1)
            tried: set[str] = set()
            asked = candidate.asked(prompt)
            while effort.left > 0 and here > 0:
                here -= 1
                paid = effort.strained
                if paid and not await self._may_go_on(tally):
                    raise effort.failure or LimitReached("No upstream could be asked.")
                if effort.last is not None and effort.last.failure is not None:
                    effort.last.next = effort.last.failure.reason
                attempt = tally.attempt(candidate.upstream.name, candidate.model)
                try:
                    reserve, asked = await self.limiter.with_lease(candidate, asked)
                    lease = await self._lend(candidate, tried, effort, reserve)
                except Failure as refused:
                    if paid:
                        self.retries.helped()
                    attempt.failure, attempt.ended = refused, monotonic()
                    effort.failure = _worse(effort.failure, refused)
                    if not refused.try_next:
                        raise effort.failure from None
                    break
                attempt.credential = lease.credential.alias
                effort.last = attempt
                trial = Trial(self.vault, candidate, lease, attempt)
                if await self._speaks(trial, asked, tally, effort):
                    if paid:
                        self.retries.helped()
                    return trial
                tried.add(lease.credential.id)
                if number < len(lane) and attempt.failure is not None and _is_its_own(attempt.failure):
                    break
        raise effort.failure or LimitReached("No upstream could be asked.")

    async def _may_go_on(self, tally: Tally) -> bool:
        """Whether the fleet's budget has a token left."""
        if await self.retries.may(_TOKEN_SECONDS):
            return True
        tally.withheld = True
        return False

    async def _lend(self, candidate: Candidate, tried: set[str], effort: _Effort, reserve: Amounts) -> Lease:
        permit = effort.permit
        renewing = renewer(candidate.provider)

        async def lend(admitted_as: str = "") -> Lease:
            return await self.vault.lend(
                candidate.upstream,
                avoid=tried,
                wait_until=effort.give_up,
                renew=renewing.renew if renewing else None,
                sessions=opener(candidate.provider) is not None,
                admitted_as=admitted_as,
                reserve=reserve,
                model=candidate.model,
            )

        if permit is None:
            return await lend()
        if permit.decided:
            await permit.granted()
            return await lend()
        try:
            lease = await lend(permit.id)
        except NotAdmitted:
            await permit.granted()
            return await lend()  # Redis lost what it knew in between
        try:
            await permit.granted()
        except BaseException:
            self.limiter.over(lease, 0, 0)
            self.vault.give_back(lease, None, aborted=True)
            raise
        return lease

    async def _speaks(self, trial: Trial, prompt: Prompt, tally: Tally, effort: _Effort) -> bool:
        """Whether the trial's candidate speaks. Raises Failure when it does not and no other could do better."""
        effort.left -= 1
        began = monotonic()
        try:
            await trial.begin(prompt, tally)
        except Failure as failed:
            if failed.blames in ("upstream", "credential"):
                self.speeds.failed(trial.candidate)
            if not failed.try_next:
                raise
            effort.failure, effort.strained = failed, failed.strains
            if effort.left > 0:
                await _breathe(failed)
            return False
        self.speeds.spoke(trial.candidate, monotonic() - began)
        return True


async def _breathe(failure: Failure) -> None:
    """An upstream in trouble is not asked again at once, nor by everybody at the same moment."""
    if failure.blames == "upstream":
        await sleep(random.uniform(0.05, 0.3))  # noqa: S311  # jitter, not a secret


def _is_its_own(failure: Failure) -> bool:
    """Whether another credential of the same upstream would fare no better."""
    return failure.blames == "upstream" and failure.strains


def _worse(before: Failure | None, lending: Failure) -> Failure:
    """What an upstream said tells more than that nothing is left to lend, except when and how to come back."""
    if before is None or isinstance(lending, LimitReached):
        return lending
    if before.retry_after is None:
        before.retry_after = lending.retry_after
    return before
