"""`/status` and `/processes`."""

from __future__ import annotations

from parley.sealed import Secret
from parley.state.fleet import Fleet, process_name
from parley.state.line import Line
from parley.state.revisions import Revisions
from tests.servers import RedisServer
from tests.services.console.conftest import Console
from tests.shared.state.conftest import replica


async def test_everything_at_a_glance(console: Console, redis: RedisServer) -> None:
    async with replica(redis.url, role="gateway", beat=True), replica(redis.url, role="keeper", beat=True):
        await console.parts.state.fleet.beat()
        status = await console.get("status")
    assert status["processes"] == {"console": 1, "gateway": 1, "keeper": 1}
    assert status["redis"]["status"] == "ok"
    assert status["upstreams"] == 2  # and echo
    assert status["configuration"]["revision"] == 0
    assert 0 <= status["configuration"]["confirmed"] < 5
    assert status["configuration"]["problem"] is None
    assert status["problems"] == []
    assert status["console"].startswith("console-")


async def test_problems_are_told_with_what_they_mean(console: Console) -> None:
    await console.client.post("upstreams/openai/rest", json={"seconds": 60, "reason": "they move"})
    await console.parts.state.fleet.beat()
    problems = {problem["what"]: problem["why"] for problem in (await console.get("status"))["problems"]}
    assert problems["upstream openai"] == "It rests: operator: they move."
    assert "No keeper" in problems["keeper"]


async def test_a_revision_that_cannot_be_used_here_is_told(console: Console) -> None:
    revisions: Revisions = console.parts.state.revisions
    await revisions.write({"routes": {"x": {"model": "y", "targets": []}}}, upon=0, who="test", what="a mistake")
    await console.parts.live.look()
    configuration = (await console.get("status"))["configuration"]
    assert configuration["revision"] == 1
    assert "routes" in configuration["problem"]


async def test_the_status_is_told_without_redis_too(console: Console, redis: RedisServer) -> None:
    with redis.paused():
        console.parts.state.line.limit = 0.05
        assert (await console.refused("GET", "processes", 503))["code"] == "state_unavailable"
        status = await console.get("status")
    assert status["redis"]["status"] == "slow"
    assert status["problems"][0]["what"] == "redis"


async def test_processes_are_told_apart(console: Console, redis: RedisServer) -> None:
    names = [process_name("gateway") for _ in range(3)]
    async with replica(redis.url) as one:
        for name in names:
            line = Line(Secret(redis.url), name)
            await line.open()
            await Fleet(line, one.vault).beat()
            await line.close()
    first = await console.get("processes", limit=2)
    rest = await console.get("processes", after=first["next"])
    rows = first["data"] + rest["data"]
    assert [row["name"] for row in rows] == sorted([*names, console.parts.name])
    assert {row["role"] for row in rows} == {"console", "gateway"}
    assert all(row["pid"] and row["host"] and 0 <= row["heard_of"] < 4 for row in rows)
    assert rest["has_more"] is False
