"""One keeper works at a time, and another takes over soon."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from parley.clock import monotonic
from parley.sealed import Secret
from parley.state.baton import Baton
from parley.state.line import Line
from tests.servers import RedisServer


@pytest.fixture
async def keeper():
    async with AsyncExitStack() as stack:

        async def make(url: str, name: str, limit: float = 1.0) -> tuple[Baton, Line]:
            line = Line(Secret(url), name, limit=limit)
            await line.open()
            stack.push_async_callback(line.close)
            baton = Baton(line, hold=0.6)
            await baton.open()
            stack.push_async_callback(baton.close)
            return baton, line

        yield make


async def test_one_of_many_holds_it(redis, keeper):
    batons = [(await keeper(redis.url, f"keeper-{number}"))[0] for number in range(4)]
    await asyncio.sleep(0.5)
    assert [baton.held for baton in batons].count(True) == 1


async def test_it_is_handed_over_at_once_when_it_is_dropped(redis, keeper):
    first, _ = await keeper(redis.url, "keeper-1")
    await first.wait()
    second, _ = await keeper(redis.url, "keeper-2")
    await asyncio.sleep(0.05)
    assert not second.held
    await first.close()
    began = monotonic()
    await second.wait()
    assert monotonic() - began < 0.4


async def test_it_is_taken_over_when_its_holder_died(redis, keeper):
    first, _ = await keeper(redis.url, "keeper-1")
    await first.wait()
    second, _ = await keeper(redis.url, "keeper-2")
    first._task.cancel()  # the end of a process, seen from Redis
    began = monotonic()
    await asyncio.wait_for(second.wait(), 3)
    assert 0.2 < monotonic() - began < 1.2
    assert not first.held


async def test_nobody_believes_to_hold_it_while_redis_is_away_for_long(keeper):
    with RedisServer() as server:
        baton, _ = await keeper(server.url, "keeper-1", 0.05)
        await baton.wait()
        with server.paused():
            await asyncio.sleep(0.7)
            assert not baton.held
        await asyncio.wait_for(baton.wait(), 3)
