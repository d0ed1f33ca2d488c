"""One attempt: how long an upstream may keep us waiting, and that what was lent is given back once."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from gateway.accounting import Attempt, Tally
from gateway.routing import Candidate
from gateway.trial import Trial
from parley.catalog import Timeouts, Upstream
from parley.chat.events import Event, Events, Stop, Text, Usage
from parley.chat.prompt import Prompt, User
from parley.errors import (
    AnswerTimeout,
    Failure,
    FirstTokenTimeout,
    Throttled,
    UpstreamBroken,
    UpstreamStalled,
    UpstreamTruncated,
)
from parley.leases import Credential, Lease


class Ledger:
    """A vault that only notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def works(self, lease: Lease) -> None:
        self.told.append("works")

    def give_back(self, lease: Lease, failure: Failure | None, *, aborted: bool = False) -> None:
        self.told.append("aborted" if aborted else failure.reason if failure else "given back")


class Speaker:
    features: frozenset[str] = frozenset()

    def __init__(self, events: Events) -> None:
        self.events = events

    def stream(self, prompt: Prompt, lease: Lease) -> Events:
        return self.events


def lease() -> Lease:
    return Lease("l", Upstream("u", "echo"), Credential("c", "c", {}))


async def patiently(events: Events, timeouts: Timeouts, held: Lease, ledger: Ledger | None = None) -> Events:
    """The events, passed on as the relay does it."""
    held.upstream = Upstream("u", "echo", timeouts=timeouts)
    trial = Trial(ledger or Ledger(), Candidate(held.upstream, Speaker(events), "m"), held, Attempt("u", "m"))
    await trial.begin(Prompt([User("hi")]), Tally("id", lambda _: None))
    async with trial:
        event: Event | None = trial.first
        while event is not None:
            yield event
            event = await trial.next()


async def speaker(*script: float | str) -> AsyncGenerator[Event, None]:
    for step in script:
        if isinstance(step, str):
            yield Text(step)
        else:
            await asyncio.sleep(step)
    yield Stop("stop")


async def heard(timeouts: Timeouts, *script: float | str) -> list[Event]:
    return [event async for event in patiently(speaker(*script), timeouts, lease())]


async def test_an_answer_in_time_passes_whole() -> None:
    assert await heard(Timeouts(), "a", 0.01, "b") == [Text("a"), Text("b"), Stop("stop")]


async def test_no_first_token_is_a_timeout_of_its_own() -> None:
    with pytest.raises(FirstTokenTimeout):
        await heard(Timeouts(first_token=0.05), 5.0, "late")


async def test_silence_after_a_token_is_a_stall() -> None:
    with pytest.raises(UpstreamStalled) as stalled:
        await heard(Timeouts(between_tokens=0.05), "a", 5.0, "b")
    assert stalled.value.code == "upstream_stalled"


async def test_an_answer_that_never_ends_is_cut_off() -> None:
    with pytest.raises(AnswerTimeout):
        await heard(Timeouts(total=0.2), *[x for _ in range(100) for x in ("a", 0.02)])


async def test_a_slow_caller_is_not_the_upstreams_silence() -> None:
    events = patiently(speaker("a", "b"), Timeouts(between_tokens=0.05), lease())
    got = []
    async for event in events:
        got.append(event)
        await asyncio.sleep(0.1)
    assert got[-1] == Stop("stop")


async def test_signs_of_life_count_though_wordless() -> None:
    held = lease()

    async def alive() -> AsyncGenerator[Event, None]:
        for _ in range(6):
            await asyncio.sleep(0.03)
            held.active = asyncio.get_running_loop().time()
        yield Stop("stop")

    assert [e async for e in patiently(alive(), Timeouts(first_token=0.06), held)] == [Stop("stop")]


async def test_a_hang_up_is_a_cancellation_and_closes_the_upstream() -> None:
    closed = asyncio.Event()

    async def upstream() -> AsyncGenerator[Event, None]:
        try:
            yield Text("a")
            await asyncio.sleep(10)
        finally:
            closed.set()

    async def caller() -> None:
        async for _ in patiently(upstream(), Timeouts(), lease()):
            pass

    task = asyncio.create_task(caller())
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()


async def failing(*script: Event | Failure) -> AsyncGenerator[Event, None]:
    for step in script:
        if isinstance(step, Failure):
            raise step
        yield step


@pytest.mark.parametrize(
    ("script", "raised", "told"),
    [
        ([Text("a"), Stop("stop")], None, ["works", "given back"]),
        ([Throttled("no")], Throttled, ["rate_limit_exceeded"]),
        ([Text("a"), UpstreamBroken("no")], UpstreamBroken, ["works", "upstream_error"]),
        ([Text("a")], UpstreamTruncated, ["works", "upstream_truncated"]),
        ([Text("a"), Stop("stop"), Text("b", 1)], UpstreamTruncated, ["works", "upstream_truncated"]),
        ([], UpstreamTruncated, ["upstream_truncated"]),
    ],
)
async def test_what_was_lent_is_given_back_once_with_what_went_wrong(
    script: list[Event | Failure], raised: type[Failure] | None, told: list[str]
) -> None:
    ledger = Ledger()
    events = patiently(failing(*script), Timeouts(), lease(), ledger)
    if raised is None:
        assert [event async for event in events] == script
    else:
        with pytest.raises(raised):
            [event async for event in events]
    assert ledger.told == told


async def test_a_hang_up_before_the_first_event_blames_nobody() -> None:
    ledger = Ledger()
    waiting = asyncio.create_task(anext(patiently(speaker(10.0), Timeouts(), lease(), ledger)))
    await asyncio.sleep(0.02)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ledger.told == ["aborted"]


async def test_a_reader_who_leaves_midway_closes_the_upstream_and_gives_back() -> None:
    ledger = Ledger()
    events = patiently(speaker("a", "b"), Timeouts(), lease(), ledger)
    assert await anext(events) == Text("a")
    await events.aclose()
    assert ledger.told == ["works", "given back"]


async def test_whoever_hangs_up_second_lets_the_first_finish() -> None:
    ledger, held = Ledger(), lease()

    async def reluctant() -> AsyncGenerator[Event, None]:
        try:
            yield Text("a")
        finally:
            await asyncio.sleep(0.02)

    trial = Trial(ledger, Candidate(held.upstream, Speaker(reluctant()), "m"), held, Attempt("u", "m"))
    await trial.begin(Prompt([User("hi")]), Tally("id", lambda _: None))
    await asyncio.gather(trial.abandon(), trial.abandon())
    await trial.abandon()
    assert ledger.told == ["works", "given back"]


async def test_an_answer_that_we_cut_short_ourselves_is_nobodys_fault() -> None:
    ledger, held = Ledger(), lease()
    trial = Trial(ledger, Candidate(held.upstream, Speaker(speaker("a", "b")), "m"), held, Attempt("u", "m"))
    await trial.begin(Prompt([User("hi")]), Tally("id", lambda _: None))
    async with trial:
        trial.suffices()
    assert ledger.told == ["works", "given back"]


# --- the shorter way ----------------------------------------------------------------------------------------------


SAID: list[Event] = [
    Text("at once"), Text("no"), Text("another's", 1), Text("again", 1), Usage(1, 2), Stop("stop"), Stop("stop", 1)
]  # fmt: skip


async def overheard(held: Lease, ledger: Ledger, said: list[Event], timeouts: Timeouts) -> AsyncGenerator[Event, None]:
    """As `patiently`, with words that may be said at once, except for `no`."""

    def say(events: list[Event]) -> bool:
        return events != [Text("no")]

    async def upstream() -> AsyncGenerator[Event, None]:
        yield Text("first")
        for event in SAID:
            await asyncio.sleep(0.1)
            if held.ear is None or not held.ear([event]):
                yield event

    held.upstream = Upstream("u", "echo", timeouts=timeouts, hang_up=held.upstream.hang_up)
    attempt = Attempt("u", "m")
    trial = Trial(ledger, Candidate(held.upstream, Speaker(upstream()), "m"), held, attempt)
    await trial.begin(Prompt([User("hi")]), Tally("id", lambda _: None))
    async with trial:
        trial.shorten(say, said.append)
        event: Event | None = trial.first
        while event is not None:
            yield event
            event = await trial.next()
    assert attempt.events == 8


async def test_words_go_the_shorter_way_and_all_else_the_ordinary_one() -> None:
    held, ledger, said = lease(), Ledger(), list[Event]()
    ordinary = [event async for event in overheard(held, ledger, said, Timeouts())]
    assert said == [Text("at once"), Text("again", 1)]
    assert ordinary == [Text("first"), *(event for event in SAID if event not in said)]
    assert (held.ear, ledger.told) == (None, ["works", "given back"])


async def test_what_goes_the_shorter_way_is_no_silence() -> None:
    """Between two events that `next` gives lie 200 ms, between two that are heard 100."""
    events = overheard(lease(), Ledger(), [], Timeouts(between_tokens=0.17))
    assert [event async for event in events][1] == Text("no")


async def test_an_upstream_that_may_finish_alone_is_not_overheard() -> None:
    held, said = lease(), list[Event]()
    held.upstream = Upstream("u", "echo", hang_up="drain")
    assert len([event async for event in overheard(held, Ledger(), said, Timeouts())]) == 8
    assert said == []


async def test_what_came_together_is_said_together_up_to_the_first_that_must_not() -> None:
    held, said, at_once = lease(), list[Event](), list[list[Event]]()
    trial = Trial(Ledger(), Candidate(held.upstream, Speaker(speaker("first")), "m"), held, Attempt("u", "m"))
    await trial.begin(Prompt([User("hi")]), Tally("id", lambda _: None))
    async with trial:
        trial.shorten(lambda events: not at_once.append(events), said.append)
        assert held.ear is not None
        assert held.ear([Text("a"), Text("b")]) == 2
        assert held.ear([Text("c"), Stop("stop"), Text("d")]) == 1
        assert held.ear([Stop("stop")]) == 0
        assert at_once == [[Text("a"), Text("b")], [Text("c")]]
        assert said == [Text("a"), Text("b"), Text("c")]
        assert await trial.next() == Stop("stop")
