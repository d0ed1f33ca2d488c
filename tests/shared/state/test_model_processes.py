"""Limits, budgets, credentials and sessions of several processes against models: what all of them do at the same moment
adds up to what one after the other would have done, whoever was first.

The machines of `test_admission_model.py` and `test_model.py` show each script with a clock that jumps about; here the
clock stands still as far as anybody notices (days, totals), and the processes are as they are in gateways.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import redis as redis_py
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import booleans, integers, lists, sampled_from

from tests.servers import RedisServer
from tests.shared.state.commanded import Crew

PROCESSES = 3
PLAN = settings(
    max_examples=15,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.reuse, Phase.generate),  # to find a shorter way to a failure takes minutes here
)

asked = lists(integers(0, 5), min_size=PROCESSES, max_size=PROCESSES)
"""How many each process asks for, at once."""
chosen = lists(integers(0, 40), max_size=6, unique=True)
"""Which of those that are out come to an end."""


@pytest.fixture(scope="module")
def crew(running_redis: RedisServer) -> Iterator[Crew]:
    crew = Crew(running_redis.url, PROCESSES)
    yield crew
    crew.close()
    with redis_py.Redis.from_url(running_redis.url) as client:
        client.flushall()


class Machine(RuleBasedStateMachine):
    crew: ClassVar[Crew]
    redis: ClassVar[redis_py.Redis]

    def begin(self, **facts: Any) -> dict[str, str]:
        self.crew.all(["end"])
        self.redis.flushall()
        ids, *others = self.crew.all(["begin", facts])
        assert all(other == ids for other in others)
        return dict(ids)


# --- limits and budgets -------------------------------------------------------------------------------------------


@dataclass
class Scope:
    """What the model remembers of a key or a model."""

    name: str
    requests_per_day: int
    tokens_per_day: int
    concurrency: int
    budgets: dict[str, int]
    used: Counter[str] = field(default_factory=Counter)

    def told(self) -> list[Any]:
        limits = {name: getattr(self, name) for name in ("requests_per_day", "tokens_per_day", "concurrency")}
        return [self.name, {**limits, "budgets": [[unit, amount, "total"] for unit, amount in self.budgets.items()]}]

    def room(self, one: Counter[str], used: Counter[str]) -> float:
        """How many requests that take as much as `one` have room where so much is used."""
        limits = {
            "requests": self.requests_per_day,
            "tokens": self.tokens_per_day,
            "running": self.concurrency,
            **{f"spent {unit}": amount for unit, amount in self.budgets.items()},
        }
        rooms = [
            max((limit - used[what]) // one[what], 0) if one[what] else float("inf") if used[what] <= limit else 0
            for what, limit in limits.items()
            if limit
        ]
        return min(rooms, default=float("inf"))


@dataclass
class Request:
    process: int
    name: str
    worst: Counter[str]


def takes(tokens: int, cost: int) -> Counter[str]:
    return Counter({"requests": 1, "running": 1, "tokens": tokens, "spent tokens": tokens, "spent money": cost})


some = sampled_from([0, 4, 9])


class Admitting(Machine):
    @initialize(
        days=lists(some, min_size=4, max_size=4),
        places=lists(sampled_from([0, 2, 6]), min_size=2, max_size=2),
        tokens=lists(sampled_from([0, 25, 60]), min_size=2, max_size=2),
        money=lists(sampled_from([0, 30, 90]), min_size=2, max_size=2),
    )
    def start(self, days: list[int], places: list[int], tokens: list[int], money: list[int]) -> None:
        self.begin(credentials=1)
        self.scopes = [
            Scope(
                name, days[nth] * 2, days[nth + 2] * 10, places[nth],
                {unit: amount for unit, amount in (("tokens", tokens[nth]), ("money", money[nth])) if amount},
            )
            for nth, name in enumerate(("key:a", "model:b"))
        ]  # fmt: skip
        self.out: list[Request] = []

    @property
    def limited(self) -> list[Scope]:
        return [scope for scope in self.scopes if any(scope.told()[1].values())]

    @rule(
        asked=asked,
        tokens=sampled_from([0, 1, 5, 12]),
        cost=sampled_from([0, 3, 10]),
        ends=chosen,
        took=integers(0, 20),
    )
    def all_ask_while_some_end(self, asked: list[int], tokens: int, cost: int, ends: list[int], took: int) -> None:
        """Each process lets some requests end, which took less or more than they might have, and asks for others."""
        over = [self.out[nth] for nth in ends if nth < len(self.out)]
        self.out = [request for request in self.out if request not in over]
        one, scopes = takes(tokens, cost), [scope.told() for scope in self.scopes]
        replies = self.crew.all(
            *(
                [
                    "together",
                    [
                        ["settle", [(request.name, took, took) for request in over if request.process == process]],
                        ["admit", scopes, tokens, cost, number],
                    ],
                ]
                for process, number in enumerate(asked)
            )
        )
        names = [(process, name) for process, (_, admitted) in enumerate(replies) for name in admitted]
        least, most = (min(sum(asked), *self.rooms(one, over, took, last=last)) for last in (True, False))
        assert least <= len(names) <= most
        assert len({name for _, name in names}) == len(names)
        self.out += [Request(process, name, one) for process, name in names]
        for scope in self.scopes:
            for _ in names:
                scope.used.update(one)
            for request in over:
                scope.used = changed(scope.used, ended(request, took))

    def rooms(self, one: Counter[str], over: list[Request], took: int, *, last: bool) -> Iterator[float]:
        """If those that end do so after all others asked, and take what they may take more before that; or if they
        give back first, and take more afterwards. Whatever happens at once is in between."""
        for scope in self.scopes:
            used = scope.used
            for request in over:
                change = {what: amount for what, amount in ended(request, took).items() if (amount > 0) == last}
                used = changed(used, change)
            yield scope.room(one, used)

    @invariant()
    def every_process_sees_what_the_model_knows(self) -> None:
        if not getattr(self, "scopes", None) or not self.limited:
            return
        first, *others = self.crew.all(["full", [scope.name for scope in self.limited]])
        assert all(other == first for other in others)
        for scope, (requests, tokens, running, spent) in zip(self.limited, first, strict=True):
            if scope.requests_per_day or scope.tokens_per_day:
                assert requests == scope.used["requests"]
            if scope.tokens_per_day:
                assert tokens == scope.used["tokens"]
            if scope.concurrency:
                assert running == scope.used["running"] <= scope.concurrency
            assert {unit: spent.get(unit, 0) for unit in scope.budgets} == {
                unit: scope.used[f"spent {unit}"] for unit in scope.budgets
            }


def ended(request: Request, took: int) -> dict[str, int]:
    """What changes when a request ends that took so much."""
    return {
        "running": -1,
        **{what: took - request.worst[what] for what in ("tokens", "spent tokens", "spent money")},
    }


def changed(used: Counter[str], change: dict[str, int]) -> Counter[str]:
    after = Counter(used)
    after.update(change)
    return after


def test_what_processes_admit_at_the_same_moment_is_what_the_model_admits(
    crew: Crew, running_redis: RedisServer
) -> None:
    with redis_py.Redis.from_url(running_redis.url) as client:
        Machine.crew, Machine.redis = crew, client
        run_state_machine_as_test(Admitting, settings=PLAN)


# --- credentials and sessions -------------------------------------------------------------------------------------


@dataclass
class Lent:
    process: int
    name: str
    alias: str
    session: str
    worst: int


class Lending(Machine):
    @initialize(credentials=integers(1, 3), concurrency=sampled_from([0, 1, 3]), budget=sampled_from([0, 14, 70]))
    def start(self, credentials: int, concurrency: int, budget: int) -> None:
        limits = {"budgets": [["tokens", budget, "total"]]} if budget else {}
        self.ids = self.begin(credentials=credentials, concurrency=concurrency, limits=limits)
        self.concurrency, self.budget = concurrency, budget
        self.turns = sorted(self.ids)  # whoever is first was lent longest ago
        self.used = dict.fromkeys(self.ids, 0)
        self.out: list[Lent] = []
        self.ready: dict[str, set[str]] = {alias: set() for alias in self.ids}
        self.doomed: dict[str, str] = {}
        self.claimed: dict[str, str] = {}
        self.opened = self.taken = self.returned = 0

    def has_room(self, alias: str, tokens: int) -> bool:
        busy = sum(lent.alias == alias for lent in self.out) >= self.concurrency > 0
        return not busy and not (self.budget and self.used[alias] + tokens > self.budget)

    @rule(asked=asked, sessions=booleans(), tokens=sampled_from([0, 1, 7]))
    def all_borrow(self, asked: list[int], sessions: bool, tokens: int) -> None:
        """Strictly in turn among those with room; and each session goes to one."""
        replies = self.crew.all(*(["lend", number, sessions, tokens] for number in asked))
        lent = [
            Lent(process, name, alias, session, tokens)
            for process, some in enumerate(replies)
            for name, alias, session in some
        ]
        expected: Counter[str] = Counter()
        for _ in range(sum(asked)):
            alias = next((alias for alias in self.turns if self.has_room(alias, tokens)), None)
            if alias is None:
                break
            self.turns.remove(alias)
            self.turns.append(alias)
            self.used[alias] += tokens if self.budget else 0
            expected[alias] += 1
            self.out.append(next(one for one in lent if one.alias == alias and one not in self.out))
        assert Counter(one.alias for one in lent) == expected
        assert len({one.name for one in lent}) == len(lent)
        self.taken += len(lent)
        for alias in self.ids:
            came = [one.session for one in lent if one.alias == alias and one.session]
            assert len(came) == len(set(came)) == (min(expected[alias], len(self.ready[alias])) if sessions else 0)
            assert set(came) <= self.ready[alias]
            self.ready[alias] -= set(came)

    @precondition(lambda self: any(not one.session for one in self.out))
    @rule(number=integers(0, 40))
    def one_opens_a_session_for_its_lease(self, number: int) -> None:
        bare = [one for one in self.out if not one.session]
        one = bare[number % len(bare)]
        one.session = self.name()
        self.crew.all(
            *(["note", one.name, one.session] if one.process == nth else ["held"] for nth in range(PROCESSES))
        )

    @rule(ends=chosen, took=integers(0, 9))
    def all_give_back(self, ends: list[int], took: int) -> None:
        over = [self.out[nth] for nth in ends if nth < len(self.out)]
        self.crew.all(
            *(["give_back", [(one.name, took) for one in over if one.process == nth]] for nth in range(PROCESSES))
        )
        self.out = [one for one in self.out if one not in over]
        self.returned += len(over)
        for one in over:
            self.used[one.alias] += took - one.worst if self.budget else 0
            if one.session:
                self.doomed[one.session] = one.alias

    @rule(which=integers(0, 2), numbers=lists(integers(0, 2), min_size=PROCESSES, max_size=PROCESSES))
    def all_warm(self, which: int, numbers: list[int]) -> None:
        alias = sorted(self.ids)[which % len(self.ids)]
        names = [[self.name() for _ in range(number)] for number in numbers]
        replies = self.crew.all(*(["warm", self.ids[alias], some] for some in names))
        assert replies == [[True] * len(some) for some in names]
        self.ready[alias] |= {name for some in names for name in some}

    @rule(most=lists(integers(1, 4), min_size=PROCESSES, max_size=PROCESSES), done=integers(0, 3))
    def all_close_what_is_due(self, most: list[int], done: int) -> None:
        """No session is given to two of them, and none is left out."""
        replies = self.crew.all(*(["close", number, done] for number in most))
        given = [name for some in replies for name in some]
        assert len(given) == len(set(given)) == min(sum(most), len(self.doomed))
        for some in replies:
            for nth, name in enumerate(some):
                alias = self.doomed.pop(name)
                if nth >= done:
                    self.claimed[name] = alias

    def name(self) -> str:
        self.opened += 1
        return f"s{self.opened}"

    @invariant()
    def every_process_sees_what_the_model_knows(self) -> None:
        if not hasattr(self, "out"):
            return
        held = {alias: sum(one.alias == alias for one in self.out) for alias in self.ids}
        counted = {"taken": self.taken, "returned": self.returned, "late": 0, "waiting": 0}
        for seen in self.crew.all(["held"]):
            assert seen == {**held, **counted, "doomed": len(self.doomed) + len(self.claimed)}
        for alias, id_ in self.ids.items():
            ours = {*self.ready[alias], *(one.session for one in self.out if one.alias == alias and one.session)}
            ours |= {name for told in (self.doomed, self.claimed) for name, of in told.items() if of == alias}
            for known in self.crew.all(["known", id_]):
                assert {name.partition(":")[2] or name for name in known} == ours


def test_what_processes_borrow_at_the_same_moment_is_what_the_model_lends(
    crew: Crew, running_redis: RedisServer
) -> None:
    with redis_py.Redis.from_url(running_redis.url) as client:
        Machine.crew, Machine.redis = crew, client
        run_state_machine_as_test(Lending, settings=PLAN)
