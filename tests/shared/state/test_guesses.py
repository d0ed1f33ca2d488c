"""Ten wrong keys a minute from one address are answered as such; the next ones are not, at any replica."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from parley.errors import LimitReached
from parley.state.guesses import Guesses
from tests.servers import RedisServer
from tests.shared.state.admitting import gate


async def heard(guesses: Guesses, address: str, times: int = 1) -> int:
    """How many wrong keys were answered as such."""
    results = await asyncio.gather(*(guesses.failed(address) for _ in range(times)), return_exceptions=True)
    assert all(result is None or isinstance(result, LimitReached) for result in results), results
    return results.count(None)


async def test_ten_of_a_crowd_are_heard_over_all_replicas(redis):
    async with gate(redis.url) as one, gate(redis.url) as two:
        crowd = await asyncio.gather(heard(one.guesses, "192.0.2.1", 30), heard(two.guesses, "192.0.2.1", 30))
        assert sum(crowd) == 10
        assert await heard(one.guesses, "192.0.2.2", 5) == 5  # another one behind the same nginx


async def test_whoever_is_blocked_is_known_without_asking(redis):
    async with gate(redis.url) as one:
        assert one.guesses.blocked("192.0.2.1") == 0
        await heard(one.guesses, "192.0.2.1", 11)
        assert 59 < one.guesses.blocked("192.0.2.1") <= 60.01
        with redis.paused(), pytest.raises(LimitReached) as refused:
            await asyncio.wait_for(one.guesses.failed("192.0.2.1"), 0.02)
        assert (refused.value.status, refused.value.scope) == (429, "address:192.0.2.1")
        assert 59 < refused.value.retry_after <= 60.01


async def test_a_minute_later_it_is_heard_again(redis):
    async with gate(redis.url) as one:
        guesses = Guesses(one.line, limit=3, window=0.3)
        assert await heard(guesses, "192.0.2.1", 5) == 3
        await asyncio.sleep(0.35)
        assert guesses.blocked("192.0.2.1") == 0
        assert await heard(guesses, "192.0.2.1", 5) == 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("unix:", "unix:", True),
        ("192.0.2.1", "192.0.2.10", False),
    ],
)
async def test_what_one_client_has_counts_together(redis, one, other, same):
    async with gate(redis.url) as gateway:
        await heard(gateway.guesses, one, 11)
        assert (gateway.guesses.blocked(other) > 0) is same
        assert await heard(gateway.guesses, other) == (0 if same else 1)


async def test_while_redis_is_away_each_counts_its_share():
    with RedisServer() as server:
        async with AsyncExitStack() as stack:
            gates = [await stack.enter_async_context(gate(server.url, limit=0.05)) for _ in range(4)]
            for place, one in enumerate(gates):
                await one.guesses.look(4, place)
            server.kill()
            await asyncio.sleep(0.05)
            assert [await heard(one.guesses, "192.0.2.1", 8) for one in gates] == [3, 3, 2, 2]
            await gates[3].guesses.look(20, 19)
            assert await heard(gates[3].guesses, "192.0.2.3", 8) == 1  # whoever errs must be told so


async def test_only_so_many_addresses_are_kept_in_mind(redis, monkeypatch):
    monkeypatch.setattr("parley.state.guesses._MOST", 3)
    async with gate(redis.url) as one:
        guesses = Guesses(one.line, limit=1)
        for number in range(5):
            await heard(guesses, f"192.0.2.{number}", 2)
        assert [bool(guesses.blocked(f"192.0.2.{number}")) for number in range(5)] == [False, False, True, True, True]
