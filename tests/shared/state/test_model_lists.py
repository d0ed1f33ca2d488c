"""Model lists: asked once, read by all."""

from __future__ import annotations

from parley.clock import now
from tests.shared.state.conftest import replica, upstream


async def test_a_list_is_seen_by_the_others_after_their_next_look(redis):
    up = upstream(1)
    async with replica(redis.url, up) as keeper, replica(redis.url, up) as gateway:
        assert gateway.model_lists.get("up") is None
        await keeper.model_lists.put("up", ["org/model:tag", "模型"])
        await gateway.model_lists.refresh(["up", "another"])
        found = gateway.model_lists.get("up")
        assert found.models == ("org/model:tag", "模型")
        assert abs(found.asked - now()) < 5
        assert gateway.model_lists.get("another") is None


async def test_the_fleet_looks_by_itself(redis):
    up = upstream(1)
    async with replica(redis.url, up) as keeper:
        await keeper.model_lists.put("up", ["m"])
        async with replica(redis.url, up, beat=True) as gateway:
            assert gateway.model_lists.get("up").models == ("m",)
