"""Revisions of the configuration: one writer at a time, everything sealed, and a past that can be gone back to."""

from __future__ import annotations

import asyncio

import pytest

from parley.sealed import Seal
from parley.state.records import LostKey
from parley.state.revisions import Conflict, Forgotten, Revisions
from tests.shared.state.conftest import SEAL, replica

CHANGES = {"upstreams": {"east": {"provider": "openai", "credentials": ["sk-canary-of-the-test"]}}}


async def test_before_the_first_change_there_is_nothing(redis):
    async with replica(redis.url) as made:
        revisions = Revisions(made.line, SEAL)
        assert await revisions.current() == (0, {})
        assert await revisions.number() == 0
        assert await revisions.past(0) == {}
        assert await revisions.log() == []


async def test_what_one_writes_everybody_reads_and_the_past_stays(redis):
    async with replica(redis.url) as one, replica(redis.url) as two:
        writer, reader = Revisions(one.line, SEAL), Revisions(two.line, SEAL)
        assert await writer.write(CHANGES, upon=0, who="ada", what="adds east") == 1
        assert await writer.write({}, upon=1, who="bob", what="takes it away") == 2
        assert await reader.current() == (2, {})
        assert await reader.past(1) == CHANGES
        assert [(r.number, r.who, r.what) for r in await reader.log()] == [
            (2, "bob", "takes it away"),
            (1, "ada", "adds east"),
        ]
        with pytest.raises(Forgotten):
            await reader.past(3)


async def test_of_many_who_write_upon_the_same_revision_one_wins_and_the_others_are_told(redis):
    async with replica(redis.url) as one, replica(redis.url) as two:
        writers = [Revisions(made.line, SEAL) for made in (one, two)]
        done = await asyncio.gather(
            *(writers[n % 2].write({"n": n}, upon=0, who="w", what=str(n)) for n in range(20)), return_exceptions=True
        )
        assert [result for result in done if not isinstance(result, Conflict)] == [1]
        assert all(conflict.current == 1 for conflict in done if isinstance(conflict, Conflict))
        (entry,) = await writers[0].log()
        assert await writers[0].current() == (1, {"n": int(entry.what)})


async def test_no_secret_lies_open_and_no_other_key_opens_it(redis, look):
    async with replica(redis.url) as made:
        await Revisions(made.line, SEAL).write(CHANGES, upon=0, who="ada", what="adds east")
        for name in look.scan_iter("parley:{config}:*"):
            assert "canary" not in str(look.hgetall(name))
        with pytest.raises(LostKey):
            await Revisions(made.line, Seal(b"another key")).current()


async def test_only_the_newest_are_kept(redis, look, monkeypatch):
    monkeypatch.setattr("parley.state.revisions.KEPT", 3)
    async with replica(redis.url) as made:
        revisions = Revisions(made.line, SEAL)
        for number in range(6):
            await revisions.write({"n": number}, upon=number, who="w", what="w")
        assert [revision.number for revision in await revisions.log()] == [6, 5, 4]
        assert look.hlen("parley:{config}:past") == 3
        with pytest.raises(Forgotten):
            await revisions.past(3)
