"""Several upstreams asked at once: one is heard, the others are hung up on, and whatever was lent comes back once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.accounting import Tally
from gateway.limiter import Limiter
from gateway.planning import Plan
from gateway.relay import Relay
from gateway.routing import Candidate
from gateway.speeds import Speeds
from parley.catalog import Timeouts, Upstream
from parley.chat.events import Event, Events, Stop, Text
from parley.chat.prompt import Prompt, User
from parley.errors import CredentialRejected, Failure, Throttled, UpstreamBroken, UpstreamStalled
from parley.leases import Credential, Lease
from parley.prices import Prices

Script = list[float | str | Failure]


LIMITER: Any = Limiter(None, Prices, 4096)  # type: ignore[arg-type]  # no credential here has limits


class Ledger:
    def __init__(self) -> None:
        self.lent: list[str] = []
        self.back: list[tuple[str, str]] = []

    async def lend(self, upstream: Upstream, **_: Any) -> Lease:
        self.lent.append(upstream.name)
        return Lease(upstream.name, upstream, Credential(upstream.name, upstream.name, {}))

    def works(self, lease: Lease) -> None:
        pass

    def give_back(self, lease: Lease, failure: Failure | None, *, aborted: bool = False) -> None:
        self.back.append((lease.id, "aborted" if aborted else failure.reason if failure else "fine"))


class Unlimited:
    """A budget for retries that is never asked here: nobody tries again."""

    def called(self) -> None:
        pass


class Runner:
    features: frozenset[str] = frozenset()

    def __init__(self, script: Script) -> None:
        self.script = script
        self.farewell = 0.0
        """Seconds that hanging up takes."""
        self.closed = False

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        try:
            for step in self.script:
                if isinstance(step, Failure):
                    raise step
                if isinstance(step, str):
                    yield Text(step)
                else:
                    await asyncio.sleep(step)
            yield Stop("stop")
        finally:
            await asyncio.sleep(self.farewell)
            self.closed = True


class Race:
    def __init__(self, **scripts: Script) -> None:
        self.ledger = Ledger()
        self.runners = {name: Runner(script) for name, script in scripts.items()}
        self.tally = Tally("id", lambda _: None)
        times = Timeouts(between_tokens=0.2)
        candidates = [
            Candidate(Upstream(name, "echo", timeouts=times), runner, "m") for name, runner in self.runners.items()
        ]
        self.plan = Plan([[[candidate] for candidate in candidates]])

    async def words(self) -> str:
        relay = Relay(self.ledger, Unlimited(), Speeds(), LIMITER, attempts=1, queue_seconds=1)  # type: ignore[arg-type]
        words = ""
        async with await relay.first_to_speak(self.plan, Prompt([User("?")]), self.tally) as trial:
            event: Event | None = trial.first
            while event is not None:
                words += event.text if isinstance(event, Text) else ""
                event = await trial.next()
        return words

    def clear(self) -> bool:
        """Whether nobody runs on, and everything lent was given back once."""
        return all(runner.closed for runner in self.runners.values()) and sorted(self.ledger.lent) == sorted(
            name for name, _ in self.ledger.back
        )


async def test_the_first_to_speak_is_heard_and_the_others_are_hung_up_on() -> None:
    race = Race(slow=[0.5, "slow"], quick=[0.02, "quick ", 0.02, "answer"], slower=[5.0, "slower"])
    assert await race.words() == "quick answer"
    assert race.clear()
    assert dict(race.ledger.back) == {"slow": "aborted", "quick": "fine", "slower": "aborted"}
    records = [attempt.record() for attempt in race.tally.attempts]
    assert [record.get("lost", False) for record in records] == [True, False, True]
    assert (b"x-parley-upstream", b"quick") in race.tally.headers()
    assert (b"x-parley-attempts", b"3") in race.tally.headers()


async def test_one_who_fails_does_not_win() -> None:
    race = Race(broken=[UpstreamBroken("no")], sound=[0.03, "sound"])
    assert await race.words() == "sound"
    assert dict(race.ledger.back) == {"broken": "upstream_error", "sound": "fine"}
    assert [attempt.record().get("lost", False) for attempt in race.tally.attempts] == [False, False]


async def test_when_all_fail_the_first_of_the_route_says_why() -> None:
    race = Race(first=[0.03, CredentialRejected("bad key")], second=[Throttled("later")])
    with pytest.raises(CredentialRejected):
        await race.words()
    assert race.clear()


async def test_two_who_speak_in_one_moment_are_one_winner_and_one_abandoned() -> None:
    race = Race(one=["one"], two=["two"])
    assert await race.words() == "one"
    assert race.clear()
    assert dict(race.ledger.back) == {"one": "fine", "two": "fine"}


@pytest.mark.parametrize("after", [0.0, 0.02, 0.06])
async def test_a_hang_up_leaves_nobody_running(after: float) -> None:
    race = Race(one=[0.05, "a", 5.0], two=[0.05, "b", 5.0])
    waiting = asyncio.create_task(race.words())
    await asyncio.sleep(after)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0.05)
    assert sorted(race.ledger.lent) == sorted(name for name, _ in race.ledger.back)
    assert all(reason != "upstream_stalled" for _, reason in race.ledger.back)


@pytest.mark.parametrize("loser", [["b"], [5.0]], ids=["has spoken", "is silent"])
@pytest.mark.parametrize("hang_ups", [1, 2])
async def test_a_hang_up_while_a_loser_is_dismissed_lets_it_take_its_leave(loser: Script, hang_ups: int) -> None:
    race = Race(winner=["a", 5.0], loser=loser)
    race.runners["loser"].farewell = 0.05
    waiting = asyncio.create_task(race.words())
    for _ in range(hang_ups):
        await asyncio.sleep(0.02)
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(2.0):
        while not race.clear():
            await asyncio.sleep(0.01)
    assert all(reason in ("fine", "aborted") for _, reason in race.ledger.back)


async def test_the_winner_is_still_watched_after_the_race() -> None:
    race = Race(one=["a", 5.0, "b"], two=[5.0])
    with pytest.raises(UpstreamStalled):
        await race.words()
    assert race.clear()


async def test_a_bug_in_a_runner_is_not_hidden() -> None:
    race = Race(one=[0.01, Throttled("later")], two=["x"])
    race.runners["two"].stream = _bug  # type: ignore[method-assign,assignment]
    with pytest.raises(ZeroDivisionError):
        await race.words()


async def _bug(prompt: Prompt, lease: Lease) -> Events:
    yield Text(str(1 // 0))
