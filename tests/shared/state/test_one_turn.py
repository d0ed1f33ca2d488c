"""One turn: a request's admission and its credential are asked for together, and nothing is lent to who is refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from parley.catalog import Limits, Upstream
from parley.clock import monotonic
from parley.errors import OverLimit, QueueFull, StateUnavailable
from parley.leases import Lease
from parley.state import keys
from parley.state.admission import Admission
from parley.state.asked import Asked
from parley.state.vault import NotAdmitted
from tests.servers import RedisServer
from tests.shared.state.admitting import KEY
from tests.shared.state.conftest import PATIENT, Replica, recovered, replica, upstream


@dataclass
class Door:
    """What a gateway asks for a request: may it come in, and with which credential."""

    state: Replica

    @property
    def admission(self) -> Admission:
        return self.state.admission

    def ask(self, limits: Limits, tokens: int = 1, cost: int = 0) -> Asked:
        return self.admission.ask([(KEY, limits)], tokens=tokens, cost=cost)

    async def lend(self, to: Upstream, asked: Asked, wait: float = 0.0) -> Lease:
        return await self.state.lend(to, wait, admitted_as=asked.id)

    async def used(self) -> tuple[int, int]:
        """Requests of the last minute, and answers under way."""
        full = (await self.admission.fullness([KEY]))[KEY]
        return full.minute[0], full.running


@asynccontextmanager
async def door(url: str, *upstreams: Upstream, limit: float = PATIENT, beat: bool = False) -> AsyncIterator[Door]:
    async with replica(url, *upstreams, limit=limit) as state:
        if beat:
            await state.fleet.beat()
        yield Door(state)


@pytest.fixture
def own_redis(redis: RedisServer) -> Iterator[RedisServer]:
    yield redis
    redis.resume()


async def test_a_thousand_refused_requests_take_no_turn_and_no_pace(redis):
    up, two = upstream(3, per_minute=5), Limits(requests_per_minute=2)
    async with door(redis.url, up) as one, door(redis.url, up) as other:
        seen: Counter[str] = Counter()

        async def caller(which: Door) -> None:
            asked = which.ask(two)
            try:
                lease = await which.lend(up, asked, wait=1)
            except NotAdmitted:
                with pytest.raises(OverLimit):
                    await asked.granted()
                seen["refused"] += 1
            else:
                await asked.granted()
                seen[lease.credential.alias] += 1

        for _ in range(10):
            await asyncio.gather(*(caller(which) for which in (one, other) for _ in range(50)))
        await caller(one)
        assert seen == {"c0": 1, "c1": 1, "refused": 999}
        standing = await one.state.vault.snapshot(up)
        assert (standing.taken, standing.held, standing.waiting) == (2, 2, 0)
        assert [row.paced for row in standing.credentials] == [0, 1, 1]  # in the order of their turns: c2 is next
        assert (await one.state.lend(up)).credential.alias == "c2"


async def test_both_are_written_together_and_the_admission_is_known_first(redis):
    up, limits = upstream(1), Limits(requests_per_minute=2)
    async with door(redis.url, up) as one:
        await one.state.lend(up)  # the credential's secret is known from now on
        wire: Any = one.state.line._wire
        written = Written(wire._transport)
        wire._transport = written
        asked = one.ask(limits)
        await one.lend(up, asked)
        assert asked.decided
        assert (await asked.granted()).requests[:2] == (2, 1)
        assert len(written.texts) == 1
        wire._transport = written.transport


@dataclass
class Written:
    """A transport that remembers what was written."""

    transport: asyncio.Transport
    texts: list[bytes] = field(default_factory=list)

    def write(self, text: bytes) -> None:
        self.texts.append(text)
        self.transport.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


async def test_what_nobody_limits_is_granted_at_once_and_asks_for_nothing(redis):
    up = upstream(1)
    async with door(redis.url, up) as one:
        asked = one.ask(Limits())
        assert (asked.id, asked.decided) == ("", True)
        assert (await asked.granted()).id == ""
        assert await one.lend(up, asked)
        one.admission.void(asked)


async def test_who_is_refused_does_not_wait_in_the_queue(redis):
    up, none_left = upstream(1, concurrency=1), Limits(requests_per_minute=1)
    async with door(redis.url, up) as one:
        await one.lend(up, one.ask(none_left))
        began = monotonic()
        with pytest.raises(NotAdmitted):
            await one.lend(up, one.ask(none_left), wait=5)
        assert monotonic() - began < 1
        assert (await one.state.vault.snapshot(up)).waiting == 0


async def test_who_is_admitted_waits_in_the_queue_and_a_second_attempt_needs_no_second_look(redis):
    up, limits = upstream(1, concurrency=1), Limits(requests_per_minute=2, concurrency=2)
    async with door(redis.url, up) as one:
        first = await one.lend(up, one.ask(limits))
        asked = one.ask(limits)
        waits = asyncio.create_task(one.lend(up, asked, wait=5))
        await asked.granted()
        assert asked.id == ""
        one.state.vault.give_back(first, None)
        one.state.vault.give_back(await waits, None)
        assert await one.lend(up, asked)
        assert await one.used() == (2, 2)


async def test_lanes_of_a_race_share_one_admission_and_one_that_leaves_takes_it_from_nobody(redis):
    up, limits = upstream(3), Limits(requests_per_minute=1, concurrency=1)
    async with door(redis.url, up) as one:
        asked = one.ask(limits)
        lanes = [asyncio.create_task(one.lend(up, asked)) for _ in range(3)]
        waits = [asyncio.create_task(asked.granted()) for _ in range(3)]
        await asyncio.sleep(0)
        waits[0].cancel()
        assert len({(await lane).credential.id for lane in lanes}) == 3
        admitted = await waits[1]
        assert admitted is await waits[2]
        assert await one.used() == (1, 1)
        one.admission.settle(admitted, 1, 0)
        one.admission.void(asked)
        assert await one.used() == (1, 0)


@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_who_hangs_up_before_anything_is_known_leaves_nothing_behind(redis, turns):
    up, limits = upstream(1, concurrency=1), Limits(requests_per_minute=1, concurrency=1)
    async with door(redis.url, up) as one:
        for _ in range(10):
            asked = one.ask(limits)
            lending = asyncio.create_task(one.lend(up, asked))
            for _ in range(turns):
                await asyncio.sleep(0)
            lending.cancel()
            one.admission.void(asked)
            one.admission.void(asked)  # once is enough
            await asyncio.gather(lending, return_exceptions=True)
            with pytest.raises(asyncio.CancelledError):
                await asked.granted()
        assert await one.used() == (0, 0)
        standing = await one.state.vault.snapshot(up)
        assert (standing.held, standing.waiting) == (0, 0)
        assert standing.taken == standing.returned
        assert one.admission.running == 0
        assert await one.lend(up, one.ask(limits))


async def test_who_hangs_up_once_it_was_granted_took_nothing_and_was_a_request(redis):
    limits = Limits(requests_per_minute=5, tokens_per_minute=100, concurrency=1)
    async with door(redis.url) as one:
        asked = one.ask(limits, tokens=90)
        await asked.granted()
        for _ in range(3):
            one.admission.void(asked)
        assert await one.used() == (1, 0)
        assert await one.ask(limits, tokens=100).granted()


async def test_a_record_that_is_lost_in_between_stops_nobody_for_good(redis):
    up, limits = upstream(1), Limits(requests_per_minute=5)
    async with door(redis.url, up) as one:
        asked = one.ask(limits)
        forgotten = one.state.line.call("DEL", keys.admission(asked.id))
        with pytest.raises(NotAdmitted):
            await one.lend(up, asked)
        assert await forgotten == 1
        await asked.granted()
        assert await one.lend(up, asked)


# --- Redis away -------------------------------------------------------------------------------------------------------


async def test_frozen_before_both_each_keeps_to_its_share_and_all_is_told_afterwards(own_redis):
    up, limits = upstream(1, concurrency=5), Limits(requests_per_minute=3, concurrency=3)
    async with door(own_redis.url, up, limit=0.05, beat=True) as one:
        with own_redis.paused():
            asked = [one.ask(limits) for _ in range(5)]
            leases = await asyncio.gather(*(one.lend(up, each) for each in asked))
            assert all(each.decided for each in asked)  # before anybody has a lease
            granted = [each.admitted for each in asked if each.admitted]
            assert [each.shared for each in granted] == [False] * 3
            for each, lease in zip(asked, leases, strict=True):
                if each.admitted is None:
                    with pytest.raises(OverLimit):
                        await each.granted()
                    one.state.vault.give_back(lease, None, aborted=True)
        await recovered(one.state.line)
        assert await one.used() == (3, 3)
        assert (await one.state.vault.snapshot(up)).held == 3  # lent on thawing too, and the same leases
        for each, lease in zip(asked, leases, strict=True):
            one.admission.void(each)
            one.state.vault.give_back(lease, None)
        assert await one.used() == (3, 0)
        standing = await one.state.vault.snapshot(up)
        assert (standing.held, standing.taken) == (0, standing.returned)


async def test_frozen_between_the_two_the_admission_stays_and_a_share_is_lent(own_redis):
    up, limits = upstream(1), Limits(requests_per_minute=3, concurrency=3)
    async with door(own_redis.url, up, limit=0.05, beat=True) as one:
        asked = one.ask(limits)
        assert (await asked.granted()).shared
        with own_redis.paused():
            assert not (await one.lend(up, asked)).shared
        await recovered(one.state.line)
        assert await one.used() == (1, 1)


async def test_back_between_the_two_who_was_admitted_by_share_is_lent_to_as_ever(own_redis):
    up, limits = upstream(1), Limits(requests_per_minute=100)
    async with door(own_redis.url, up, limit=0.05, beat=True) as one:
        with own_redis.paused():
            asked = [one.ask(limits) for _ in range(80)]
            assert not any([(await each.granted()).shared for each in asked])
        await recovered(one.state.line)
        # More of them than Redis is told of at once: of some it has not heard yet.
        leases = await asyncio.gather(*(one.lend(up, each) for each in asked))
        assert all(lease.shared for lease in leases)


async def test_who_hangs_up_while_it_is_frozen_leaves_nothing_behind(own_redis):
    up, limits = upstream(1, concurrency=1), Limits(requests_per_minute=1, concurrency=1)
    async with door(own_redis.url, up, limit=0.05, beat=True) as one:
        with own_redis.paused():
            asked = one.ask(limits)
            lending = asyncio.create_task(one.lend(up, asked))
            await asyncio.sleep(0.01)
            lending.cancel()
            one.admission.void(asked)
            await asyncio.gather(lending, return_exceptions=True)
            with pytest.raises(StateUnavailable):
                await one.state.line.call("PING")
        await recovered(one.state.line)
        assert await one.used() == (0, 0)
        assert (await one.state.vault.snapshot(up)).held == 0


async def test_who_was_admitted_and_finds_all_busy_gives_its_place_back(redis):
    """What the gateway does where nothing is lent: it voids what was granted by then."""
    up, limits = upstream(1, concurrency=1), Limits(requests_per_minute=5, concurrency=1)
    async with door(redis.url, up) as one:
        await one.state.lend(up)
        asked = one.ask(limits)
        with pytest.raises(QueueFull):
            await one.lend(up, asked)
        assert await one.used() == (1, 1)
        one.admission.void(asked)
        assert await one.used() == (1, 0)
