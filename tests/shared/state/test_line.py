"""The line: pipelined, in order, and nobody waits for a Redis that does not answer."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager

import pytest
import redis as redis_py
from redis.exceptions import ResponseError

from parley.clock import monotonic
from parley.errors import StateUnavailable
from parley.sealed import Secret
from parley.state.line import Line
from tests.servers import RedisServer
from tests.shared.state.conftest import recovered


@asynccontextmanager
async def line_to(url: str, **facts):
    line = Line(Secret(url), "tester-1", **facts)
    await line.open()
    try:
        yield line
    finally:
        await line.close()


@pytest.fixture
def own_redis():
    with RedisServer() as server:
        yield server


async def test_replies_come_to_those_who_asked(redis):
    async with line_to(redis.url, limit=1.0) as line:
        replies = await asyncio.gather(*(line.call("ECHO", f"{i}") for i in range(500)))
        assert replies == [f"{i}".encode() for i in range(500)]


async def test_large_values_and_utf8_travel_whole(redis):
    async with line_to(redis.url, limit=1.0) as line:
        text = "话" * 300_000
        assert (await line.call("ECHO", text)).decode() == text


async def test_an_error_reply_is_raised_for_its_caller_alone(redis):
    async with line_to(redis.url, limit=1.0) as line:
        wrong, right = line.call("NO-SUCH-COMMAND"), line.call("ECHO", "x")
        with pytest.raises(ResponseError, match="unknown command"):
            await wrong
        assert await right == b"x"
        assert line.up


async def test_the_process_is_known_to_redis_by_its_name(redis, look):
    async with line_to(redis.url):
        assert "tester-1" in {client["name"] for client in look.client_list()}


async def test_a_frozen_redis_is_noticed_within_the_limit_and_then_not_waited_for_at_all(own_redis):
    async with line_to(own_redis.url) as line:
        with own_redis.paused():
            began = monotonic()
            results = await asyncio.gather(*(line.call("PING") for _ in range(100)), return_exceptions=True)
            assert monotonic() - began < 0.1
            assert {type(result) for result in results} == {StateUnavailable}
            assert line.condition == "slow"
            began = monotonic()
            for _ in range(1000):
                with pytest.raises(StateUnavailable):
                    await line.call("PING")
            assert monotonic() - began < 0.2
        await recovered(line)
        assert await line.call("ECHO", "again") == b"again"


async def test_a_reply_that_came_too_late_is_shown_to_whoever_can_undo_it(own_redis):
    told = []
    async with line_to(own_redis.url) as line:
        with own_redis.paused(), pytest.raises(StateUnavailable):
            await line.call("INCR", "n", late=lambda command, reply: told.append((command, reply)))
        await recovered(line)
        assert told == [(("INCR", "n"), 1)]


async def test_a_reply_to_a_caller_who_hung_up_is_shown_too(redis):
    told = []
    async with line_to(redis.url, limit=1.0) as line:
        line.call("ECHO", "x", late=lambda command, reply: told.append(reply)).cancel()
        await line.call("PING")
        assert told == [b"x"]


async def test_a_redis_that_is_gone_is_found_again(own_redis):
    async with line_to(own_redis.url) as line:
        own_redis.kill()
        await asyncio.sleep(0.05)
        assert line.condition == "gone"
        with pytest.raises(StateUnavailable):
            await line.call("PING")
        own_redis.start()
        await recovered(line)
        assert await line.call("ECHO", "again") == b"again"


async def test_a_start_without_redis_is_no_failure(own_redis):
    own_redis.stop()
    line = Line(Secret(own_redis.url), "tester-1")
    assert not await line.open(0.2)
    own_redis.start()
    await recovered(line)
    await line.close()


async def test_whoever_cares_is_told_when_redis_is_back_before_anybody_else_uses_it(own_redis):
    async with line_to(own_redis.url) as line:
        line.on_up.append(lambda: line.call("SET", "first", "1"))
        own_redis.restart()
        await recovered(line)
        assert await line.call("GET", "first") == b"1"


async def test_calls_under_way_when_the_connection_breaks_fail_at_once(own_redis):
    async with line_to(own_redis.url, limit=5.0) as line:
        own_redis.pause()
        calls = [line.call("PING") for _ in range(10)]
        await asyncio.sleep(0.02)
        began = monotonic()
        own_redis.kill()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert monotonic() - began < 1
        assert {type(result) for result in results} == {StateUnavailable}
        own_redis.start()


async def test_the_backlog_is_bounded(own_redis):
    async with line_to(own_redis.url, backlog=10, limit=0.5) as line:
        with own_redis.paused():
            calls = [line.call("PING") for _ in range(15)]
            assert sum(call.done() for call in calls) == 5
            await asyncio.gather(*calls, return_exceptions=True)


async def test_a_busy_event_loop_is_not_taken_for_a_slow_redis(redis):
    import time

    async with line_to(redis.url) as line:
        call = line.call("PING")
        await asyncio.sleep(0.01)
        second = line.call("PING")
        time.sleep(0.2)  # this process had no time
        assert await call == b"PONG"
        assert await second == b"PONG"
        assert line.up


async def test_a_redis_that_takes_no_writes_counts_as_not_there(redis, look):
    async with line_to(redis.url, limit=1.0) as line:
        look.config_set("maxmemory", 1)
        try:
            with pytest.raises(StateUnavailable):
                await line.call("SET", "x", "y")
        finally:
            look.config_set("maxmemory", 0)
        await recovered(line)


async def test_closing_leaves_nothing_behind(redis):
    before = asyncio.all_tasks()
    async with line_to(redis.url, limit=1.0) as line:
        await line.call("PING")
    assert asyncio.all_tasks() == before
    with redis_py.Redis.from_url(redis.url, decode_responses=True) as client:
        for _ in range(50):
            if "tester-1" not in {row["name"] for row in client.client_list()}:
                return
            await asyncio.sleep(0.02)
    raise AssertionError("the connection is still open")


async def test_a_line_that_is_closed_while_redis_is_away_leaves_nothing_unheard(own_redis):
    unheard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context["message"]))
    line = Line(Secret(own_redis.url), "tester-1", limit=0.05)
    await line.open()
    with own_redis.paused():
        with pytest.raises(StateUnavailable):
            await line.call("PING")
        await asyncio.sleep(0.05)  # it asks in the background whether Redis is back
        await line.close()
    del line
    await asyncio.sleep(0)
    gc.collect()
    assert not unheard
