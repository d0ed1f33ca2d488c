"""Redis slow, frozen, gone, emptied: nobody waits, the total stays within the limits, and it is told all afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import redis as redis_py

from parley.catalog import Budget, Limits
from parley.clock import monotonic
from parley.errors import Failure, OverBudget, OverLimit, OverTokens, StateUnavailable
from parley.state.terms import Terms
from tests.servers import RedisServer
from tests.shared.state.admitting import KEY, gate, money
from tests.shared.state.conftest import leaks, nobody_waited, on_a_machine_that_may_stand_still, recovered

TERMS = Terms(lease=1.5, renew_every=0.3, window=4.0, heartbeat=0.2, silence=1.0)


@pytest.fixture(scope="module")
def away():
    """A Redis of this module's own, since it is frozen and killed."""
    with RedisServer(persistent=True) as server:
        yield server


@pytest.fixture
def own_redis(away):
    with redis_py.Redis.from_url(away.url) as client:
        client.flushall()
        yield away
        assert not list(leaks(client))


@asynccontextmanager
async def four(redis, terms: Terms = TERMS):
    """Four gateways that know of one another, in the order of their names."""
    async with AsyncExitStack() as stack:
        gates = [await stack.enter_async_context(gate(redis.url, terms=terms, limit=0.05, beat=True)) for _ in range(4)]
        await everybody_looks(gates)
        yield sorted(gates, key=lambda one: one.line.name)


async def everybody_looks(gates) -> None:
    for one in gates:
        await one.fleet.beat()


async def down(gates) -> None:
    for one in gates:
        with pytest.raises(StateUnavailable):
            await one.line.call("PING")


async def fullness(one):
    return (await one.admission.fullness([KEY]))[KEY]


@on_a_machine_that_may_stand_still
async def test_frozen_mid_burst_nobody_waits_and_the_total_stays_within_the_limit(own_redis):
    limits = Limits(requests_per_minute=60)
    async with four(own_redis) as gates:
        counted: Counter[str] = Counter()
        slowest = 0.0

        async def caller(one) -> None:
            nonlocal slowest
            began = monotonic()
            try:
                admitted = await one.admit(limits)
            except Failure as refused:
                counted[type(refused).__name__] += 1
            else:
                counted["shared" if admitted.shared else "by share"] += 1
                one.admission.settle(admitted, 1, 0)
            slowest = max(slowest, monotonic() - began)

        for _ in range(5):
            await asyncio.gather(*(caller(one) for one in gates))
        await everybody_looks(gates)
        with own_redis.paused():
            slowest = 0.0
            for _ in range(10):
                await asyncio.gather(*(caller(one) for one in gates for _ in range(5)))
            assert counted == {"shared": 20, "by share": 40, "OverLimit": 160}
            nobody_waited(slowest, 0.1)
        for one in gates:
            await recovered(one.line)
        await everybody_looks(gates)
        # What it was asked just before it froze it did on waking up; what had been refused by then, it gave back.
        full = await fullness(gates[0])
        assert (full.minute[0], full.running) == (60, 0)
        assert not await gates[3].admits(limits)


async def test_tokens_budgets_and_places_are_shared_too(own_redis):
    limits = Limits(0, 0, 1000, 2000, 9, (Budget("money", 100, "month"),))
    async with four(own_redis) as gates:
        first = await gates[0].admit(limits, tokens=100, cost=10)
        await everybody_looks(gates)
        with own_redis.paused():
            await down(gates)
            held = [await one.fill(limits, tokens=10, cost=1) for one in gates]
            # Of 9 places 8 are free, and nothing else is as tight: each gateway has two.
            assert [len(each) for each in held] == [2, 2, 2, 2]
            gates[0].admission.settle(first, 1, 1)
            assert await gates[0].admits(limits)  # the place that it had
            gates[1].admission.settle(held[1][0], 300, 23)  # more than reserved, of a share of 225 tokens and 22 money
            with pytest.raises(OverTokens):
                await gates[1].admit(limits, tokens=1)
            gates[2].admission.release(held[2][0])
            with pytest.raises(OverBudget):
                await gates[2].admit(limits, tokens=1, cost=22)
            assert await gates[2].admits(limits, tokens=215, cost=21)
        for one in gates:
            await recovered(one.line)
        await everybody_looks(gates)
        full = await fullness(gates[0])
        assert full.minute == (11, 1 + 20 + 1 + 300 + 10 + 0 + 10 + 215 + 20)
        assert full.spent["money", "month"].amount == 1 + 2 + 0 + 23 + 1 + 0 + 1 + 21 + 2
        assert full.running == 8


async def test_in_later_windows_each_gateway_keeps_to_its_part_of_the_limit(own_redis):
    limits = Limits(requests_per_minute=10)
    async with four(own_redis, Terms(window=0.3, heartbeat=0.1, silence=1.0)) as gates:
        await gates[0].fill(limits)
        own_redis.kill()
        await asyncio.sleep(0.4)
        assert [len(await one.fill(limits)) for one in gates] == [3, 3, 2, 2]
        assert [len(await one.fill(limits)) for one in gates] == [0, 0, 0, 0]
        await asyncio.sleep(0.31)
        assert [len(await one.fill(limits)) for one in gates] == [3, 3, 2, 2]
        own_redis.start()
        for one in gates:
            await recovered(one.line)


async def test_what_others_used_is_known_and_what_nobody_used_is_whole(own_redis):
    minute, month = Limits(requests_per_minute=8), money(80)
    async with four(own_redis) as gates:
        for scope, limits in (("key:minute", minute), ("key:month", month)):
            for _ in range(4):
                await gates[0].admit(limits, scope=scope, cost=10)
        await everybody_looks(gates)
        with own_redis.paused():
            await down(gates)
            assert [len(await one.fill(minute, scope="key:minute")) for one in gates] == [1, 1, 1, 1]
            assert [len(await one.fill(month, scope="key:month", cost=10)) for one in gates] == [1, 1, 1, 1]
            assert len(await gates[3].fill(minute, scope="key:idle")) == 2
            with pytest.raises(StateUnavailable):  # it may have been spent weeks ago
                await gates[3].admit(month, scope="key:idle", cost=1)
            assert await gates[3].admits(money(80, "day"), scope="key:idle", cost=20)
        for one in gates:
            await recovered(one.line)


async def test_who_was_refused_knows_that_others_used_it_up(own_redis):
    still = Terms(lease=30, window=30, heartbeat=30, silence=40)  # nobody looks around, and nothing leaves
    scopes = (
        ("key:minute", Limits(requests_per_minute=8)),
        ("key:today", money(80, "day")),
        ("key:places", Limits(concurrency=8)),
    )
    async with four(own_redis, still) as gates:
        running = []
        for scope, limits in scopes:
            running += (filled := await gates[0].fill(limits, scope=scope, cost=10))
            assert len(filled) == 8
            for one in gates[1:3]:
                assert not await one.admits(limits, scope=scope, cost=10)
        late = gates[3]
        with own_redis.paused():
            await down(gates)
            for scope, limits in scopes:
                assert not [one for one in gates[:3] if await one.admits(limits, scope=scope, cost=10)]
                late_ones = await late.fill(limits, scope=scope, cost=10)
                assert len(late_ones) == 2, "it could not know"
                for admitted in late_ones:
                    late.admission.release(admitted)
        for admitted in running:
            gates[0].admission.release(admitted)
        for one in gates:
            await recovered(one.line)


async def test_without_a_look_around_nothing_is_admitted():
    with RedisServer() as server:
        server.kill()
        server.start()
        async with gate(server.url, limit=0.05) as one:
            with server.paused():
                await down([one])
                with pytest.raises(StateUnavailable):
                    await one.admit(Limits(requests_per_minute=10))


async def test_refusals_say_that_it_is_a_share(own_redis):
    async with four(own_redis) as gates:
        own_redis.pause()
        await down(gates)
        with pytest.raises(OverLimit) as refused:
            await gates[0].admit(Limits(tokens_per_minute=100), tokens=26)
        own_redis.resume()
        assert "Redis does not answer: this gateway keeps to its share." in str(refused.value)
        assert refused.value.retry_after == 1.0
        assert refused.value.tokens[:2] == (100, 25)
        for one in gates:
            await recovered(one.line)


async def test_what_ended_unheard_is_told_when_redis_is_back(own_redis):
    limits = Limits(0, 0, 10_000, 0, 9, (Budget("money", 900, "total"),))
    async with gate(own_redis.url, terms=TERMS, limit=0.05, beat=True) as one:
        held = await one.fill(limits, tokens=100, cost=100)
        assert len(held) == 9
        with own_redis.paused():
            for admitted in held[:4]:
                one.admission.settle(admitted, 7, 70)  # said, and not heard
            await down([one])
            for admitted in held[4:8]:
                one.admission.settle(admitted, 7, 70)  # not even said
        await recovered(one.line)
        full = await fullness(one)
        assert full.minute[1] == 8 * 7 + 100
        assert full.spent["money", "total"].amount == 8 * 70 + 100
        assert full.running == 1


async def test_more_than_can_be_told_at_once_is_told_in_the_end(own_redis):
    limits = Limits(requests_per_minute=5000, concurrency=5000)
    async with gate(own_redis.url, terms=TERMS, limit=0.2, beat=True) as one:
        with own_redis.paused():
            await down([one])
            for _ in range(900):
                one.admission.settle(await one.admit(limits), 1, 0)
        await recovered(one.line)
        until = monotonic() + 5
        while (full := await fullness(one)).minute[0] < 900 or full.running:
            assert monotonic() < until
            await asyncio.sleep(0.05)


async def test_places_outlive_an_outage_that_is_longer_than_they_are(own_redis):
    two = Limits(concurrency=2)
    async with gate(
        own_redis.url, terms=Terms(lease=0.3, renew_every=0.1, heartbeat=0.1), limit=0.05, beat=True
    ) as one:
        held = await one.fill(two)
        with own_redis.paused():
            await asyncio.sleep(0.6)
        await recovered(one.line)
        assert (await fullness(one)).running == 2
        one.admission.settle(held[0], 1, 0)
        assert (await fullness(one)).running == 1


async def test_what_redis_forgot_counts_again_while_it_runs_and_when_it_is_over(own_redis):
    limits = Limits(0, 0, 1000, 0, 5, (Budget("money", 900, "total"),))
    async with gate(own_redis.url, terms=Terms(renew_every=0.2), limit=0.5) as one:
        running, over = await one.admit(limits, tokens=100, cost=100), await one.admit(limits, tokens=50, cost=50)
        await one.line.call("FLUSHALL")
        one.admission.settle(over, 7, 7)
        await asyncio.sleep(0.5)
        full = await fullness(one)
        assert full.minute == (2, 107)
        assert full.running == 1
        assert full.spent["money", "total"].amount == 107
        one.admission.settle(running, 1, 1)
        assert (await fullness(one)).minute == (2, 8)


async def test_settling_never_fails_whatever_redis_does(own_redis):
    limits = Limits(requests_per_minute=50)
    async with gate(own_redis.url, terms=TERMS, limit=0.05, beat=True) as one:
        held = [await one.admit(limits) for _ in range(3)]
        own_redis.kill()
        one.admission.settle(held[0], 1, 0)
        await asyncio.sleep(0.1)
        one.admission.settle(held[1], 1, 0)
        own_redis.start()
        await recovered(one.line)
        one.admission.release(held[2])
        await one.line.call("PING")
        with redis_py.Redis.from_url(own_redis.url) as client:
            kept = [name for name in client.scan_iter("*open:*") if client.get(name)]
            assert not kept
    one.admission.release(held[2])
