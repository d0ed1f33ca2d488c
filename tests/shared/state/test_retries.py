"""The budget for retries: one for the fleet, a share of what is asked, and a floor that comes back."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from parley.clock import monotonic
from parley.state import keys
from parley.state.retries import Retries
from tests.shared.state.conftest import replica

SLOW = 10_000.0
"""A memory so long that nothing drifts back while a test looks."""


async def taken(retries: Retries, times: int) -> int:
    return sum([await retries.may() for _ in range(times)])


async def test_a_quiet_fleet_has_the_floor_and_no_more(redis, look) -> None:
    async with replica(redis.url) as one:
        assert await taken(Retries(one.line, memory=SLOW), 30) == 10
        assert look.pttl(keys.RETRIES) > 0


async def test_every_request_adds_its_share_wherever_it_was_asked(redis) -> None:
    async with replica(redis.url) as one, replica(redis.url) as two:
        here, there = Retries(one.line, memory=SLOW), Retries(two.line, memory=SLOW)
        for _ in range(100):
            here.called()
            there.called()
        assert await taken(here, 1) == 1
        assert await taken(there, 50) in (28, 29)  # a millionth of a token drifts away meanwhile


async def test_four_processes_together_take_no_more_than_there_is(redis) -> None:
    async with AsyncExitStack() as stack:
        budgets = [Retries((await stack.enter_async_context(replica(redis.url))).line, memory=SLOW) for _ in range(4)]
        for number in range(200):
            budgets[number % 4].called()
        got = await asyncio.gather(*(budgets[number % 4].may() for number in range(200)))
        assert sum(got) in (29, 30)


async def test_what_helped_goes_back(redis) -> None:
    async with replica(redis.url) as one:
        retries = Retries(one.line, floor=1, memory=SLOW)
        for _ in range(5):
            assert await retries.may()
            retries.helped()
        assert await taken(retries, 3) == 1


async def test_debts_are_forgiven_and_savings_evaporate(redis) -> None:
    async with replica(redis.url) as one:
        retries = Retries(one.line, memory=0.4)  # what drips in while it is asked is little beside that
        assert await taken(retries, 10) == 10
        await asyncio.sleep(1.2)
        assert await taken(retries, 20) in (9, 10, 11)
        for _ in range(1000):
            retries.called()
        await asyncio.sleep(2.0)
        assert await taken(retries, 40) in (10, 11, 12), "yesterday's traffic feeds no storm"


async def test_who_has_patience_gets_a_token_that_comes_back(redis) -> None:
    async with replica(redis.url) as one:
        retries = Retries(one.line, floor=1, memory=SLOW)
        assert await retries.may()
        waiting = asyncio.create_task(retries.may(1.0))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        retries.helped()
        assert await waiting
        began = monotonic()
        assert not await retries.may(0.2)
        assert monotonic() - began < 0.4


async def test_without_redis_each_process_has_its_part_of_the_floor(redis) -> None:
    async with replica(redis.url, limit=0.05) as one:
        retries = Retries(one.line, lambda: 5, memory=SLOW)
        with redis.paused():
            assert await taken(retries, 10) == 2
            for _ in range(20):
                retries.called()
            assert await taken(retries, 10) == 2
