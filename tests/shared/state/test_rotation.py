"""Turns of a route: each number once in the fleet, and a rotation of one's own while Redis is away."""

from __future__ import annotations

import asyncio

from parley.state import keys
from parley.state.rotation import Rotation
from tests.shared.state.conftest import PATIENT, recovered, replica


async def test_every_turn_is_given_once_whoever_asks(redis, look) -> None:
    async with replica(redis.url) as one, replica(redis.url) as two:
        rotations = [Rotation(each.line, lambda: 0) for each in (one, two)]
        turns = await asyncio.gather(*(rotations[n % 2].turn("smart") for n in range(100)))
        assert sorted(turns) == list(range(100))
        assert await rotations[0].turn("another") == 0
        assert look.pttl(keys.rotation("smart")) > 0


async def test_without_redis_each_process_goes_round_from_its_place(redis) -> None:
    async with replica(redis.url, limit=0.05) as one:
        rotation = Rotation(one.line, lambda: 2)
        first = await rotation.turn("smart")
        with redis.paused():
            assert [await rotation.turn("smart") for _ in range(3)] == [2, 3, 4]
            assert await rotation.turn("another") == 2
        await recovered(one.line)
        one.line.limit = PATIENT
        # The call that was late may have been counted: turns are skipped, and none is given twice.
        assert await rotation.turn("smart") in (first + 1, first + 2)
