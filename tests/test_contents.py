"""Wherever in a Redis something lies, it is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from tests.contents import contents
from tests.servers import RedisServer

PLACES: dict[str, Callable[[redis.Redis], object]] = {
    "a name": lambda line: line.set("of canary", "x"),
    "a string": lambda line: line.set("key", "a canary"),
    "a hash's field": lambda line: line.hset("key", "a canary", "x"),
    "a hash's value": lambda line: line.hset("key", "x", "a canary"),
    "a list": lambda line: line.rpush("key", "x", "a canary"),
    "a set": lambda line: line.sadd("key", "x", "a canary"),
    "a sorted set": lambda line: line.zadd("key", {"x": 1, "a canary": 2}),
    "a stream's field": lambda line: line.xadd("key", {"a canary": "x"}),
    "a stream's value": lambda line: line.xadd("key", {"x": "a canary"}),
}


@pytest.fixture(scope="module")
def url():
    with RedisServer() as server:
        yield server.url


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found_in(url: str, place: str) -> None:
    with redis.Redis.from_url(url) as line:
        line.flushall()
        PLACES[place](line)
    ((_, held),) = contents(url)
    assert b"canary" in held
