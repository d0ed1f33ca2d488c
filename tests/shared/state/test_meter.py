"""What was used is told to Redis exactly once, folded into series, and comes to the sums of a model."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections import defaultdict
from contextlib import asynccontextmanager

import msgspec
import redis as redis_py

from parley.chat.events import Usage
from parley.errors import KINDS
from parley.sealed import Secret
from parley.state import keys, meter, script
from parley.state.line import Line
from parley.state.meter import BOUNDS, ERRORS, FIELDS, INBOX, ROOM, Meter
from parley.state.readings import REST, SECONDS, Amounts, Readings, Span, total
from tests.servers import RedisServer
from tests.shared.state.conftest import PATIENT, recovered

DAY = 86_400.0
SMALL = {**ROOM, "key": 3}


@asynccontextmanager
async def line(url, name="gateway-1", limit=PATIENT):
    made = Line(Secret(url), name, limit=limit)
    await made.open()
    yield made
    await made.close()


def spent(took=0.5, waited=None, usage=None, cost=None, error="") -> list[int]:
    """The model: what one request comes to, as FIELD, AMOUNT, FIELD, AMOUNT, ... of an entry."""
    counts = {"requests": 1, "took_ms": round(took * 1000), f"took_{sum(took > bound for bound in BOUNDS)}": 1}
    if waited is not None:
        counts |= {"waited_ms": round(waited * 1000), f"waited_{sum(waited > bound for bound in BOUNDS)}": 1}
    if usage is not None:
        kind = "" if usage.measured else "estimated_"
        counts |= {f"{kind}prompt": usage.prompt, f"{kind}completion": usage.completion}
        counts |= {"cached": usage.cached, "reasoning": usage.reasoning}
    counts |= {"cost": cost or 0, **({error: 1} if error else {})}
    return [word for name, amount in counts.items() for word in (FIELDS.index(name) + 1, amount)]


def used(*amounts: list[int]) -> Amounts:
    """The model: what FIELD, AMOUNT, FIELD, AMOUNT, ... come to."""
    counts = [0] * len(FIELDS)
    for some in amounts:
        for field, amount in zip(some[::2], some[1::2], strict=True):
            counts[field - 1] += amount
    return Amounts(counts)


def ever(resolution="day") -> Span:
    return Span(resolution, 0, time.time() + 60)


async def told(of: Meter) -> None:
    of.flush()
    while of.untold:
        await asyncio.sleep(0.002)


def test_a_request_is_counted_in_one_bucket_of_each_histogram_and_among_measured_or_estimated_tokens():
    measured = used(spent(0.1, 0.05, Usage(10, 20, cached=4, reasoning=5), 1234))
    assert measured.told() == {
        "requests": 1,
        "errors": {},
        "tokens": {
            "prompt": 10,
            "completion": 20,
            "cached": 4,
            "reasoning": 5,
            "estimated_prompt": 0,
            "estimated_completion": 0,
        },
        "cost": 1234,
        "duration": {"seconds": 0.1, "buckets": [1, 0, 0, 0, 0, 0, 0, 0]},
        "first_token": {"seconds": 0.05, "buckets": [1, 0, 0, 0, 0, 0, 0, 0]},
    }
    estimated = used(spent(100.001, None, Usage(10, 20, measured=False), None, "timeout"))
    assert estimated.errors == {"timeout": 1}
    assert estimated.tokens == 30
    assert estimated.of("estimated_prompt") == 10
    assert estimated.took.buckets == (0, 0, 0, 0, 0, 0, 0, 1)
    assert estimated.waited.count == 0


def test_every_kind_of_failure_has_a_place_of_its_own():
    assert (*KINDS, "hung_up") == ERRORS
    assert len(set(FIELDS)) == len(FIELDS)
    assert [used(spent(0, None, None, None, error)).errors for error in ERRORS] == [{error: 1} for error in ERRORS]


def test_the_places_of_fields_stay_for_redis_remembers_by_them():
    assert FIELDS[:6] == ("requests", "took_ms", "prompt", "completion", "waited_ms", "cost")
    assert FIELDS[22:27] == ("cached", "reasoning", "estimated_prompt", "estimated_completion", "hung_up")
    assert FIELDS[27:38] == (
        "refused", "unauthenticated", "limited", "throttled", "credential", "unreachable", "timeout", "broken",
        "challenged", "unavailable", "internal",
    )  # fmt: skip


def test_a_quantile_is_read_from_the_buckets():
    took = used(*(spent(seconds, None, None, None) for seconds in (0.05, 0.2, 0.2, 0.9, 500))).took
    assert took.quantile(0.0) == 0.0
    assert took.quantile(0.2) == BOUNDS[0]
    assert 0.1 < took.quantile(0.5) < 0.3
    assert took.quantile(1.0) == BOUNDS[-1]
    assert Amounts().took.quantile(0.5) is None


def test_the_script_uses_the_keys_of_its_page_and_no_others():
    text = script.FOLD_USAGE.text.decode()
    named = set(re.findall(r"at\('(\w+)'", text)) | set(re.findall(r"name = '(\w+)'", text))
    assert named == {key.name for key in keys.OF_USAGE}


class Story:
    """Requests of many ages, out of order, by three processes, of more keys than have room; and the model of them."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.start = self.moment = time.time()
        self.told: dict[str, list[tuple[float, str, list[int]]]] = defaultdict(list)

    def request(self, of: Meter) -> None:
        dice = self.dice
        ages = 0, 0, dice.uniform(0, 0.8 * DAY), dice.uniform(2 * DAY, 29 * DAY), dice.uniform(40 * DAY, 350 * DAY)
        self.moment = self.start - dice.choice(ages)
        for _ in range(dice.choice([1, 1, 3])):
            usage = Usage(dice.randrange(9000), dice.randrange(900), dice.random() < 0.8)
            usage.cached, usage.reasoning = dice.choice([0, 7]), dice.choice([0, 9])
            ended = dice.choice(["", "", *ERRORS])
            whole = dice.expovariate(0.3), dice.choice([None, dice.random()]), usage, dice.randrange(10**6), ended
            failed = dice.random(), None, None, None, "throttled"
            upstream = dice.choice("ab")
            self.tell(of, ("key", f"k{int(dice.expovariate(0.7))}", "model", dice.choice("mn")), whole)
            self.tell(of, ("upstream", upstream, "credential", f"{upstream}/1"), failed)
            self.tell(of, ("upstream", upstream, "credential", f"{upstream}/2"), whole)
        of.flush()  # an entry has one moment

    def tell(self, of: Meter, names, what) -> None:
        of.add(names, *what[:4], error=what[4])
        for subject, name in zip(names[::2], names[1::2], strict=True):
            self.told[subject].append((self.moment, name, spent(*what)))

    def points(self, subject: str, resolution, longest: float, name: str | None = None) -> dict[int, Amounts]:
        seconds = SECONDS[resolution]
        found: dict[int, Amounts] = defaultdict(Amounts)
        for moment, of, what in self.told[subject]:
            if name in (None, of) and self.start - moment < longest:
                found[int(moment // seconds) * seconds].add(used(what))
        return dict(found)


async def test_what_several_processes_tell_comes_to_the_sums_of_the_model(redis, monkeypatch):
    story = Story(seed=20)
    monkeypatch.setattr(meter, "now", lambda: story.moment)
    async with contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(line(redis.url, f"gateway-{i}")) for i in range(3)]
        meters = [Meter(of, SMALL) for of in lines]
        for _ in range(1000):
            story.request(story.dice.choice(meters))
            if story.dice.random() < 0.02:
                await asyncio.sleep(0.002)
        for of in meters:
            await told(of)
        readings = Readings(lines[0], SMALL)
        assert len(await readings.names("key")) == SMALL["key"] + 1  # and the rest of them
        reach = {"minute": 0.9 * DAY, "hour": 30 * DAY, "day": 360 * DAY}
        for resolution, longest in reach.items():
            for subject, names in {"model": "mn", "upstream": "ab", "credential": ["a/1", "a/2", "b/1", "b/2"]}.items():
                for name in names:
                    points = await readings.series(subject, name, ever(resolution))
                    assert [point.start for point in points] == sorted(point.start for point in points)
                    assert {point.start: point.amounts for point in points} == story.points(
                        subject, resolution, longest, name
                    )
            whole: dict[int, Amounts] = defaultdict(Amounts)
            for name in await readings.names("key"):
                for point in await readings.series("key", name, ever(resolution)):
                    whole[point.start].add(point.amounts)
            assert whole == story.points("key", resolution, longest)


WHAT = 0.5, 0.1, Usage(100, 10), 42
ONE = spent(*WHAT)


def entry(process: str, number: int, moment: float, key: str = "k", what: list[int] = ONE) -> bytes:
    return msgspec.msgpack.encode((process, number, int(moment), (("key", key), what)))


async def requests(of: Line, name: str, resolution="day", room=ROOM) -> int:
    return total(await Readings(of, room).series("key", name, ever(resolution))).requests


def tell(of: Meter, times: int, key: str = "k") -> None:
    """So many entries of one request each."""
    for _ in range(times):
        of.add(("key", key), *WHAT)
        of.flush()


async def test_enough_entries_are_folded_without_anybody_reading(redis, look):
    async with line(redis.url) as open_line:
        of = Meter(open_line)
        tell(of, 1000)
        await told(of)
        until = time.monotonic() + 5
        while look.llen(INBOX) >= 32:  # one fold after another
            assert time.monotonic() < until
            await asyncio.sleep(0.01)
        assert await requests(open_line, "k") == 1000


async def test_what_ends_within_a_moment_is_one_entry_of_sums(redis, look):
    async with line(redis.url) as open_line:
        of = Meter(open_line)
        for i in range(50):
            of.add(("key", f"k{i % 2}", "model", "m"), *WHAT)
        assert of.untold == 50
        until = time.monotonic() + 5
        while of.untold:  # nobody flushes
            assert time.monotonic() < until
            await asyncio.sleep(0.01)
        assert look.llen(INBOX) == 1
        assert [await requests(open_line, name) for name in ("k0", "k1")] == [25, 25]
        [point] = await Readings(open_line).series("model", "m", ever("day"))
        assert point.amounts == used(*[ONE] * 50)


async def test_while_redis_is_away_entries_grow_and_do_not_become_many(redis):
    async with line(redis.url, limit=0.05) as open_line:
        of = Meter(open_line)
        with redis.paused():
            with contextlib.suppress(Exception):
                await open_line.call("PING")
            for _ in range(20):
                of.add(("key", "k"), *WHAT)
                await asyncio.sleep(0.03)
            assert (of.untold, len(of._untold)) == (20, 0)
        await recovered(open_line)
        await told(of)
        assert await requests(open_line, "k") == 20


async def test_while_redis_is_away_it_is_remembered_and_told_later_with_its_own_time(redis, monkeypatch):
    async with line(redis.url, limit=0.05) as open_line:
        of = Meter(open_line)
        tell(of, 10)
        with redis.paused():
            with contextlib.suppress(Exception):
                await open_line.call("PING")
            assert not open_line.up
            monkeypatch.setattr(meter, "now", lambda: time.time() - 300)
            tell(of, 1000)
            assert of.untold >= 1000
        await recovered(open_line)
        await told(of)
        assert await requests(open_line, "k") == 1010
        points = await Readings(open_line).series("key", "k", ever("minute"))
        assert [point.amounts.requests for point in points] == [1000, 10]


async def test_what_was_pushed_into_a_frozen_or_broken_line_is_counted_once(redis):
    """Nobody knows whether a push without an answer was done. It is pushed again, and counts once."""
    async with line(redis.url, limit=0.05) as open_line, line(redis.url, "other") as other:
        of, count = Meter(open_line), 0
        with redis_py.Redis.from_url(redis.url) as client:
            for trouble in ("freeze", "break", "freeze", "break", "break"):
                for _ in range(20):
                    tell(of, 10)
                    count += 10
                    await asyncio.sleep(0.001)
                tell(of, 100)
                count += 100
                if trouble == "freeze":
                    await asyncio.sleep(0)  # written, and not answered
                    with redis.paused():
                        await asyncio.sleep(0.2)
                else:
                    found = next(row for row in client.client_list() if row["name"] == open_line.name)
                    client.client_kill_filter(_id=found["id"])
                    tell(of, 100)
                    count += 100
                await recovered(open_line)
        await told(of)
        assert await requests(other, "k") == count


async def test_an_entry_that_comes_again_is_left_out_also_in_a_later_fold(redis, look):
    async with line(redis.url) as open_line:
        now = time.time()
        look.rpush(
            INBOX, entry("p", 1, now), entry("p", 2, now), entry("q", 1, now), entry("p", 1, now), entry("p", 2, now)
        )
        assert await requests(open_line, "k") == 3
        look.rpush(INBOX, entry("p", 2, now), entry("q", 1, now), entry("p", 3, now))
        assert await requests(open_line, "k") == 4


async def test_what_is_remembered_is_bounded_and_the_loss_is_known(redis, monkeypatch):
    monkeypatch.setattr(meter, "_MOST_BYTES", 4000)
    async with line(redis.url, limit=0.05) as open_line:
        of = Meter(open_line)
        with redis.paused():
            with contextlib.suppress(Exception):
                await open_line.call("PING")
            tell(of, 130)
            assert of.untold + of.lost == 130
            assert 40 < of.untold < 120
            kept = of.untold
        await recovered(open_line)
        await told(of)
        assert await requests(open_line, "k") == kept


async def test_a_line_with_too_much_under_way_is_tried_again_with_the_next_request(redis):
    made = Line(Secret(redis.url), "gateway-1", limit=PATIENT, backlog=40)
    await made.open()
    of = Meter(made)
    for _ in range(50):
        tell(of, 30)
        await asyncio.sleep(0.001)
    until = time.monotonic() + 5
    count = 1500
    while of.untold and time.monotonic() < until:
        tell(of, 1)
        count += 1
        await asyncio.sleep(0.01)
    assert await requests(made, "k") == count
    await made.close()


# --- time


async def test_a_clock_that_is_fast_makes_no_point_in_the_future(redis, look):
    async with line(redis.url) as open_line:
        look.rpush(INBOX, entry("p", 1, time.time() + 7200))
        points = await Readings(open_line).series("key", "k", Span("minute", 0, time.time() + 9999))
        assert [point.start <= time.time() for point in points] == [True]


async def test_points_leave_when_their_time_is_over_and_series_too(redis, look):
    async with line(redis.url) as open_line:
        now = time.time()
        ages = [364.5 * DAY, 300 * DAY, 31.5 * DAY, 30 * DAY, 1.1 * DAY, 0.9 * DAY, 0]
        look.rpush(INBOX, *(entry("p", number, now - age) for number, age in enumerate(ages, 1)))
        readings = Readings(open_line)
        counts = [len(await readings.series("key", "k", ever(resolution))) for resolution in ("minute", "hour", "day")]
        assert counts == [2, 4, len({int((now - age) // DAY) for age in ages})]
        # What comes later pushes the oldest out: as of a series that began a day and a bit ago.
        minute = f"{keys.USAGE}minute:key:k"
        past = [msgspec.msgpack.encode([int(now // 60) - 1441 + i, 1]) for i in range(5)]
        look.delete(minute)
        look.rpush(minute, *past)
        look.rpush(INBOX, entry("p", 8, now))
        points = await readings.series("key", "k", ever("minute"))
        assert [round((now - point.start) // 60) for point in points] == [1439, 1438, 1437, 0]
        for resolution, seconds in (("minute", DAY), ("hour", 31 * DAY), ("day", 366 * DAY)):
            left = look.ttl(f"{keys.USAGE}{resolution}:key:k")
            assert seconds - 1 < left <= seconds + SECONDS[resolution] + 1


async def test_a_span_begins_with_its_start_and_ends_before_its_end(redis, look):
    async with line(redis.url) as open_line:
        minute = int(time.time() // 60) * 60
        look.rpush(INBOX, *(entry("p", i + 1, minute - 60 * i) for i in range(5)))
        points = await Readings(open_line).series("key", "k", Span("minute", minute - 180, minute - 60))
        assert [point.start for point in points] == [minute - 180, minute - 120]
        assert await Readings(open_line).series("key", "k", Span("minute", minute + 600, minute + 900)) == []


# --- places


async def test_a_name_that_is_used_twice_as_much_takes_the_place_of_the_least_used(redis):
    async with line(redis.url) as open_line:
        of, readings = Meter(open_line, SMALL), Readings(open_line, SMALL)
        for key, times in {"a": 50, "b": 20, "c": 10}.items():
            tell(of, times, key)
        await told(of)
        assert await readings.names("key") == ["a", "b", "c"]
        tell(of, 19, "d")
        await told(of)
        assert await readings.names("key") == ["a", "b", "c", REST]
        assert await requests(open_line, REST, room=SMALL) == 19
        tell(of, 2, "d")
        await told(of)
        assert await readings.names("key") == ["a", "d", "b", REST] or await readings.names("key") == [
            "a",
            "b",
            "d",
            REST,
        ]
        # What it used before stays with the rest, where the series of `c` now is too; nothing is lost.
        counts = {name: await requests(open_line, name, room=SMALL) for name in ["a", "b", "d", REST]}
        assert counts == {"a": 50, "b": 20, "d": 2, REST: 29}
        assert await requests(open_line, "c", room=SMALL) == 0
        tell(of, 5, "c")
        await told(of)
        assert await requests(open_line, REST, room=SMALL) == 34


async def test_of_two_days_ago_a_request_counts_a_quarter(redis, look):
    async with line(redis.url) as open_line:
        now = time.time()
        rows = [("old", now - 2 * DAY, 400), ("b", now, 300), ("c", now, 300)]
        numbers = iter(range(1, 10_000))
        look.rpush(INBOX, *(entry("p", next(numbers), at, key) for key, at, times in rows for _ in range(times)))
        readings = Readings(open_line, SMALL)
        assert await readings.names("key") == ["b", "c", "old"] or await readings.names("key") == ["c", "b", "old"]
        look.rpush(
            INBOX, *(entry("p", next(numbers), now, "new") for _ in range(210))
        )  # twice the hundred that are left
        assert "old" not in await readings.names("key")
        assert await requests(open_line, REST, room=SMALL) + await requests(open_line, "new", room=SMALL) == 610


async def test_a_name_may_be_any_text(redis):
    async with line(redis.url) as open_line:
        of = Meter(open_line)
        names = ["other", "a:b", "模型", "x" * 300, "{up}", "a b/c"]
        for name in names:
            tell(of, 1, name)
        await told(of)
        assert sorted(await Readings(open_line).names("key")) == sorted(names)
        assert [await requests(open_line, name) for name in names] == [1] * len(names)


async def test_who_used_most_is_found_by_any_measure(redis):
    async with line(redis.url) as open_line:
        of, readings = Meter(open_line, SMALL), Readings(open_line, SMALL)
        of.add(("key", "dear"), 1, 1, Usage(10, 10), 9_000_000)
        for _ in range(3):
            of.add(("key", "busy"), 1, 1, Usage(10, 10), 1)
        of.add(("key", "long"), 1, 1, Usage(10_000, 10_000, measured=False), 1)
        of.add(("key", "rest"), 1, 1, Usage(99_999, 0), 99)
        await told(of)
        assert [name for name, _ in await readings.top("key", ever("minute"))] == ["busy", "dear", "long"]
        assert [name for name, _ in await readings.top("key", ever("hour"), by="cost", most=1)] == ["dear"]
        assert [name for name, _ in await readings.top("key", ever("day"), by="tokens", most=2)] == ["long", "busy"]
        assert (await readings.sums("key", ever()))[REST].requests == 1


# --- memory


_BESIDE = 150
"""Bytes that a key of Redis takes beside what it tells of itself: in its tables of names and of lifetimes."""


async def test_a_thousand_busy_keys_fit():
    """Each busy in every minute of a day, hour of a month and day of a year; measured with few keys, and scaled."""
    dice = random.Random(1)
    requests = [
        spent(
            dice.lognormvariate(1.5, 1),
            dice.lognormvariate(-0.3, 0.8),
            Usage(dice.randint(50, 8000), dice.randint(10, 2000), cached=dice.choice((0, 0, 700)), reasoning=300),
            dice.randint(100, 90_000),
            "" if dice.random() < 0.97 else dice.choice(ERRORS),
        )
        for _ in range(500)
    ]
    now = time.time()
    # A day's hours reach into the days before, and an hour's minutes into the hours, at whatever time this runs.
    points = [(now - DAY * i, 40) for i in range(365, 29, -1)]
    points += [(now - 3600 * i, 40) for i in range(743, 22, -1)]
    points += [(now - 60 * i, 5) for i in range(1439, -1, -1)]

    def busy(times: int) -> list[int]:
        return [word for _ in range(times) for word in dice.choice(requests)]

    with RedisServer() as server, redis_py.Redis.from_url(server.url) as client:
        async with line(server.url, limit=10) as open_line:
            numbers = iter(range(1, 10**9))

            names = "key-000001", "key-000002"
            for name in names:
                for at in range(0, len(points), 128):
                    some = points[at : at + 128]
                    client.rpush(INBOX, *(entry("p", next(numbers), when, name, busy(n)) for when, n in some))
                    await meter.fold(open_line)
            series = [f"{keys.USAGE}{resolution}:key:{name}" for resolution in SECONDS for name in names]
            full = [kept for kept in (1440, 744, 366) for _ in names]
            # What grew too old while this was under way is not told any more.
            passed = [int(time.time() // span) - int(now // span) for span in SECONDS.values() for _ in names]
            for length, kept, gone in zip(map(client.llen, series), full, passed, strict=True):
                assert kept - gone <= length <= kept
            each = sum(client.memory_usage(one, samples=0) + _BESIDE for one in series) / len(names)
    assert each * ROOM["key"] < 140e6, f"{each:,.0f} bytes a key"
    assert each * (sum(ROOM.values()) + len(ROOM)) < 200e6, f"{each:,.0f} bytes a name"
