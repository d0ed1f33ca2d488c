"""Waiting for a credential: fair, bounded, and never longer than it makes sense."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from parley.catalog import Limits, Upstream
from parley.clock import monotonic
from parley.errors import QueueFull, Throttled
from parley.state import script
from parley.state.terms import Terms
from tests.shared.state.conftest import replica, upstream


async def waiting(one, up, number: int) -> None:
    for _ in range(200):
        if (await one.vault.snapshot(up)).waiting >= number:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"never {number} callers waited")


async def test_callers_of_two_replicas_are_served_in_the_order_they_came(redis):
    up = upstream(1, concurrency=1)
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        first = await one.lend(up)
        served: list[int] = []

        async def caller(number: int) -> None:
            which = (one, two)[number % 2]
            lease = await which.lend(up, wait=10)
            served.append(number)
            which.vault.give_back(lease, None)

        tasks = []
        for number in range(6):
            tasks.append(asyncio.create_task(caller(number)))
            await waiting(one, up, number + 1)
        one.vault.give_back(first, None)
        await asyncio.gather(*tasks)
        assert served == list(range(6))


async def test_a_newcomer_does_not_overtake_those_who_wait(redis):
    up = upstream(1, concurrency=1)
    async with replica(redis.url, up) as one:
        first = await one.lend(up)
        patient = asyncio.create_task(one.lend(up, wait=5))
        await waiting(one, up, 1)
        one.vault.give_back(first, None)
        with pytest.raises(QueueFull):
            await one.lend(up)
        assert await patient


async def test_when_more_is_free_than_callers_are_ahead_nobody_waits_for_them(redis):
    up = upstream(1, concurrency=2)
    async with replica(redis.url, up) as one:
        leases = [await one.lend(up), await one.lend(up)]
        patient = asyncio.create_task(one.lend(up, wait=5))
        await waiting(one, up, 1)
        for lease in leases:
            one.vault.give_back(lease, None)
        assert await one.lend(up)
        assert await patient


async def test_the_queue_is_bounded_and_whoever_finds_it_full_is_told_at_once(redis):
    up = upstream(1, concurrency=1)
    async with replica(redis.url, up, queue_length=2) as one:
        first = await one.lend(up)
        tasks = [asyncio.create_task(one.lend(up, wait=5)) for _ in range(2)]
        await waiting(one, up, 2)
        began = monotonic()
        with pytest.raises(QueueFull) as refused:
            await one.lend(up, wait=5)
        assert monotonic() - began < 0.5
        assert refused.value.retry_after
        one.vault.give_back(first, None)
        one.vault.give_back(await tasks[0], None)
        assert await tasks[1]


async def test_a_wait_ends_when_the_callers_patience_does(redis):
    up = upstream(1, concurrency=1)
    async with replica(redis.url, up) as one:
        await one.lend(up)
        began = monotonic()
        with pytest.raises(QueueFull):
            await one.lend(up, wait=0.3)
        assert 0.25 < monotonic() - began < 0.8
        assert (await one.vault.snapshot(up)).waiting == 0


async def test_a_caller_who_hangs_up_leaves_the_queue(redis):
    up = upstream(1, concurrency=1)
    async with replica(redis.url, up) as one:
        first = await one.lend(up)
        task = asyncio.create_task(one.lend(up, wait=5))
        await waiting(one, up, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await one.vault.snapshot(up)).waiting == 0
        one.vault.give_back(first, None)
        assert await one.lend(up)


async def test_a_ticket_whose_owner_died_blocks_nobody_for_longer_than_its_life(redis):
    up = upstream(1, concurrency=1)
    terms = Terms(ticket=0.3)
    async with replica(redis.url, up, terms=terms) as one:
        first = await one.lend(up)
        # What a killed process leaves: a ticket that nobody asks with again.
        nobody = ("nobody", 15000, 5000, 1, 0, 60000, 5000, 10, 300, 0, 0, "", "", "")
        assert (await one.line.run(script.TAKE, "parley:{up}:", *nobody))[0] == b"wait"
        one.vault.give_back(first, None)
        began = monotonic()
        await one.lend(up, wait=5)
        assert 0.2 < monotonic() - began < 0.8


async def test_who_waits_for_pacing_is_served_when_the_window_has_moved_on(redis):
    up = upstream(1, per_minute=2)
    async with replica(redis.url, up, terms=Terms(window=0.6)) as one:
        began = monotonic()
        moments = []

        async def caller() -> None:
            lease = await one.lend(up, wait=10)
            moments.append(monotonic() - began)
            one.vault.give_back(lease, None)

        await asyncio.gather(*(caller() for _ in range(6)))
        assert [round(moment / 0.6) for moment in moments] == [0, 0, 1, 1, 2, 2]


async def test_a_wait_that_cannot_succeed_is_refused_at_once_also_far_back_in_the_queue(redis):
    up = upstream(2, per_minute=1)
    async with replica(redis.url, up, terms=Terms(window=1.0)) as one:
        for _ in range(2):
            await one.lend(up)
        tasks = [asyncio.create_task(one.lend(up, wait=1.5)) for _ in range(2)]  # both in a second
        await waiting(one, up, 2)
        began = monotonic()
        with pytest.raises(QueueFull) as refused:  # its turn would come in two seconds
            await one.lend(up, wait=1.5)
        assert monotonic() - began < 0.5
        assert 1.4 < refused.value.retry_after <= 2.1
        await asyncio.gather(*tasks)


async def test_a_paced_credential_is_waited_for_also_while_another_rests(redis):
    up = upstream(2, per_minute=1)
    async with replica(redis.url, up, terms=Terms(window=0.4)) as one:
        one.vault.give_back(await one.lend(up), Throttled("slow down"))
        one.vault.give_back(await one.lend(up), None)
        assert (await one.lend(up, wait=2)).credential.alias == "c1"


async def test_who_is_not_served_is_told_what_is_in_the_way(redis):
    async def told(up: Upstream, wait: float = 0.0, **facts: Any) -> str:
        async with replica(redis.url, up, **facts) as one:
            first = await one.lend(up)
            queued = [asyncio.create_task(one.lend(up, wait=5)) for _ in range(facts.get("queue_length", 0))]
            await waiting(one, up, len(queued))
            with pytest.raises(QueueFull) as refused:
                await one.lend(up, wait=wait)
            one.vault.give_back(first, None)
            for task in queued:
                one.vault.give_back(await task, None)
            return refused.value.message

    assert "is busy, and it would take too long" in await told(upstream(1, name="a", concurrency=1))
    assert "too many requests already wait" in await told(upstream(1, name="b", concurrency=1), 5, queue_length=1)
    for nth, limits in enumerate(({"per_minute": 1}, {"limits": Limits(requests_per_day=1)})):
        for wait in (0, 5):
            assert "has reached its limits" in await told(upstream(1, name=f"c{nth}{wait}", **limits), wait)
