"""Renewing an expired sign-in and making a guest: once in the whole fleet, and without lifting a rest."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from parley.catalog import PoolPlan
from parley.clock import monotonic
from parley.errors import CredentialExpired, LimitReached, NothingToLend, Throttled, Unreachable, UpstreamBroken
from parley.leases import Credential, Renewal, Session
from parley.sealed import Secret
from parley.state.terms import Terms
from tests.shared.state.conftest import replica, upstream


class Upstream:
    """Signs in; counts how often, and how often at a time."""

    def __init__(self, *, takes: float = 0.05, failure: Exception | None = None, same_account: bool = True) -> None:
        self.takes = takes
        self.failure = failure
        self.same_account = same_account
        self.renewed = 0
        self.under_way = 0
        self.most = 0

    async def renew(self, credential: Credential) -> Renewal:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.under_way -= 1
        if self.failure:
            raise self.failure
        self.renewed += 1
        return Renewal({"value": Secret(f"fresh-{self.renewed}")}, self.same_account)


async def test_one_guest_is_made_for_a_hundred_callers_of_four_replicas(redis):
    up = upstream(0, guests=1, concurrency=8)
    there = Upstream(takes=0.2)
    async with (
        replica(redis.url, up) as a,
        replica(redis.url, up) as b,
        replica(redis.url, up) as c,
        replica(redis.url, up) as d,
    ):

        async def caller(which) -> str:
            lease = await which.lend(up, wait=20, renew=there.renew)
            await asyncio.sleep(0.01)
            which.vault.give_back(lease, None)
            return lease.credential.part()

        told = await asyncio.gather(*(caller(which) for which in (a, b, c, d) for _ in range(25)))
        assert set(told) == {"fresh-1"}
        assert there.renewed == 1
        seen = await a.vault.snapshot(up)
        assert (seen.taken, seen.returned, seen.waiting) == (100, 100, 0)


async def test_an_expired_credential_is_renewed_once_and_old_news_does_not_expire_it_again(redis):
    up = upstream(1)
    there = Upstream()
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        leases = [await which.lend(up, renew=there.renew) for which in (one, two) for _ in range(3)]
        one.vault.give_back(leases[0], CredentialExpired("gone"))
        fresh = await one.lend(up, wait=2, renew=there.renew)
        assert (fresh.credential.part(), fresh.credential.generation) == ("fresh-1", 2)
        for lease, which in zip(leases[1:], (one, one, two, two, two), strict=True):
            which.vault.give_back(lease, CredentialExpired("gone"))
        await two.line.call("PING")
        again = await two.lend(up, wait=2, renew=there.renew)
        assert again.credential.generation == 2
        assert there.renewed == 1


async def test_what_opens_nothing_as_it_is_configured_is_renewed_before_it_is_lent(redis):
    up = upstream(2, concurrency=4)
    there = Upstream(takes=0.1)

    def first_is_unsigned(_, plan) -> bool:
        return plan.alias == "c0"

    async with replica(redis.url, up, unsigned=first_is_unsigned) as one, replica(redis.url, up) as two:
        assert [row.state for row in (await one.vault.snapshot(up)).credentials] == ["expired", "ok"]
        lent = await asyncio.gather(*(which.lend(up, wait=5, renew=there.renew) for which in (one, two) * 4))
        assert Counter(lease.credential.part() for lease in lent) == {"secret-1": 4, "fresh-1": 4}
        assert there.renewed == 1


async def test_a_throttled_guest_rests_and_no_other_is_made(redis):
    up = upstream(0, guests=1)
    there = Upstream()
    async with replica(redis.url, up) as one:
        one.vault.give_back(await one.lend(up, wait=2, renew=there.renew), Throttled("slow down"))
        with pytest.raises(LimitReached):
            await one.lend(up, wait=2, renew=there.renew)
        assert there.renewed == 1


async def test_a_renewal_does_not_lift_a_rest(redis):
    up = upstream(1)
    there = Upstream()
    async with replica(redis.url, up) as one:
        first, second = await one.lend(up, renew=there.renew), await one.lend(up, renew=there.renew)
        one.vault.give_back(first, CredentialExpired("gone"))
        fresh = await one.lend(up, wait=2, renew=there.renew)
        one.vault.give_back(fresh, Throttled("slow down"))
        await one.line.call("PING")
        assert await one.vault.renew(up, fresh.credential.id, there.renew, generation=2) is False
        one.vault.give_back(second, CredentialExpired("gone"))
        with pytest.raises(LimitReached):
            await one.lend(up, wait=1, renew=there.renew)


async def test_another_account_takes_the_ready_sessions_with_it(redis):
    up = upstream(0, guests=1, pool=PoolPlan())
    there = Upstream(same_account=False)
    async with replica(redis.url, up) as one:
        lease = await one.lend(up, wait=2, renew=there.renew, sessions=True)
        assert await one.pool.add(up, Session("s1", lease.credential.id, lease.credential.epoch))
        one.vault.give_back(lease, CredentialExpired("gone"))
        fresh = await one.lend(up, wait=2, renew=there.renew, sessions=True)
        assert fresh.session is None
        assert fresh.credential.epoch == lease.credential.epoch + 1
        assert not await one.pool.add(up, Session("s2", lease.credential.id, lease.credential.epoch))
        assert [session.id for session in await one.pool.due(up)] == ["s2"]


async def test_a_failed_renewal_is_told_and_rests_the_credential(redis):
    up = upstream(0, guests=1)
    there = Upstream(failure=UpstreamBroken("no sign-in today"))
    async with replica(redis.url, up) as one:
        with pytest.raises(UpstreamBroken):
            await one.lend(up, wait=5, renew=there.renew)
        began = monotonic()
        with pytest.raises(NothingToLend):
            await one.lend(up, wait=5, renew=there.renew)
        assert monotonic() - began < 1
        (row,) = (await one.vault.snapshot(up)).credentials
        assert 1 < row.rests <= 2
        assert row.reason == "upstream_error"


async def test_a_second_place_serves_when_the_first_cannot_be_renewed(redis):
    up = upstream(0, guests=2)

    class Half(Upstream):
        async def renew(self, credential: Credential) -> Renewal:
            if credential.alias == "guest-0":
                raise UpstreamBroken("not this one")
            return await super().renew(credential)

    async with replica(redis.url, up) as one:
        assert (await one.lend(up, wait=5, renew=Half().renew)).credential.alias == "guest-1"


async def test_an_upstream_that_cannot_be_reached_rests_after_the_second_failed_renewal(redis):
    up = upstream(0, guests=3)
    there = Upstream(failure=Unreachable("no connection"), takes=0)
    async with replica(redis.url, up) as one:
        with pytest.raises(Unreachable):
            await one.lend(up, wait=5, renew=there.renew)
        seen = await one.vault.snapshot(up)
        assert seen.reason == "upstream_unreachable"
        assert sum(row.failed for row in seen.credentials) == 0
        assert sum(bool(row.rests) for row in seen.credentials) == 2


async def test_the_caller_who_hangs_up_does_not_waste_the_guest(redis):
    up = upstream(0, guests=1)
    there = Upstream(takes=0.2)
    async with replica(redis.url, up) as one:
        first = asyncio.create_task(one.lend(up, wait=5, renew=there.renew))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        lease = await one.lend(up, wait=5, renew=there.renew)
        assert lease.credential.part() == "fresh-1"
        assert (there.renewed, there.most) == (1, 1)


async def test_a_process_that_dies_while_it_renews_holds_up_the_others_no_longer_than_the_lock(redis):
    up = upstream(0, guests=1)
    terms = Terms(renewal=0.4)
    there = Upstream()
    async with replica(redis.url, up, terms=terms) as one, replica(redis.url, up, terms=terms) as two:
        (row,) = (await one.vault.snapshot(up)).credentials
        desk = next(iter(one.vault._desks))
        assert await one.vault._renewals.claim(desk, row.id, None)  # and nothing more is heard of it
        began = monotonic()
        assert await two.lend(up, wait=5, renew=there.renew)
        assert 0.3 < monotonic() - began < 1.5


async def test_a_renewal_that_outlived_its_lock_does_not_overwrite_a_newer_one(redis):
    up = upstream(0, guests=1)
    slow, quick = Upstream(takes=0.5), Upstream(takes=0)
    async with replica(redis.url, up) as one, replica(redis.url, up, terms=Terms(renewal=0.2)) as two:
        desk = next(iter(two.vault._desks))
        (row,) = (await one.vault.snapshot(up)).credentials
        old_fence = await two.vault._renewals.claim(desk, row.id, None)
        await asyncio.sleep(0.25)
        assert await one.vault.renew(up, row.id, quick.renew)
        assert await one.vault._renewals.renew(next(iter(one.vault._desks)), row.id, old_fence, slow.renew) is False
        lease = await one.lend(up, wait=1)
        assert (lease.credential.part(), lease.credential.generation) == ("fresh-1", 2)


async def test_a_renewal_that_takes_for_ever_is_ended(redis):
    up = upstream(0, guests=1)
    async with replica(redis.url, up, terms=Terms(renewal=0.2)) as one:
        with pytest.raises(NothingToLend, match="took too long"):
            await one.lend(up, wait=2, renew=Upstream(takes=30).renew)


async def test_the_keeper_renews_what_is_new_or_expired_and_nothing_else(redis):
    up = upstream(1, guests=1)
    there = Upstream()
    async with replica(redis.url, up) as one:
        rows = {row.alias: row for row in (await one.vault.snapshot(up)).credentials}
        assert rows["guest-0"].state == "new"
        assert await one.vault.renew(up, rows["guest-0"].id, there.renew)
        assert not await one.vault.renew(up, rows["guest-0"].id, there.renew)
        assert not await one.vault.renew(up, rows["c0"].id, there.renew)
        assert await one.vault.renew(up, rows["c0"].id, there.renew, generation=1)
        assert {row.state for row in (await one.vault.snapshot(up)).credentials} == {"ok"}


async def test_renewed_parts_outlive_a_restart_of_the_process(redis):
    up = upstream(1)
    there = Upstream()
    async with replica(redis.url, up) as one:
        (row,) = (await one.vault.snapshot(up)).credentials
        await one.vault.renew(up, row.id, there.renew, generation=1)
    async with replica(redis.url, replace(up)) as one:
        assert (await one.lend(up)).credential.part() == "fresh-1"
