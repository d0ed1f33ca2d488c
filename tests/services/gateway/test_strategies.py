"""Whom a route asks first, strategy by strategy."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from gateway import strategies
from gateway.routing import Candidate, Choice
from parley.catalog import Upstream
from parley.chat.prompt import Assistant, Prompt, System, User


class Nobody:
    features: frozenset[Any] = frozenset()


def candidate(name: str, weight: float = 1.0) -> Candidate:
    return Candidate(Upstream(name, "echo"), Nobody(), "m", weight)  # type: ignore[arg-type]


def names(order: Any) -> str:
    return "".join(member.upstream.name if isinstance(member, Candidate) else member.route for member in order)


ABC = [candidate("a"), candidate("b"), candidate("c")]


def test_turns_go_round_and_the_others_follow() -> None:
    assert [names(strategies.rotated(ABC, turn)) for turn in range(4)] == ["abc", "bca", "cab", "abc"]


def test_a_random_order_has_everybody_once_and_anybody_first() -> None:
    orders = [names(strategies.shuffled(ABC)) for _ in range(300)]
    assert {order[0] for order in orders} == set("abc")
    assert all(sorted(order) == list("abc") for order in orders)


def test_weights_are_shares_of_being_first_and_0_is_for_when_all_others_failed() -> None:
    members = [candidate("a", 6), candidate("b", 3), candidate("c", 1), candidate("d", 0)]
    orders = [names(strategies.by_weight(members)) for _ in range(5000)]
    first = Counter(order[0] for order in orders)
    assert all(order[3] == "d" for order in orders)
    # Five standard deviations of a fair draw are below 0.036.
    for name, share in (("a", 0.6), ("b", 0.3), ("c", 0.1)):
        assert abs(first[name] / 5000 - share) < 0.036, first


def prompt(*messages: Any, **facts: Any) -> Prompt:
    return Prompt([*messages], **facts)


def test_a_conversation_stays_the_same_while_it_grows() -> None:
    began = [System("be brief"), User("hello")]
    first = strategies.conversation(prompt(*began))
    assert strategies.conversation(prompt(*began, Assistant("hi"), User("and now?"))) == first
    assert strategies.conversation(prompt(System("be brief"), User("another"))) != first
    assert strategies.conversation(prompt(System("be long"), User("hello"))) != first


def test_a_key_or_a_user_says_more_than_the_words() -> None:
    by_user = strategies.conversation(prompt(User("one"), user="u1"))
    assert by_user == strategies.conversation(prompt(User("two"), user="u1"))
    assert by_user != strategies.conversation(prompt(User("one"), user="u2"))
    by_key = strategies.conversation(prompt(User("one"), user="u1", prompt_cache_key="k"))
    assert by_key == strategies.conversation(prompt(User("two"), user="u2", prompt_cache_key="k"))


def keys(count: int) -> list[bytes]:
    return [strategies.conversation(prompt(User(f"conversation {n}"))) for n in range(count)]


def test_conversations_spread_by_weight_and_always_in_the_same_way() -> None:
    members = [candidate("a"), candidate("b"), candidate("c", 2)]
    orders = [names(strategies.by_conversation(members, key)) for key in keys(4000)]
    assert orders == [names(strategies.by_conversation(members[::-1], key)) for key in keys(4000)]
    first = Counter(order[0] for order in orders)
    for name, share in (("a", 0.25), ("b", 0.25), ("c", 0.5)):
        assert abs(first[name] / 4000 - share) < 0.04, first


def test_when_one_leaves_only_its_conversations_move() -> None:
    for key in keys(200):
        before = names(strategies.by_conversation(ABC, key))
        assert names(strategies.by_conversation(ABC[:2], key)) == before.replace("c", "")


def test_the_least_busy_for_its_weight_comes_first_and_equals_take_turns_at_random() -> None:
    load = {"a": 4, "b": 1, "c": 2}
    assert names(strategies.by_load(ABC, lambda candidate: load[candidate.upstream.name])) == "bca"
    heavy = [candidate("a", 10), candidate("b"), candidate("c", 0)]
    assert names(strategies.by_load(heavy, lambda candidate: load[candidate.upstream.name])) == "abc"
    assert {names(strategies.by_load(ABC, lambda _: 0))[0] for _ in range(100)} == set("abc")


def test_the_fastest_comes_first() -> None:
    seconds = {"a": 0.5, "b": 0.1, "c": -1.0}
    assert names(strategies.by_speed(ABC, lambda candidate: seconds[candidate.upstream.name])) == "cba"


@pytest.mark.parametrize(("resting", "ready", "last"), [("b", "ac", "b"), ("", "abc", ""), ("abc", "", "abc")])
def test_who_rests_is_set_apart(resting: str, ready: str, last: str) -> None:
    found = strategies.resting_last(ABC, lambda candidate: candidate.upstream.name in resting)
    assert (names(found[0]), names(found[1])) == (ready, last)


def test_a_route_in_a_route_rests_when_all_of_it_does() -> None:
    inner = Choice("inner", ABC[:2], "random")
    for resting, ready in (("a", "innerc"), ("ab", "c"), ("c", "inner")):
        assert names(strategies.resting_last([inner, ABC[2]], lambda p, r=resting: p.upstream.name in r)[0]) == ready
