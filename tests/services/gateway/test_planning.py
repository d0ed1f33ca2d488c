"""The plan of one request: who is asked when, and who side by side."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.planning import Plan, Planner
from gateway.routing import Candidate, Choice, Choices
from gateway.speeds import Speeds
from parley.catalog import Strategy, Upstream
from parley.chat.prompt import Prompt, User


class Nobody:
    features: frozenset[Any] = frozenset()


class Known:
    """What the vault and the rotation would say."""

    def __init__(self, resting: str = "", busy: dict[str, int] | None = None) -> None:
        self.resting, self.load = resting, busy or {}
        self.asked: list[str] = []

    def rests(self, upstream: str) -> bool:
        return upstream in self.resting

    def busy(self, upstream: str) -> int:
        return self.load.get(upstream, 0)

    async def turn(self, route: str, admitted_as: str = "") -> int:
        self.asked.append(route)
        return self.asked.count(route) - 1


def candidate(name: str) -> Candidate:
    return Candidate(Upstream(name, "echo"), Nobody(), "m")  # type: ignore[arg-type]


A, B, C, D = map(candidate, "abcd")


def route(strategy: Strategy, *members: Candidate | Choice, name: str = "r") -> Choice:
    return Choice(name, members, strategy)


async def planned(known: Known, *choices: Candidate | Choice, speeds: Speeds | None = None) -> str:
    """Heats apart by blanks, lanes by bars."""
    planner = Planner(known, known, speeds or Speeds())  # type: ignore[arg-type]
    asked: Choices = choices
    plan: Plan = await planner.plan(asked, Prompt([User("hi")]))
    return " ".join("|".join("".join(p.upstream.name for p in lane) for lane in heat) for heat in plan.heats)


async def test_one_place_and_a_failover_ask_nobody_anything() -> None:
    known = Known(resting="a")
    assert await planned(known, A) == "a"
    assert await planned(known, route("failover", A, B, C)) == "abc", "the operator's order stands"
    assert known.asked == []


async def test_round_robin_takes_a_turn_and_failover_follows_it() -> None:
    known = Known()
    assert [await planned(known, route("round-robin", A, B, C)) for _ in range(4)] == ["abc", "bca", "cab", "abc"]


async def test_turns_are_taken_among_those_who_do_not_rest() -> None:
    known = Known(resting="b")
    assert [await planned(known, route("round-robin", A, B, C)) for _ in range(3)] == ["acb", "cab", "acb"]
    assert await planned(Known(resting="ab"), route("round-robin", A, B)) == "ab", "nobody is better than another"


async def test_a_turn_is_only_taken_by_who_is_asked_first() -> None:
    known = Known()
    inner, other = route("round-robin", A, B, name="inner"), route("round-robin", C, D, name="other")
    assert await planned(known, route("round-robin", inner, other, name="outer")) == "abcd"
    assert known.asked == ["outer", "inner"]
    assert await planned(known, route("random", A), route("round-robin", B, C, name="fallback")) == "abc"
    assert known.asked == ["outer", "inner"]


async def test_parallel_is_one_heat_and_what_falls_back_is_another() -> None:
    assert await planned(Known(), route("parallel", A, B), C, D) == "a|b cd"
    assert await planned(Known(), A, route("parallel", B, C), D) == "a b|c d"
    assert await planned(Known(), route("parallel", route("failover", A, B), C)) == "ab|c"
    assert await planned(Known(), route("failover", route("parallel", A, B), C)) == "a|b c"


async def test_the_least_busy_is_asked_first() -> None:
    assert await planned(Known(busy={"a": 3, "b": 1, "c": 2}), route("least-busy", A, B, C)) == "bca"
    assert await planned(Known(resting="b", busy={"a": 3, "c": 2}), route("least-busy", A, B, C)) == "cab"


async def test_the_fastest_is_asked_first_after_each_was_tried() -> None:
    speeds = Speeds()
    first = [(await planned(Known(), route("fastest", A, B, C), speeds=speeds))[0] for _ in range(3)]
    assert first == ["a", "b", "c"], "each is tried by one request"
    for at, seconds in ((A, 0.3), (B, 0.1), (C, 0.2)):
        speeds.spoke(at, seconds)
    assert await planned(Known(), route("fastest", A, B, C), speeds=speeds) == "bca"
    speeds.failed(B)
    assert await planned(Known(), route("fastest", A, B, C), speeds=speeds) == "cab"


@pytest.mark.parametrize("strategy", ["sticky", "weighted", "random"])
async def test_nobody_is_sent_to_one_who_rests(strategy: Strategy) -> None:
    for resting in "abc":
        order = await planned(Known(resting=resting), route(strategy, A, B, C))
        assert order[-1] == resting and sorted(order) == list("abc")


async def test_a_conversation_comes_back_when_its_place_is_well_again() -> None:
    home = (await planned(Known(), route("sticky", A, B, C)))[0]
    away = await planned(Known(resting=home), route("sticky", A, B, C))
    assert away[0] != home
    assert (await planned(Known(), route("sticky", A, B, C)))[0] == home
