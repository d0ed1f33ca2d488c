"""What may be asked with each credential: counted as it is lent, exactly, over several lines to one Redis."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from parley.catalog import Budget, CredentialPlan, Limits, Upstream
from parley.clock import monotonic
from parley.errors import Failure, LimitReached, QueueFull, StateUnavailable, Throttled
from parley.leases import Lease
from parley.sealed import Secret
from parley.state import keys
from parley.state.credential_limits import CredentialLimits
from parley.state.scopes import NOTHING, Amounts, Fullness
from parley.state.terms import Terms
from parley.state.vault import Vault
from tests.shared.state.conftest import (
    SEAL,
    Replica,
    nobody_waited,
    on_a_machine_that_may_stand_still,
    recovered,
    replica,
    upstream,
)
from tests.shared.state.test_turns import waiting


def scope(number: int = 0) -> str:
    return f"credential:up/c{number}"


async def full(one: Replica, number: int = 0) -> Fullness:
    return (await one.admission.fullness([scope(number)]))[scope(number)]


def with_own(up: Upstream, number: int, limits: Limits) -> Upstream:
    """The upstream, one of its credentials with limits of its own."""
    plans = list(up.credentials)
    plans[number] = replace(plans[number], limits=limits)
    return replace(up, credentials=tuple(plans))


async def lend_all(one: Replica, up: Upstream, reserve: Amounts = NOTHING) -> list[Lease]:
    """Lend until nothing has room."""
    found = []
    try:
        while True:
            found.append(await one.lend(up, reserve=reserve))
    except LimitReached:
        return found
    except QueueFull:
        return found


async def test_each_credential_has_the_limits_of_its_upstream_over_all_replicas(redis):
    up = upstream(2, limits=Limits(requests_per_minute=3))
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        aliases = [(await which.lend(up)).credential.alias for which in (one, two, two, one, two, one)]
        assert aliases == ["c0", "c1", "c0", "c1", "c0", "c1"]
        with pytest.raises(QueueFull) as refused:
            await one.lend(up, wait=5)
        assert refused.value.status == 429
        assert 55 < refused.value.retry_after <= 60.001
        standing = await one.vault.snapshot(up)
        assert (standing.taken, standing.waiting) == (6, 0)


async def test_the_turn_goes_on_among_those_that_have_room(redis):
    up = with_own(upstream(3), 0, Limits(requests_per_minute=1))
    async with replica(redis.url, up) as one:
        assert [(await one.lend(up)).credential.alias for _ in range(6)] == ["c0", "c1", "c2", "c1", "c2", "c1"]


async def test_limits_of_its_own_go_before_those_of_the_upstream_and_may_be_none(redis):
    up = with_own(upstream(2, limits=Limits(requests_per_minute=1)), 1, Limits())
    async with replica(redis.url, up) as one:
        assert Counter([(await one.lend(up)).credential.alias for _ in range(5)]) == {"c0": 1, "c1": 4}
        assert (await full(one, 1)).minute == (0, 0)


async def test_tokens_and_money_are_reserved_and_settled_on_what_it_took_once(redis):
    up = upstream(1, limits=Limits(tokens_per_minute=100, budgets=(Budget("money", 1000, "month"),)))
    async with replica(redis.url, up) as one:
        lease = await one.lend(up, reserve=Amounts(60, 600))
        with pytest.raises(QueueFull):
            await one.lend(up, reserve=Amounts(41, 0))
        with pytest.raises(QueueFull):
            await one.lend(up, reserve=Amounts(0, 401))
        one.admission.settle(lease, 10, 100)
        one.admission.settle(lease, 90, 900)
        one.admission.release(lease)
        found = await full(one)
        assert found.minute == (1, 10)
        assert found.spent["money", "month"].amount == 100
        one.vault.give_back(lease, None)
        assert await one.lend(up, reserve=Amounts(90, 900))


async def test_what_never_fits_is_a_429_without_a_time_to_come_back_and_waits_for_nothing(redis):
    up = upstream(2, concurrency=1, limits=Limits(tokens_per_minute=100, budgets=(Budget("tokens", 150, "total"),)))
    async with replica(redis.url, up) as one:
        began = monotonic()
        with pytest.raises(LimitReached) as refused:
            await one.lend(up, wait=5, reserve=Amounts(101, 0))
        assert (refused.value.status, refused.value.retry_after, refused.value.try_next) == (429, None, True)
        leases = [await one.lend(up, reserve=Amounts(80, 0)) for _ in range(2)]
        with pytest.raises(LimitReached) as refused:
            await one.lend(up, wait=5, reserve=Amounts(71, 0))  # both are busy too, which does not matter
        assert refused.value.retry_after is None
        assert monotonic() - began < 2
        one.admission.release(leases[0])
        assert (await one.vault.snapshot(up)).waiting == 0


async def test_who_waits_is_served_when_the_minute_has_moved_on(redis):
    up = upstream(2, limits=Limits(requests_per_minute=1))
    async with replica(redis.url, up, terms=Terms(window=0.6)) as one:
        began = monotonic()
        aliases = [(await one.lend(up, wait=5)).credential.alias for _ in range(4)]
        assert aliases == ["c0", "c1", "c0", "c1"]
        assert 0.59 < monotonic() - began < 2
        with pytest.raises(QueueFull) as refused:
            await one.lend(up, wait=0.1)
        assert 0.1 < refused.value.retry_after <= 0.602


async def test_the_earliest_moment_of_all_limits_and_rests_is_told(redis):
    up = upstream(2, limits=Limits(requests_per_minute=1, requests_per_day=2))
    async with replica(redis.url, up) as one:
        first = await one.lend(up)
        await one.lend(up)
        with pytest.raises(QueueFull) as refused:
            await one.lend(up, wait=5)
        assert 55 < refused.value.retry_after <= 60.001
        one.vault.give_back(first, Throttled("slow down", retry_after=30))
        with pytest.raises(QueueFull) as refused:  # perhaps by then; it may be asked again
            await one.lend(up, wait=5)
        assert 29 < refused.value.retry_after <= 30


async def test_places_come_back_when_it_is_settled_and_who_waits_is_served(redis):
    up = upstream(1, limits=Limits(concurrency=2))
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        first, second = await one.lend(up), await two.lend(up)
        waits = asyncio.create_task(one.lend(up, wait=5))
        await waiting(one, up, 1)
        one.vault.give_back(first, None)
        with pytest.raises(QueueFull):
            await two.lend(up)
        one.admission.settle(first, 1, 0)
        assert await waits
        two.admission.release(second)
        assert (await full(two)).running == 1


async def test_places_of_a_replica_that_died_come_back_within_the_life_of_a_lease(redis):
    up, terms = upstream(1, limits=Limits(concurrency=1, tokens_per_day=100)), Terms(lease=0.5, renew_every=0.1)
    async with replica(redis.url, up, terms=terms) as two:
        async with replica(redis.url, up, terms=terms) as one:
            await one.lend(up, reserve=Amounts(60, 0))
            with pytest.raises(QueueFull):
                await two.lend(up, wait=0.7)  # it is kept meanwhile
        began = monotonic()
        assert await two.lend(up, wait=3, reserve=Amounts(40, 0))
        assert monotonic() - began < 0.8
        assert (await full(two)).day == (2, 100)  # nobody knows how much of it was taken


async def test_small_requests_do_not_overtake_a_large_one_that_waits_for_room(redis):
    up = upstream(1, limits=Limits(tokens_per_minute=100))
    async with replica(redis.url, up, terms=Terms(window=0.8)) as one:
        await one.lend(up, reserve=Amounts(50, 0))
        large = asyncio.create_task(one.lend(up, wait=5, reserve=Amounts(90, 0)))
        await waiting(one, up, 1)
        with pytest.raises(QueueFull):
            await one.lend(up, reserve=Amounts(5, 0))
        small = asyncio.create_task(one.lend(up, wait=5, reserve=Amounts(10, 0)))
        await waiting(one, up, 2)
        done, _ = await asyncio.wait({large, small}, return_when=asyncio.FIRST_COMPLETED)
        assert large in done
        assert await small


async def test_who_finds_room_for_all_ahead_need_not_wait_for_them(redis):
    up = upstream(1, concurrency=2, limits=Limits(tokens_per_minute=100))
    async with replica(redis.url, up) as one:
        leases = [await one.lend(up, reserve=Amounts(10, 0)) for _ in range(2)]
        patient = asyncio.create_task(one.lend(up, wait=5, reserve=Amounts(40, 0)))
        await waiting(one, up, 1)
        for lease in leases:
            one.vault.give_back(lease, None)
        assert await one.lend(up, reserve=Amounts(40, 0))
        assert await patient


async def test_a_caller_who_hangs_up_while_asking_counts_for_nothing(redis):
    up = upstream(1, per_minute=3, limits=Limits(requests_per_minute=3, tokens_per_minute=30, concurrency=1))
    async with replica(redis.url, up) as one:
        for turns in range(20):
            task = asyncio.create_task(one.lend(up, reserve=Amounts(10, 0)))
            for _ in range(turns % 4):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await one.line.call("PING")
        found = await full(one)
        assert (found.minute, found.running, one.admission.running) == ((0, 0), 0, 0)
        (row,) = (await one.vault.snapshot(up)).credentials
        assert (row.held, row.paced) == (0, 0)
        assert await one.lend(up, reserve=Amounts(30, 0))


async def test_a_credential_without_room_for_this_request_has_room_for_a_smaller_one(redis):
    up = upstream(2, limits=Limits(tokens_per_minute=100))
    async with replica(redis.url, up) as one:
        assert (await one.lend(up, reserve=Amounts(90, 0))).credential.alias == "c0"
        assert (await one.lend(up, reserve=Amounts(50, 0))).credential.alias == "c1"
        assert (await one.lend(up, reserve=Amounts(20, 0))).credential.alias == "c1"
        assert (await one.lend(up, reserve=Amounts(10, 0))).credential.alias == "c0"


async def test_a_changed_limit_counts_from_the_next_request_on_with_what_was_used_before(redis):
    up = upstream(1, limits=Limits(requests_per_minute=2))
    async with replica(redis.url, up) as one:
        assert len(await lend_all(one, up)) == 2
        assert len(await lend_all(one, replace(up, limits=Limits(requests_per_minute=5)))) == 3
        assert await lend_all(one, replace(up, limits=Limits(requests_per_minute=1))) == []


async def test_an_upstream_without_limits_is_asked_as_ever(redis, look):
    up = upstream(2)
    assert not CredentialLimits(up).told
    async with replica(redis.url, up) as one:
        lease = await one.lend(up, reserve=Amounts(100, 100))
        assert "/" not in lease.id
        one.admission.settle(lease, 10, 10)
        assert one.admission.running == 0
    assert not list(look.scan_iter(f"{keys.LIMITS}*"))


async def test_a_vault_that_keeps_no_limits_lends_nothing_that_has_some(redis):
    limited, free = upstream(1, limits=Limits(concurrency=1)), upstream(1, name="free")
    async with replica(redis.url, limited, free) as one:
        vault = Vault(one.line, SEAL)
        await vault.open([limited, free])
        with pytest.raises(ValueError, match="'up'"):
            await vault.lend(limited, wait_until=monotonic())
        assert await vault.lend(free, wait_until=monotonic())
        await vault.close()


async def test_an_alias_that_changed_counts_under_its_new_name(redis):
    up = upstream(1, limits=Limits(requests_per_minute=3))
    renamed = replace(up, credentials=(CredentialPlan("new", {"value": Secret("secret-0")}),))
    async with replica(redis.url, up) as one, replica(redis.url, renamed) as two:
        lease = await one.lend(up)  # what its alias is now is for Redis to say
        assert (await two.admission.fullness(["credential:up/new"]))["credential:up/new"].minute[0] == 1
        one.admission.settle(lease, 1, 0)


async def test_what_redis_forgot_counts_again_while_the_lease_is_out(redis):
    up, terms = upstream(1, limits=Limits(tokens_per_minute=1000, concurrency=2)), Terms(renew_every=0.1)
    async with replica(redis.url, up, terms=terms) as one:
        lease = await one.lend(up, reserve=Amounts(100, 0))
        await one.line.call("FLUSHALL")
        until = monotonic() + 5
        while (await full(one)).minute != (1, 100):
            assert monotonic() < until
            await asyncio.sleep(0.02)
        one.admission.settle(lease, 7, 0)
        found = await full(one)
        assert (found.minute, found.running) == ((1, 7), 0)


# --- Redis away -------------------------------------------------------------------------------------------------------

AWAY = Terms(heartbeat=0.2, silence=1.0, lease=2.0, renew_every=0.3)


async def everybody(redis, up, stack: AsyncExitStack, number: int = 4) -> list[Replica]:
    made = [await stack.enter_async_context(replica(redis.url, up, terms=AWAY, limit=0.05)) for _ in range(number)]
    for _ in range(2):
        for one in made:
            await one.fleet.beat()
    return sorted(made, key=lambda one: one.line.name)


@on_a_machine_that_may_stand_still
async def test_frozen_mid_burst_nobody_waits_and_each_credential_stays_within_its_limits(redis):
    up = upstream(2, limits=Limits(requests_per_minute=20, tokens_per_minute=1000))
    async with AsyncExitStack() as stack:
        replicas = await everybody(redis, up, stack)
        seen: Counter[str] = Counter()
        slowest = 0.0

        async def caller(which: Replica) -> None:
            nonlocal slowest
            began = monotonic()
            try:
                lease = await which.lend(up, reserve=Amounts(40, 0))
            except Failure as refused:
                seen[type(refused).__name__] += 1
            else:
                seen[lease.credential.alias] += 1
                which.vault.give_back(lease, None)
                which.admission.settle(lease, 40, 0)
            slowest = max(slowest, monotonic() - began)

        for _ in range(2):
            await asyncio.gather(*(caller(one) for one in replicas))
        for one in replicas:
            await one.fleet.beat()
        assert seen == {"c0": 4, "c1": 4}
        with redis.paused():
            slowest = 0.0
            for _ in range(10):
                await asyncio.gather(*(caller(one) for one in replicas for _ in range(3)))
            assert (seen["c0"], seen["c1"]) == (20, 20)
            assert seen["LimitReached"] == 120 - 32
            nobody_waited(slowest, 0.3)
        for one in replicas:
            await recovered(one.line)
        await asyncio.sleep(0.1)
        for number in range(2):
            found = await full(replicas[0], number)
            # What was lent on thawing to callers who had gone on by then is nobody's, and counts for nothing.
            assert (found.minute, found.running) == ((20, 800), 0)
        assert (await replicas[1].vault.snapshot(up)).held == 0


async def test_what_others_used_and_places_count_while_it_is_away_and_are_told_afterwards(redis):
    up = upstream(1, limits=Limits(concurrency=8, budgets=(Budget("money", 100, "month"),)))
    async with AsyncExitStack() as stack:
        replicas = await everybody(redis, up, stack, 2)
        first, second = replicas
        held = [await first.lend(up, reserve=Amounts(0, 10)) for _ in range(2)]
        for one in replicas:
            await one.fleet.beat()
        with redis.paused():
            with pytest.raises(StateUnavailable):
                await second.line.call("PING")
            mine = await lend_all(second, up, Amounts(0, 10))
            assert len(mine) == 3  # of six free places and eight tens
            assert not any(lease.shared for lease in mine)
            second.admission.settle(mine[0], 0, 1)
            second.vault.give_back(mine[0], None)
            assert len(await lend_all(second, up, Amounts(0, 10))) == 1
            first.admission.settle(held[0], 0, 3)
        for one in replicas:
            await recovered(one.line)
        await asyncio.sleep(0.05)
        found = await full(first)
        assert found.running == 1 + 3
        assert found.spent["money", "month"].amount == 3 + 10 + 1 + 30


async def test_without_a_look_around_nothing_that_has_limits_is_lent(redis):
    up = upstream(1, limits=Limits(requests_per_minute=10))
    async with replica(redis.url, up, limit=0.05) as one:
        await one.lend(up)
        with redis.paused(), pytest.raises(StateUnavailable):
            await one.lend(up)
        await recovered(one.line)
