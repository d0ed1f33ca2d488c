"""How often a request tries, where, and what the budget for retries has to say."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from gateway import relay as module
from gateway.accounting import Tally
from gateway.limiter import Limiter
from gateway.planning import Plan
from gateway.relay import Relay
from gateway.routing import Candidate
from gateway.speeds import Speeds
from parley.catalog import Timeouts, Upstream
from parley.chat.events import Events, Stop, Text
from parley.chat.prompt import Prompt, User
from parley.errors import (
    AnswerTimeout,
    BadRequest,
    CredentialExpired,
    CredentialRejected,
    Failure,
    LimitReached,
    ModelElsewhere,
    NothingToLend,
    SessionLost,
    Throttled,
    UpstreamBroken,
)
from parley.leases import Credential, Lease
from parley.prices import Prices

LIMITER: Any = Limiter(None, Prices, 4096)  # type: ignore[arg-type]  # no credential here has limits


class Ledger:
    """A vault where each upstream has so many credentials; without any it refuses to lend."""

    def __init__(self, credentials: dict[str, int]) -> None:
        self.credentials = credentials
        self.back: list[str] = []

    async def lend(self, upstream: Upstream, avoid: Collection[str] = (), **_: Any) -> Lease:
        count = self.credentials.get(upstream.name, 9)
        free = [f"{upstream.name}{n}" for n in range(count) if f"{upstream.name}{n}" not in avoid]
        if not free:
            raise LimitReached("all rest", retry_after=7.0) if count else NothingToLend("none")
        return Lease(free[0], upstream, Credential(free[0], free[0], {}))

    def works(self, lease: Lease) -> None:
        pass

    def give_back(self, lease: Lease, failure: Failure | None, *, aborted: bool = False) -> None:
        self.back.append(lease.id)


class Purse:
    """A budget of so many tokens."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.calls = 0

    def called(self) -> None:
        self.calls += 1

    async def may(self, patience: float) -> bool:
        self.tokens -= 1
        if self.tokens < 0:
            self.tokens = 0
            return False
        return True

    def helped(self) -> None:
        self.tokens += 1


class Server:
    features: frozenset[str] = frozenset()

    def __init__(self, *script: Failure | str | float) -> None:
        self.script = list(script)
        self.asked: list[str] = []

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        self.asked.append(lease.id)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Failure):
            raise step
        if isinstance(step, float):
            await asyncio.sleep(step)
        yield Text(str(step))
        yield Stop("stop")


class Scene:
    def __init__(self, tokens: int = 9, attempts: int = 3, **servers: Server) -> None:
        self.purse, self.speeds = Purse(tokens), Speeds()
        self.ledger = Ledger({})
        self.servers = servers
        self.relay = Relay(self.ledger, self.purse, self.speeds, LIMITER, attempts, queue_seconds=1)  # type: ignore[arg-type]
        self.tally = Tally("id", lambda _: None)

    def candidate(self, name: str, **facts: Any) -> Candidate:
        return Candidate(Upstream(name, "echo", timeouts=Timeouts(total=0.3)), self.servers[name], "m", **facts)  # type: ignore[arg-type]

    async def run(self, *heats: str) -> str:
        """Heats of lanes apart by bars: `Scene.run("ab", "c|d")`."""
        plan = Plan([[[self.candidate(name) for name in lane] for lane in heat.split("|")] for heat in heats])
        trial = await self.relay.first_to_speak(plan, Prompt([User("?")]), self.tally)
        async with trial:
            said = trial.first
            while await trial.next() is not None:
                pass
        assert isinstance(said, Text)
        return said.text

    @property
    def calls(self) -> str:
        return " ".join(attempt.credential or "-" for attempt in self.tally.attempts)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_pause(_: Failure) -> None:
        pass

    monkeypatch.setattr(module, "_breathe", no_pause)


def no(kind: type[Failure] = Throttled) -> Server:
    return Server(kind("no"))


async def test_an_answer_at_once_asks_the_budget_for_nothing() -> None:
    scene = Scene(tokens=0, a=Server("fine"))
    assert await scene.run("a") == "fine"
    assert (scene.purse.calls, scene.calls) == (1, "a0")


async def test_attempts_are_spread_over_the_route_and_the_first_gets_what_is_left() -> None:
    scene = Scene(attempts=4, a=no(), b=no(), c=Server("fine"))
    assert await scene.run("abc") == "fine"
    assert scene.calls == "a0 a1 b0 c0"
    assert [attempt.next for attempt in scene.tally.attempts] == ["rate_limit_exceeded"] * 3 + [""]


async def test_an_upstream_in_trouble_is_not_asked_again_while_others_are_left() -> None:
    scene = Scene(attempts=4, a=no(UpstreamBroken), b=Server("fine"))
    assert await scene.run("ab") == "fine"
    assert scene.calls == "a0 b0"
    scene = Scene(attempts=4, a=no(UpstreamBroken), b=no(UpstreamBroken))
    with pytest.raises(UpstreamBroken):
        await scene.run("ab")
    assert scene.calls == "a0 b0 b1 b2"
    scene = Scene(attempts=4, a=Server(SessionLost("gone"), "fine"), b=Server("never"))
    assert await scene.run("ab") == "fine", "another session may do"


async def test_the_number_of_attempts_holds_over_the_whole_route() -> None:
    scene = Scene(attempts=3, a=no(), b=no(), c=no(), d=Server("never"))
    with pytest.raises(Throttled):
        await scene.run("abcd")
    assert scene.calls == "a0 b0 c0"


async def test_what_cannot_be_lent_is_no_attempt() -> None:
    scene = Scene(attempts=1, a=Server("never"), b=Server("never"), c=Server("fine"))
    scene.ledger.credentials = {"a": 0, "b": 0}
    assert await scene.run("abc") == "fine"
    assert scene.calls == "- - c0"
    assert scene.purse.tokens == 9


@pytest.mark.parametrize("kind", [BadRequest, AnswerTimeout])
async def test_what_no_other_could_do_better_ends_the_matter(kind: type[Failure]) -> None:
    scene = Scene(a=no(kind), b=Server("never"))
    with pytest.raises(kind):
        await scene.run("ab")
    assert scene.calls == "a0"


async def test_without_a_token_nothing_is_tried_again_and_the_record_says_so() -> None:
    scene = Scene(tokens=0, a=no(), b=Server("never"))
    with pytest.raises(Throttled):
        await scene.run("ab")
    assert scene.calls == "a0"
    scene.tally.close("failed")
    record = scene.tally.record()
    assert record["withheld"] == "retry_budget"
    assert "next" not in record["attempts"][0]


async def test_a_call_that_brings_nothing_costs_a_token() -> None:
    scene = Scene(tokens=5, a=no(), b=no(UpstreamBroken))
    with pytest.raises(UpstreamBroken):
        await scene.run("ab")
    assert scene.calls == "a0 a1 b0"
    assert scene.purse.tokens == 3


async def test_a_call_that_brings_an_answer_gives_its_token_back() -> None:
    scene = Scene(tokens=2, a=no(), b=Server("fine"))
    assert await scene.run("ab") == "fine"
    assert scene.calls == "a0 a1 b0"
    assert scene.purse.tokens == 1, "one for the second call to a, which failed"


async def test_a_token_for_a_call_that_could_not_be_made_goes_back_too() -> None:
    scene = Scene(tokens=1, a=no())
    scene.ledger.credentials = {"a": 1}
    with pytest.raises(LimitReached) as refused:
        await scene.run("a")
    assert refused.value.retry_after == 7.0
    assert (scene.calls, scene.purse.tokens) == ("a0 -", 1)


@pytest.mark.parametrize("kind", [CredentialExpired, CredentialRejected, SessionLost, ModelElsewhere])
async def test_what_was_out_of_date_with_us_is_asked_again_at_no_cost(kind: type[Failure]) -> None:
    scene = Scene(tokens=0, a=Server(kind("no"), "fine"))
    assert await scene.run("a") == "fine"
    assert scene.calls == "a0 a1"


async def test_a_race_is_no_retry_but_what_follows_it_is() -> None:
    scene = Scene(tokens=0, attempts=2, a=no(), b=no(), c=Server("never"))
    with pytest.raises(Throttled):
        await scene.run("a|b", "c")
    assert sorted(scene.calls.split()) == ["a0", "b0"]
    scene = Scene(tokens=1, attempts=2, a=no(), b=no(), c=Server("fine"))
    assert await scene.run("a|b", "c") == "fine"
    assert sorted(scene.calls.split()[:2]) == ["a0", "b0"] and scene.calls.endswith(" c0")


async def test_a_race_after_a_failure_pays_for_each_of_its_runners() -> None:
    scene = Scene(tokens=1, attempts=2, a=no(), b=Server(0.05), c=Server(0.05))
    assert await scene.run("a", "b|c") == "0.05"
    assert len(scene.calls.split()) == 2, "one token was enough for one of them"


async def test_everything_lent_comes_back_once() -> None:
    scene = Scene(a=no(), b=no(UpstreamBroken), c=Server("fine"))
    await scene.run("abc")
    assert scene.ledger.back == ["a0", "b0", "c0"]


async def test_speeds_are_learnt_from_first_tokens_and_failures() -> None:
    scene = Scene(a=no(UpstreamBroken), b=Server(0.05))
    await scene.run("ab")
    assert scene.speeds.expected(scene.candidate("a")) >= 10
    assert 0.04 < scene.speeds.expected(scene.candidate("b")) < 0.3


async def test_the_time_of_all_attempts_together_is_the_time_of_the_request() -> None:
    scene = Scene(attempts=9, a=no(), b=Server(5.0))
    scene.tally.started -= 0.25  # as long as it took until now; its answer may take 0.3 s
    with pytest.raises(AnswerTimeout):
        await asyncio.wait_for(scene.run("ab"), 0.2)


async def test_each_place_is_asked_with_its_own_defaults() -> None:
    scene = Scene(a=Server("fine"))
    seen: list[Prompt] = []
    answer = scene.servers["a"].stream
    scene.servers["a"].stream = lambda prompt, lease: seen.append(prompt) or answer(prompt, lease)  # type: ignore[method-assign,func-returns-value]
    plan = Plan([[[scene.candidate("a", defaults={"temperature": 0.5, "top_p": 0.5})]]])
    asked = Prompt([User("?")], temperature=0.0, raw={"temperature": 0.0})
    async with await scene.relay.first_to_speak(plan, asked, scene.tally) as trial:
        while await trial.next() is not None:
            pass
    assert (seen[0].temperature, seen[0].top_p, seen[0].model) == (0.0, 0.5, "m")
    assert trial.asked is seen[0]
