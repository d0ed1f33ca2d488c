"""What a process can say of an upstream without asking anybody: how busy it is, and whether it rests."""

from __future__ import annotations

from dataclasses import replace

from parley.errors import Challenged, Throttled
from parley.state.desk import Desk
from tests.shared.state.conftest import replica, upstream


async def test_a_process_counts_its_own_answers_now_and_the_others_as_of_the_last_look(redis) -> None:
    up = upstream(2)
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        assert (one.vault.busy("up"), one.vault.busy("nobody")) == (0, 0)
        theirs = [await two.lend(up) for _ in range(3)]
        mine = await one.lend(up)
        assert one.vault.busy("up") == 1
        await one.fleet.beat()
        assert one.vault.busy("up") == 4
        another = await one.lend(up)
        assert one.vault.busy("up") == 5
        for lease in (mine, another):
            one.vault.give_back(lease, None)
        assert one.vault.busy("up") == 3
        for lease in theirs:
            two.vault.give_back(lease, None)
        await two.line.call("PING")
        await one.fleet.beat()
        assert one.vault.busy("up") == 0


async def test_an_upstream_rests_when_it_was_told_to_or_when_all_its_credentials_do(redis) -> None:
    up, site = upstream(2), upstream(1, name="site")
    async with replica(redis.url, up, site) as one:
        await one.fleet.beat()
        assert not one.vault.rests("up") and not one.vault.rests("site") and not one.vault.rests("nobody")
        one.vault.give_back(await one.lend(up), Throttled("later"))
        one.vault.give_back(await one.lend(site), Challenged("no"))
        await one.fleet.beat()
        assert not one.vault.rests("up"), "another credential can be used"
        assert one.vault.rests("site")
        one.vault.give_back(await one.lend(up), Throttled("later"))
        await one.fleet.beat()
        assert one.vault.rests("up")


async def test_a_rest_ends_though_nobody_looks(redis) -> None:
    up = upstream(1)
    async with replica(redis.url, up) as one:
        one.vault.give_back(await one.lend(up), Throttled("later", retry_after=5.0))
        standing = await one.vault.snapshot(up)
        desk = Desk(up, standing=replace(standing, seen=standing.seen - 4.5))
        assert desk.rests
        assert not replace(desk, standing=replace(standing, seen=standing.seen - 5.5)).rests
