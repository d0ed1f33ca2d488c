"""The configuration in force follows the revisions in Redis, and survives what it cannot use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from parley.catalog import Catalog, Upstream
from parley.clock import monotonic
from parley.configuration import Configured
from parley.configuration.live import EVERY, Live
from parley.sealed import Seal, Secret
from parley.settings import ConfigurationError
from parley.state.fleet import process_name
from parley.state.line import Line
from parley.state.revisions import Revisions
from tests.servers import RedisServer

SEAL = Seal(b"a key for tests, long enough")


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def read(changes: dict[str, Any]) -> Configured:
    """Each name in the changes is an upstream; one called 'bad' cannot be used."""
    if "bad" in changes:
        raise ConfigurationError("'bad' is bad")
    return Configured(Catalog({name: Upstream(name, "echo") for name in ("base", *changes)}), ())


@asynccontextmanager
async def process(redis: RedisServer) -> AsyncIterator[tuple[Live, Revisions]]:
    line = Line(Secret(redis.url), process_name("gateway"), limit=1.0)
    await line.open()
    revisions = Revisions(line, SEAL)
    live = Live(read, revisions)
    await live.open()
    try:
        yield live, revisions
    finally:
        await live.close()
        await line.close()


async def until(live: Live, revision: int, seconds: float = 2.0) -> float:
    began = monotonic()
    while live.revision != revision:
        assert monotonic() - began < seconds, f"revision {revision} never came"
        await asyncio.sleep(0.005)
    return monotonic() - began


async def test_a_change_is_in_force_everywhere_within_a_second(redis: RedisServer) -> None:
    async with process(redis) as (one, revisions), process(redis) as (two, _):
        told: list[list[str]] = []

        async def listen(catalog: Catalog) -> None:
            told.append(list(catalog.upstreams))

        two.listeners.append(listen)
        assert list(one.catalog.upstreams) == ["base"]
        await revisions.write({"east": {}}, upon=0, who="ada", what="adds east")
        assert max(await asyncio.gather(until(one, 1), until(two, 1))) < 1.0
        assert list(one.catalog.upstreams) == list(two.catalog.upstreams) == ["base", "east"]
        assert told == [["base", "east"]]


async def test_a_process_that_starts_later_begins_with_the_changes(redis: RedisServer) -> None:
    async with process(redis) as (_, revisions):
        await revisions.write({"east": {}}, upon=0, who="ada", what="adds east")
    async with process(redis) as (late, _):
        assert late.revision == 1 and "east" in late.catalog.upstreams


async def test_a_change_that_cannot_be_used_here_leaves_what_was_and_is_told(redis: RedisServer) -> None:
    async with process(redis) as (live, revisions):
        await revisions.write({"east": {}}, upon=0, who="ada", what="adds east")
        await until(live, 1)
        await revisions.write({"bad": {}}, upon=1, who="bob", what="breaks it")
        await until(live, 2)
        assert list(live.catalog.upstreams) == ["base", "east"] and live.problem == "'bad' is bad"
        await revisions.write({}, upon=2, who="bob", what="mends it")
        await until(live, 3)
        assert list(live.catalog.upstreams) == ["base"] and live.problem == ""


async def test_a_file_that_changes_is_read_again(redis: RedisServer, tmp_path: Path) -> None:
    file = tmp_path / "names"
    file.write_text("one")

    def of_file(changes: dict[str, Any]) -> Configured:
        text = file.read_text() if file.exists() else "none"
        return read({**changes, **{name: {} for name in text.split()}})

    line = Line(Secret(redis.url), process_name("gateway"), limit=1.0)
    await line.open()
    revisions = Revisions(line, SEAL)
    live = Live(of_file, revisions, [file])
    try:
        assert list(live.catalog.upstreams) == ["base", "one"]
        await revisions.write({"east": {}}, upon=0, who="ada", what="adds east")
        await live.look()
        file.write_text("one two")
        await live.look()
        assert list(live.catalog.upstreams) == ["base", "east", "one", "two"]
        file.write_text("bad")
        await live.look()
        assert list(live.catalog.upstreams) == ["base", "east", "one", "two"] and live.problem == "'bad' is bad"
        file.unlink()
        await live.look()
        assert list(live.catalog.upstreams) == ["base", "east", "none"] and live.problem == ""
    finally:
        await live.close()
        await line.close()


async def test_a_snapshot_that_somebody_holds_does_not_change(redis: RedisServer) -> None:
    async with process(redis) as (live, revisions):
        held = live.catalog
        await revisions.write({"east": {}}, upon=0, who="ada", what="adds east")
        await until(live, 1)
        assert list(held.upstreams) == ["base"] and live.catalog is not held


async def test_without_redis_it_goes_on_with_what_it_knows_and_knows_how_old_that_is(redis: RedisServer) -> None:
    async with process(redis) as (live, revisions):
        await revisions.write({"east": {}}, upon=0, who="ada", what="adds east")
        await until(live, 1)
        redis.stop()
        before = live.confirmed
        await asyncio.sleep(0.6)
        assert "east" in live.catalog.upstreams
        assert live.confirmed - before < 0.3


async def test_a_listener_that_fails_does_not_end_the_looking(redis: RedisServer) -> None:
    async with process(redis) as (live, revisions):

        async def fail(_: Catalog) -> None:
            raise ZeroDivisionError

        live.listeners.append(fail)
        await revisions.write({"east": {}}, upon=0, who="ada", what="adds east")
        await until(live, 1)
        await revisions.write({}, upon=1, who="ada", what="removes east")
        await until(live, 2)


async def test_who_has_written_a_revision_need_not_wait_for_the_next_look(redis: RedisServer) -> None:
    async with process(redis) as (live, revisions):
        number = await revisions.write({"new": {}}, upon=0, who="admin", what="new")
        began = monotonic()
        await live.reach(number, 2.0)
        assert live.revision == number and "new" in live.catalog.upstreams
        assert monotonic() - began < EVERY
        await live.reach(number + 1, 0.1)
        assert live.revision == number, "what nobody wrote is not waited for without end"
