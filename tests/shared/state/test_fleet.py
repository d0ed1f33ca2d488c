"""Who lives, and how everything stands."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack

import pytest

from parley.catalog import PoolPlan
from parley.errors import Challenged, Throttled
from parley.sealed import Seal
from parley.state.fleet import Fleet
from parley.state.records import LostKey
from parley.state.terms import Terms
from tests.servers import RedisServer
from tests.shared.state.conftest import recovered, replica, upstream

QUICK = Terms(heartbeat=0.05, silence=0.3)


async def test_the_living_are_known_by_name_and_a_goodbye_counts_at_once(redis):
    up = upstream(1)
    async with replica(redis.url, up, terms=QUICK, beat=True) as one:
        async with replica(redis.url, up, terms=QUICK, beat=True, role="keeper") as two:
            await one.fleet.beat()
            assert one.fleet.living == tuple(sorted([one.line.name, two.line.name]))
        await one.fleet.beat()
        assert one.fleet.living == (one.line.name,)


async def test_a_process_that_falls_silent_is_forgotten(redis):
    up = upstream(1)
    async with replica(redis.url, up, terms=QUICK, beat=True) as one, replica(redis.url, up, terms=QUICK) as two:
        await two.fleet.beat()
        await one.fleet.beat()
        assert len(one.fleet.living) == 2
        await asyncio.sleep(0.4)
        assert one.fleet.living == (one.line.name,)


async def test_only_processes_of_the_same_kind_share_the_limits(redis):
    up = upstream(1, per_minute=10)
    async with (
        replica(redis.url, up, terms=QUICK, beat=True) as one,
        replica(redis.url, up, terms=QUICK, beat=True, role="keeper"),
    ):
        await one.fleet.beat()
        assert one.vault._spare._living == 1


class Watch:
    """Remembers what it was told of the fleet."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    async def look(self, living: int, place: int) -> None:
        self.told.append((living, place))


async def test_whoever_looks_around_is_told_of_gateways_alone_whatever_else_lives(redis):
    async with AsyncExitStack() as stack:
        gateways = []
        for role in ("console", "gateway", "keeper", "gateway", "keeper", "gateway"):
            one = await stack.enter_async_context(replica(redis.url, terms=QUICK, role=role))
            await one.fleet.beat()
            if role == "gateway":
                gateways.append((one, Watch()))
        seen = []
        for one, watch in gateways:
            await Fleet(one.line, one.vault, others=[watch]).beat()
            seen += watch.told
        latest = gateways[-1][0]
        assert (latest.admission._shares._living, latest.vault._spare._living) == (3, 3)
        assert sorted(seen) == [(3, 0), (3, 1), (3, 2)]
        by_name = sorted(range(3), key=lambda nth: gateways[nth][0].line.name)
        assert [seen[nth][1] for nth in by_name] == [0, 1, 2]


async def test_an_upstream_in_disorder_keeps_nobody_from_knowing_their_share(redis):
    up = upstream(1)
    async with replica(redis.url, up):
        pass
    async with replica(redis.url, terms=QUICK, seal=Seal(b"another key, long enough")) as one:
        one.vault._desks.take(up)
        watch = Watch()
        with pytest.raises(LostKey):
            await Fleet(one.line, one.vault, others=[watch]).beat()
        assert watch.told == [(1, 0)]


async def test_the_status_tells_how_redis_credentials_and_pools_stand_and_is_json(redis):
    up = upstream(2, pool=PoolPlan())
    async with replica(redis.url, up, terms=QUICK) as one:
        one.vault.give_back(await one.lend(up), Throttled("slow down"))
        lease = await one.lend(up)
        await one.fleet.beat()
        status = json.loads(json.dumps(one.fleet.status()))
        assert status["redis"]["status"] == "ok"
        told = status["upstreams"]["up"]
        assert [row["state"] for row in told["credentials"]] == ["ok", "resting"] or [
            row["state"] for row in told["credentials"]
        ] == ["resting", "ok"]
        assert told["leases"] == 1
        assert told["counts"] == {"taken": 2, "returned": 1, "expired": 0, "late": 0}
        one.vault.give_back(lease, Challenged("a page for humans"))
        await one.fleet.beat()
        assert one.fleet.status()["upstreams"]["up"]["resting"]["reason"] == "upstream_challenge"
        assert "secret-" not in json.dumps(one.fleet.status())


async def test_the_status_says_that_redis_is_away_and_since_when():
    up = upstream(1)
    with RedisServer() as server:
        async with replica(server.url, up, terms=QUICK, limit=0.05, beat=True) as one:
            with server.paused():
                await asyncio.sleep(0.3)
                assert one.fleet.status()["redis"]["status"] == "slow"
                assert one.fleet.status()["upstreams"]["up"]["credentials"]
            await recovered(one.line)
            server.kill()
            await asyncio.sleep(0.2)
            assert one.fleet.status()["redis"]["status"] == "gone"
            server.start()
            await recovered(one.line)
            await asyncio.sleep(0.2)
            assert one.fleet.status()["redis"]["status"] == "ok"
            assert one.fleet.living == (one.line.name,)


async def test_each_process_knows_its_place_among_its_kind(redis) -> None:
    async with AsyncExitStack() as stack:
        gateways = [await stack.enter_async_context(replica(redis.url, role="gateway")) for _ in range(3)]
        keeper = await stack.enter_async_context(replica(redis.url, role="keeper"))
        for _ in range(2):
            for each in (*gateways, keeper):
                await each.fleet.beat()
        assert sorted(each.fleet.place for each in gateways) == [0, 1, 2]
        assert {each.fleet.peers for each in gateways} == {3}
        assert (keeper.fleet.place, keeper.fleet.peers) == (0, 1)
