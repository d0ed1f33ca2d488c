"""A limit of one model rests a credential for that model, in every replica, and for no other."""

from __future__ import annotations

import asyncio

import pytest

from parley.catalog import Upstream
from parley.errors import LimitReached, ModelExhausted, ModelThrottled, QueueFull, Throttled
from parley.state.rests import Rests
from tests.servers import RedisServer
from tests.shared.state.conftest import Replica, recovered, replica, upstream
from tests.shared.state.test_outage import TERMS


class Tired(ModelThrottled):
    """Rests for a moment."""

    rest = 0.1
    longest_rest = 10.0


async def fails(one: Replica, up: Upstream, model: str, failure: Throttled | ModelExhausted) -> None:
    one.vault.give_back(await one.lend(up, model=model), failure)
    await one.line.call("PING")


async def test_others_are_lent_while_one_model_rests(redis):
    up = upstream(2)
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        await fails(one, up, "opus", ModelExhausted("none left", retry_after=3600))
        aliases = [(await two.lend(up, model="opus")).credential.alias for _ in range(3)]
        assert aliases == ["c1"] * 3, "the other credential has some left"
        assert {(await two.lend(up, model=model)).credential.alias for model in ("haiku", "sonnet")} == {"c0", "c1"}
        await fails(two, up, "opus", ModelExhausted("none left", retry_after=60))
        with pytest.raises(LimitReached) as refused:
            await one.lend(up, model="opus")
        assert 50 < refused.value.retry_after <= 60, "the first to come back"
        assert await one.lend(up, model="haiku")
        assert await one.lend(up)
        rows = {row.alias: row for row in (await two.vault.snapshot(up)).credentials}
        assert [row.rests for row in rows.values()] == [0, 0]
        ((model, rests, reason),) = rows["c0"].models
        assert (model, reason) == ("opus", "insufficient_quota") and 3500 < rests <= 3600
        assert rows["c0"].failed == 1


async def test_after_the_rest_one_lease_finds_out_whether_it_is_over(redis):
    up = upstream(1)
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        for rest in (0.1, 0.2):
            await fails(one, up, "opus", Tired("slow down"))
            ((row,),) = [row.models for row in (await one.vault.snapshot(up)).credentials]
            assert rest - 0.08 < row.rests <= rest, "the second in a row is twice as long"
            await asyncio.sleep(rest + 0.01)
        one.vault.give_back(await one.lend(up, model="opus"), None, aborted=True)
        probe = await one.lend(up, model="opus")
        assert probe.probe, "the one before learned nothing"
        assert not (await two.lend(up, model="haiku")).probe
        with pytest.raises(QueueFull):
            await two.lend(up, model="opus")
        one.vault.works(probe)
        await one.line.call("PING")
        assert not (await two.lend(up, model="opus")).probe
        one.vault.give_back(probe, None)
        await one.line.call("PING")
        (row,) = (await one.vault.snapshot(up)).credentials
        assert not row.models


async def test_an_answer_of_another_model_says_nothing_of_this_one(redis):
    up = upstream(1)
    async with replica(redis.url, up) as one:
        await fails(one, up, "opus", Tired("slow down"))
        await asyncio.sleep(0.12)
        one.vault.give_back(await one.lend(up, model="haiku"), None)
        assert (await one.lend(up, model="opus")).probe


async def test_the_credentials_own_rest_holds_for_every_model(redis):
    up = upstream(1)
    async with replica(redis.url, up) as one:
        lease = await one.lend(up, model="haiku")
        await fails(one, up, "opus", Tired("slow down"))
        one.vault.give_back(lease, Throttled("slow down", retry_after=300))
        await asyncio.sleep(0.12)
        for model in ("opus", "haiku"):
            with pytest.raises(LimitReached) as refused:
                await one.lend(up, model=model)
            assert refused.value.retry_after > 250


async def test_an_operator_ends_them_all(redis):
    up = upstream(1)
    async with replica(redis.url, up) as one:
        for model in ("opus", "sonnet"):
            await fails(one, up, model, ModelExhausted("none left", retry_after=3600))
        (row,) = (await one.vault.snapshot(up)).credentials
        assert [rest.model for rest in row.models] == ["opus", "sonnet"]
        rests = Rests(one.line)
        assert await rests.end("up", row.id)
        assert not await rests.end("up", row.id)
        assert [await one.lend(up, model=model) for model in ("opus", "sonnet")]


async def test_models_that_rested_once_do_not_stay_for_ever(redis, look):
    up = upstream(1)
    async with replica(redis.url, up) as one:
        await fails(one, up, "opus", Tired("slow down"))
        (key,) = look.keys("parley:{up}:models:*")
        assert 3500_000 < look.pttl(key) <= 3_601_000
        look.hset(key, "until:opus", 1)  # ages ago
        await fails(one, up, "haiku", Tired("slow down"))
        assert sorted(look.hkeys(key)) == ["reason:haiku", "strikes:haiku", "until:haiku"]
        look.delete(key)
        assert not (await one.lend(up, model="haiku")).probe
        (record,) = look.keys("parley:{up}:cred:*")
        assert not look.hexists(record, "models"), "nobody looks in vain any more"


async def test_it_is_kept_to_while_redis_is_away(redis):
    up = upstream(2)
    with RedisServer(persistent=True) as server:
        async with replica(server.url, up, terms=TERMS, beat=True, limit=0.05) as one:
            await fails(one, up, "opus", ModelExhausted("none left", retry_after=3600))
            await one.fleet.beat()
            with server.paused():
                aliases = {(await one.lend(up, model="opus")).credential.alias for _ in range(4)}
                assert aliases == {"c1"}
                one.vault.give_back(await one.lend(up, model="sonnet"), ModelExhausted("none left", retry_after=3600))
                aliases = {(await one.lend(up, model="sonnet")).credential.alias for _ in range(4)}
                assert len(aliases) == 1
                assert {(await one.lend(up, model="haiku")).credential.alias for _ in range(4)} == {"c0", "c1"}
            await recovered(one.line)
