"""Redis slow, frozen, gone, restarted: answers go on, nobody waits, limits hold, and everything recovers by itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest
import redis as redis_py

from parley.catalog import PoolPlan
from parley.clock import monotonic
from parley.errors import Failure, LimitReached, NothingToLend, QueueFull, StateUnavailable, Throttled
from parley.leases import Session
from parley.sealed import Seal
from parley.state.terms import Terms
from tests.servers import RedisServer
from tests.shared.state.conftest import (
    leaks,
    nobody_waited,
    on_a_machine_that_may_stand_still,
    recovered,
    replica,
    upstream,
)
from tests.shared.state.test_renewals import Upstream

TERMS = Terms(lease=1.5, renew_every=0.5, window=4.0, heartbeat=0.2, silence=1.0)


@pytest.fixture
def own_redis():
    with RedisServer(persistent=True) as server:
        yield server


def four(redis, up, **facts):
    return [replica(redis.url, up, terms=TERMS, beat=True, limit=0.05, **facts) for _ in range(4)]


async def everybody(replicas):
    stack = AsyncExitStack()
    made = [await stack.enter_async_context(one) for one in replicas]
    for one in made:
        await one.fleet.beat()
    return stack, made


@on_a_machine_that_may_stand_still
async def test_frozen_mid_burst_nobody_waits_and_the_total_stays_within_the_limit(own_redis):
    limit = 60
    up = upstream(1, per_minute=limit)
    stack, replicas = await everybody(four(own_redis, up))
    async with stack:
        admitted: Counter[str] = Counter()
        slowest = 0.0

        async def caller(which) -> None:
            nonlocal slowest
            began = monotonic()
            try:
                lease = await which.lend(up)
            except Failure as refused:
                admitted[type(refused).__name__] += 1
            else:
                admitted["shared" if lease.shared else "spare"] += 1
                which.vault.give_back(lease, None)
            slowest = max(slowest, monotonic() - began)

        for _ in range(5):
            await asyncio.gather(*(caller(one) for one in replicas))
        for one in replicas:
            await one.fleet.beat()
        assert admitted["shared"] == 20
        with own_redis.paused():
            slowest = 0.0
            for _ in range(10):
                await asyncio.gather(*(caller(one) for one in replicas for _ in range(5)))
            assert admitted["spare"] == limit - 20
            assert admitted["shared"] == 20
            nobody_waited(slowest, 0.1)
            # All uncertain calls failed at their callers; what Redis makes of them on thawing is undone by `late`.
        for one in replicas:
            await recovered(one.line)
        for one in replicas:
            await one.fleet.beat()
        with pytest.raises(QueueFull):
            await replicas[0].lend(up)
        (row,) = (await replicas[1].vault.snapshot(up)).credentials
        assert row.paced >= limit
        assert row.held == 0


async def test_in_later_windows_each_replica_keeps_to_its_part_of_the_limit(own_redis):
    up = upstream(1, per_minute=10)
    terms = Terms(window=0.5, heartbeat=0.2, silence=1.0)
    stack, replicas = await everybody(
        [replica(own_redis.url, up, terms=terms, beat=True, limit=0.05) for _ in range(4)]
    )
    async with stack:
        own_redis.kill()
        await asyncio.sleep(0.8)
        admitted = []
        for one in replicas:
            number = 0
            with pytest.raises(LimitReached):
                while True:
                    one.vault.give_back(await one.lend(up), None)
                    number += 1
            admitted.append(number)
        assert sorted(admitted) == [2, 2, 3, 3]
        by_name = sorted(zip([one.line.name for one in replicas], admitted, strict=True))
        assert [number for _, number in by_name] == [3, 3, 2, 2]
        own_redis.start()
        for one in replicas:
            await recovered(one.line)


async def test_concurrency_holds_while_redis_is_away(own_redis):
    up = upstream(1, concurrency=8)
    stack, replicas = await everybody(four(own_redis, up))
    async with stack:
        held = [(replicas[0], await replicas[0].lend(up)) for _ in range(3)]
        for one in replicas:
            await one.fleet.beat()
        own_redis.kill()
        await asyncio.sleep(0.05)
        for one in replicas:
            with pytest.raises(QueueFull):
                while True:
                    held.append((one, await one.lend(up)))
        assert len(held) == 8
        which, lease = held[0]
        which.vault.give_back(lease, None)
        assert await which.lend(up)
        own_redis.start()
        for one in replicas:
            await recovered(one.line)
        await asyncio.sleep(0.1)
        seen = await replicas[0].vault.snapshot(up)
        assert seen.held == 8
        assert seen.taken == seen.returned + seen.expired + seen.held


async def test_a_credential_that_fails_while_redis_is_away_rests_in_this_process(own_redis):
    up = upstream(2)
    async with replica(own_redis.url, up, terms=TERMS, beat=True, limit=0.05) as one:
        own_redis.kill()
        await asyncio.sleep(0.05)
        first = await one.lend(up)
        assert not first.shared
        one.vault.give_back(first, Throttled("slow down"))
        assert {(await one.lend(up)).credential.id for _ in range(3)} != {first.credential.id}
        assert first.credential.id not in {(await one.lend(up)).credential.id for _ in range(3)}
        own_redis.start()
        await recovered(one.line)


async def test_no_warm_session_is_taken_and_no_guest_made_but_a_known_guest_may_be_used(own_redis):
    up = upstream(0, guests=1, pool=PoolPlan())

    there = Upstream()
    async with replica(own_redis.url, up, terms=TERMS, beat=True, limit=0.05) as one:
        with own_redis.paused(), pytest.raises(StateUnavailable):
            await one.lend(up, renew=there.renew, sessions=True)
        assert there.renewed == 0
        await recovered(one.line)
        lease = await one.lend(up, wait=2, renew=there.renew, sessions=True)
        one.vault.give_back(lease, None)
        await one.pool.add(up, Session("warm", lease.credential.id, 1))
        await one.fleet.beat()
        with own_redis.paused():
            lease = await one.lend(up, renew=there.renew, sessions=True)
            assert (lease.credential.part(), lease.session) == ("fresh-1", None)
        await recovered(one.line)


async def test_a_secret_renewed_by_another_replica_is_at_hand_when_redis_goes(own_redis):
    up = upstream(1)

    async with (
        replica(own_redis.url, up, terms=TERMS, beat=True) as one,
        replica(own_redis.url, up, terms=TERMS, beat=True, limit=0.05) as two,
    ):
        (row,) = (await one.vault.snapshot(up)).credentials
        await one.vault.renew(up, row.id, Upstream().renew, generation=1)
        await two.fleet.beat()
        own_redis.kill()
        await asyncio.sleep(0.05)
        assert (await two.lend(up)).credential.part() == "fresh-1"
        own_redis.start()
        await recovered(two.line)


async def test_returns_that_could_not_be_said_are_said_when_redis_is_back(own_redis):
    up = upstream(2)
    async with replica(own_redis.url, up, terms=TERMS, limit=0.05) as one:
        leases = [await one.lend(up) for _ in range(6)]
        with own_redis.paused():
            with pytest.raises(StateUnavailable):
                await one.line.call("PING")
            one.vault.give_back(leases[0], Throttled("slow down", retry_after=100))
            for lease in leases[1:]:
                one.vault.give_back(lease, None)
        await recovered(one.line)
        seen = await one.vault.snapshot(up)
        assert (seen.taken, seen.returned, seen.held) == (6, 6, 0)
        assert sorted(bool(row.rests) for row in seen.credentials) == [False, True]


async def test_leases_outlive_an_outage_that_is_longer_than_they_are(own_redis):
    up = upstream(1, concurrency=2)
    terms = Terms(lease=0.4, renew_every=0.2)
    async with replica(own_redis.url, up, terms=terms, limit=0.05) as one:
        lease = await one.lend(up)
        with own_redis.paused():
            await asyncio.sleep(0.8)
        await recovered(one.line)
        seen = await one.vault.snapshot(up)
        assert seen.held == 1
        one.vault.give_back(lease, None)
        seen = await one.vault.snapshot(up)
        assert (seen.held, seen.late) == (0, 0)
        assert seen.taken == seen.returned + seen.expired


async def test_a_lease_whose_call_was_given_up_comes_back_on_thawing_without_waiting_for_its_deadline(own_redis):
    up = upstream(1, concurrency=1)
    async with replica(own_redis.url, up, limit=0.05) as one:  # terms: a lease lives 15 seconds
        with own_redis.paused(), pytest.raises(StateUnavailable):
            await one.lend(up)
        await recovered(one.line)
        assert await one.lend(up)


async def test_restarted_under_load_every_request_ends_well_or_with_an_honest_failure(own_redis):
    up = upstream(3, concurrency=8)
    stack, replicas = await everybody(four(own_redis, up))
    async with stack:
        ended: Counter[str] = Counter()
        stop = False

        async def caller(which) -> None:
            while not stop:
                try:
                    lease = await which.lend(up, wait=1)
                except Failure as refused:
                    ended[type(refused).__name__] += 1
                    await asyncio.sleep(0.01)
                else:
                    await asyncio.sleep(0.005)
                    which.vault.give_back(lease, None)
                    ended["well"] += 1

        tasks = [asyncio.create_task(caller(one)) for one in replicas for _ in range(8)]
        await asyncio.sleep(0.3)
        for _ in range(2):
            own_redis.restart()
            await asyncio.sleep(0.8)
        stop = True
        await asyncio.gather(*tasks)
        assert set(ended) <= {"well", "QueueFull", "StateUnavailable"}
        assert ended["well"] > 100
        for one in replicas:
            await recovered(one.line)
            assert one.vault.out == 0
        await asyncio.sleep(TERMS.lease + 0.1)
        seen = await replicas[0].vault.snapshot(up)
        assert (seen.held, seen.waiting) == (0, 0)
        assert seen.taken == seen.returned + seen.expired


async def test_pacing_survives_a_redis_that_forgot_everything(own_redis):
    up = upstream(1, per_minute=3)
    async with replica(own_redis.url, up, terms=TERMS, beat=True) as one:
        for _ in range(3):
            one.vault.give_back(await one.lend(up), None)
        own_redis.restart(forget=True)
        await recovered(one.line)
        with pytest.raises(QueueFull):
            await one.lend(up)


async def test_a_process_that_starts_without_redis_lends_what_has_no_limit_and_enrolls_later(own_redis):
    free, limited = upstream(1, name="free"), upstream(1, name="limited", per_minute=2)
    own_redis.stop()
    async with AsyncExitStack() as stack:
        opening = asyncio.create_task(stack.enter_async_context(replica(own_redis.url, free, limited, limit=0.2)))
        one = await opening
        assert (await one.lend(free)).credential.part() == "secret-0"
        with pytest.raises(StateUnavailable):
            await one.lend(limited)
        own_redis.start()
        await recovered(one.line)
        assert (await one.lend(limited)).shared


async def test_nothing_without_a_lifetime_is_left_by_an_outage(own_redis):
    up = upstream(2, concurrency=4, per_minute=1000, pool=PoolPlan())
    async with replica(own_redis.url, up, terms=TERMS, beat=True, limit=0.05) as one:
        leases = [await one.lend(up) for _ in range(3)]
        with own_redis.paused():
            leases.append(await one.lend(up))
            one.vault.give_back(leases[0], None)
        await recovered(one.line)
        await one.fleet.beat()
    with redis_py.Redis.from_url(own_redis.url) as client:
        assert not list(leaks(client))


async def test_a_guest_made_while_redis_went_away_is_kept_when_it_is_back(own_redis):
    up = upstream(0, guests=1)
    there = Upstream(takes=0.2)
    async with replica(own_redis.url, up, terms=TERMS, limit=0.05) as one:
        asked = asyncio.create_task(one.lend(up, wait=5, renew=there.renew))
        await asyncio.sleep(0.05)
        with own_redis.paused(), pytest.raises(StateUnavailable):
            await asked
        await recovered(one.line)
        lease = await one.lend(up, wait=5, renew=there.renew)
        assert lease.credential.part() == "fresh-1"
        assert there.renewed == 1


async def test_data_of_another_key_that_shows_up_after_the_start_is_refused_and_said(own_redis, caplog):
    up = upstream(1)
    async with replica(own_redis.url, up):
        pass
    own_redis.stop()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(replica(own_redis.url, up, seal=Seal(b"another key"), limit=0.2))
        own_redis.start()
        await recovered(one.line)
        with pytest.raises(NothingToLend):
            await one.lend(up)
        assert "PARLEY_SECRET" in caplog.text
