"""Sessions: ready, lent to one, doomed, closed. Never two answers on one, and none forgotten."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from parley.catalog import PoolPlan
from parley.leases import Session
from parley.state.terms import Terms
from tests.shared.state.conftest import replica, upstream

QUICK = Terms(lease=0.3, renew_every=0.1)


async def warm(one, up, number: int, prefix: str = "s") -> str:
    lease = await one.lend(up)
    one.vault.give_back(lease, None)
    credential = lease.credential
    for i in range(number):
        assert await one.pool.add(up, Session(f"{prefix}{i}", credential.id, credential.epoch))
    return credential.id


async def test_a_session_is_lent_once_and_due_for_closing_when_it_is_given_back(redis):
    up = upstream(1, pool=PoolPlan())
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        credential = await warm(one, up, 3)
        leases = await asyncio.gather(*(which.lend(up, sessions=True) for which in (one, two) for _ in range(2)))
        lent = [lease.session.id for lease in leases if lease.session]
        assert sorted(lent) == ["s0", "s1", "s2"]
        assert await one.pool.due(up) == []
        for which, lease in zip((one, one, two, two), leases, strict=True):
            which.vault.give_back(lease, None)
        await two.line.call("PING")
        due = await one.pool.due(up)
        assert sorted(session.id for session in due) == ["s0", "s1", "s2"]
        assert {(session.credential, session.epoch) for session in due} == {(credential, 1)}


async def test_the_oldest_session_goes_first_and_one_that_is_too_old_is_closed_instead(redis):
    up = upstream(1, pool=PoolPlan(age=0.3))
    async with replica(redis.url, up) as one:
        await warm(one, up, 2, "old")
        await asyncio.sleep(0.35)
        await warm(one, up, 2, "new")
        lease = await one.lend(up, sessions=True)
        assert lease.session.id == "new0"
        assert sorted(session.id for session in await one.pool.due(up)) == ["old0", "old1"]


async def test_a_caller_who_wants_no_session_takes_none(redis):
    up = upstream(1, pool=PoolPlan())
    async with replica(redis.url, up) as one:
        await warm(one, up, 1)
        assert (await one.lend(up)).session is None


async def test_what_is_due_is_given_to_one_and_comes_up_again_unless_it_is_done(redis):
    up = upstream(1, pool=PoolPlan(age=0.0))
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        credential = await warm(one, up, 2)
        await asyncio.sleep(0.01)
        assert await one.pool.weed(up, credential, 0.005) == 2
        due = await one.pool.due(up, claim=0.2)
        assert len(due) == 2
        assert await two.pool.due(up) == []
        await one.pool.done(up, due[:1])
        await asyncio.sleep(0.25)
        assert await two.pool.due(up) == due[1:]


async def test_a_session_opened_for_a_lease_is_closed_after_it(redis):
    up = upstream(1, pool=PoolPlan())
    async with replica(redis.url, up) as one:
        lease = await one.lend(up, sessions=True)
        one.vault.note_session(lease, Session("inline", lease.credential.id, 1))
        assert lease.session.id == "inline"
        one.vault.give_back(lease, None)
        await one.line.call("PING")
        assert [session.id for session in await one.pool.due(up)] == ["inline"]


async def test_a_session_opened_for_a_caller_who_hung_up_meanwhile_is_closed_too(redis):
    up = upstream(1, pool=PoolPlan())
    async with replica(redis.url, up) as one:
        lease = await one.lend(up, sessions=True)
        one.vault.give_back(lease, None, aborted=True)
        one.vault.note_session(lease, Session("too late", lease.credential.id, 1))
        await one.line.call("PING")
        assert [session.id for session in await one.pool.due(up)] == ["too late"]


async def test_the_session_of_a_killed_replica_is_closed_after_its_lease(redis):
    up = upstream(1, pool=PoolPlan())
    async with replica(redis.url, up, terms=QUICK) as two:
        async with replica(redis.url, up, terms=replace(QUICK, renew_every=60)) as one:
            await warm(one, up, 1)
            assert (await one.lend(up, sessions=True)).session
        await asyncio.sleep(0.35)
        await two.vault.snapshot(up)
        assert await two.pool.due(up) == []  # spared for a moment: its owner may only have been cut off
        await asyncio.sleep(0.15)
        assert [session.id for session in await two.pool.due(up)] == ["s0"]


async def test_a_replica_that_was_cut_off_gets_its_session_back(redis):
    up = upstream(1, pool=PoolPlan())
    terms = replace(QUICK, renew_every=0.5)
    async with replica(redis.url, up, terms=terms) as one:
        await warm(one, up, 1)
        lease = await one.lend(up, sessions=True)
        await asyncio.sleep(0.35)
        assert (await one.vault.snapshot(up)).expired == 1
        await asyncio.sleep(0.25)  # its next renewal
        seen = await one.vault.snapshot(up)
        assert (seen.held, seen.doomed) == (1, 0)
        one.vault.give_back(lease, None)
        seen = await one.vault.snapshot(up)
        assert seen.taken == seen.returned + seen.expired
        assert [session.id for session in await one.pool.due(up)] == ["s0"]


async def test_every_session_that_somebody_answers_for_is_known(redis):
    up = upstream(2, pool=PoolPlan())
    async with replica(redis.url, up) as one:
        credential = await warm(one, up, 3)
        await one.lend(up)  # the other's turn
        lease = await one.lend(up, sessions=True)
        assert lease.session.id == "s0"
        await one.pool.weed(up, credential, -1)
        assert await one.pool.add(up, Session("with:colon", credential, 1))
        assert await one.pool.known(up, credential) == {"s0", "s1", "s2", "with:colon"}


async def test_sessions_of_a_credential_that_left_the_configuration_are_closed(redis):
    up = upstream(2, pool=PoolPlan())
    async with replica(redis.url, up) as one:
        credential = await warm(one, up, 1)
        left = replace(up, credentials=up.credentials[1:])
        async with replica(redis.url, left) as two:
            (session,) = await two.pool.due(left)
            assert (session.id, session.credential) == ("s0", credential)
            assert (await two.vault.credential(left, credential)).part() == "secret-0"
