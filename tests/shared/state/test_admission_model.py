"""admit, settle, keep and readmit against a model that is simple enough to believe, while time jumps about."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import redis as redis_py
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import booleans, builds, integers, lists, sampled_from

from parley.catalog import Budget, Limits
from parley.state import periods, script
from parley.state.scopes import effective, facts
from tests.servers import RedisServer
from tests.shared.state.clockwork import Clockwork

MINUTE, DAY, PLACE, RECORD = 60_000, 86_400_000, 15_000, 3_600_000

_server: RedisServer | None = None

some = sampled_from([0, 0, 1, 2, 3, 5])
LIMITS = builds(
    Limits,
    some,
    some,
    sampled_from([0, 0, 10, 25]),
    sampled_from([0, 0, 40, 60]),
    sampled_from([0, 0, 1, 3]),
    lists(
        builds(
            Budget,
            sampled_from(["tokens", "money"]),
            integers(5, 40),
            sampled_from(["minute", "hour", "day", "week", "month", "total"]),
        ),
        max_size=2,
    ).map(tuple),
)


@dataclass
class Scope:
    """What the model remembers: everything that ever happened."""

    name: str
    limits: Limits
    requests: list[dict[str, Any]] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)

    def counted(self, what: str, length: int, now: int) -> list[tuple[int, int]]:
        """(moment, amount) of a sliding window; a request counts for `length` after the millisecond that it came in."""
        limited = (self.limits.requests_per_minute, self.limits.tokens_per_minute)
        if length == DAY:
            limited = (self.limits.requests_per_day, self.limits.tokens_per_day)
        if not any(limited) or (what == "tokens" and not limited[1]):
            return []
        return [(one["at"], one[what]) for one in self.requests if one["at"] + 1 + length > now]

    def spent(self, budget: Budget, now: int) -> int:
        of = "cost" if budget.unit == "money" else "tokens"
        number = periods.number(budget.period, now / 1000)
        return sum(one[of] for one in self.requests if periods.number(budget.period, one["at"] / 1000) == number)

    def at_it(self, now: int) -> int:
        return sum(1 for deadline in self.places.values() if deadline > now) if self.limits.concurrency else 0

    def refusals(self, tokens: int, cost: int, now: int) -> dict[str, int]:
        """Limit -> milliseconds until it has room; -1 never, 0 unknown."""
        found = {}
        for per, length in (("minute", MINUTE), ("day", DAY)):
            for what, wanted in (("requests", 1), ("tokens", tokens)):
                limit = getattr(self.limits, f"{what}_per_{per}")
                entries = sorted(self.counted(what, length, now))
                too_much = sum(amount for _, amount in entries) + wanted - limit
                if not limit or too_much <= 0:
                    continue
                found[f"{what}_per_{per}"] = -1
                if wanted <= limit:
                    leaving = itertools.accumulate(amount for _, amount in entries)
                    moment = next(
                        moment for (moment, _), gone in zip(entries, leaving, strict=True) if gone >= too_much
                    )
                    found[f"{what}_per_{per}"] = moment + 1 + length - now
        if self.limits.concurrency and self.at_it(now) >= self.limits.concurrency:
            found["concurrency"] = 0
        for nth, budget in enumerate(self.limits.budgets):
            wanted = cost if budget.unit == "money" else tokens
            if self.spent(budget, now) + wanted > budget.amount:
                never = wanted > budget.amount or budget.period == "total"
                found[f"budget {nth}"] = -1 if never else ends(budget.period, now) - now
        return found


def ends(period: str, now: int) -> int:
    """When a period of the calendar is over."""
    day = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "minute" | "hour":
            length = 60_000 if period == "minute" else 3_600_000
            return (now // length + 1) * length
        case "day":
            over = day + timedelta(days=1)
        case "week":
            over = day + timedelta(days=7 - day.weekday())
        case _:
            over = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return int(over.timestamp() * 1000)


class Admitting(RuleBasedStateMachine):
    requests = Bundle("requests")

    @initialize(key=LIMITS, model=LIMITS)
    def start(self, key: Limits, model: Limits) -> None:
        assert _server is not None
        self.redis = redis_py.Redis.from_url(_server.url, decode_responses=True)
        self.redis.flushall()
        self.clock = Clockwork(self.redis)
        self.scopes = [
            Scope(name, effective(limits) or limits) for name, limits in (("key:a", key), ("model:b", model))
        ]
        self.ids = itertools.count(1)

    def teardown(self) -> None:
        if hasattr(self, "redis"):
            self.redis.close()

    def told(self, request: str, tokens: int, cost: int, scopes: list[Scope]) -> list[Any]:
        limits = itertools.chain(*((scope.name, *facts(scope.limits)) for scope in scopes))
        return [request, tokens, cost, PLACE, RECORD, MINUTE, *limits]

    def counts(self, request: str, tokens: int, cost: int, scopes: list[Scope], ago: int = 0) -> Any:
        entry = {"at": self.clock.now - ago, "requests": 1, "tokens": tokens, "cost": cost}
        for scope in scopes:
            scope.requests.append(entry)
            scope.places[request] = self.clock.now + PLACE
        return request, entry, scopes

    @rule(
        target=requests,
        which=sampled_from([(0,), (1,), (0, 1), (0, 1)]),
        tokens=sampled_from([0, 1, 4, 9, 30]),
        cost=sampled_from([0, 1, 5, 20, 50]),
    )
    def admit(self, which: tuple[int, ...], tokens: int, cost: int) -> Any:
        request, scopes, now = f"r{next(self.ids)}", [self.scopes[nth] for nth in which], self.clock.now
        reply = self.clock.run(script.ADMIT, *self.told(request, tokens, cost, scopes))
        refused = {
            (nth, limit): wait
            for nth, scope in enumerate(scopes)
            for limit, wait in scope.refusals(tokens, cost, now).items()
        }
        if not refused:
            assert reply[0] == "admitted"
            return self.counts(request, tokens, cost, scopes)
        assert reply[0] == "refused"
        _, wait, nth, limit, budget, _ = reply
        assert wait == (-1 if -1 in refused.values() else max(refused.values()))
        assert refused[nth, f"budget {budget}" if limit == "budget" else limit] == wait
        return multiple()

    @rule(
        request=consumes(requests),
        tokens=sampled_from([0, 2, 9, 35]),
        cost=sampled_from([0, 3, 20, 60]),
        sure=booleans(),
    )
    def settle(self, request: Any, tokens: int, cost: int, sure: bool) -> None:
        name, entry, scopes = request
        remember = 0 if sure else RECORD
        assert self.clock.run(script.SETTLE, name, tokens, cost, 1, MINUTE, remember) == 1
        entry |= {"tokens": tokens, "cost": cost}
        for scope in scopes:
            del scope.places[name]
        assert self.clock.run(script.SETTLE, name, 1, 1, 1, MINUTE, remember) == 0  # said again
        if not sure:  # nothing that comes late counts
            assert self.clock.run(script.READMIT, 0, *self.told(name, 9, 9, scopes)) == 0
            assert self.clock.run(script.ADMIT, *self.told(name, 9, 9, scopes)) == ["known"]

    @rule(request=consumes(requests))
    def void(self, request: Any) -> None:
        name, entry, scopes = request
        assert self.clock.run(script.SETTLE, name, 0, 0, 0, MINUTE, RECORD) == 1
        entry |= {"tokens": 0, "cost": 0, "requests": 0}
        for scope in scopes:
            del scope.places[name]

    @rule(target=requests, tokens=integers(0, 9), cost=integers(0, 9), ago=sampled_from([0, 1, 700, 59_999, 61_000]))
    def readmit(self, tokens: int, cost: int, ago: int) -> Any:
        """Whatever the limits say: it happened. It is not spent in a period that is over meanwhile."""
        request, scopes = f"r{next(self.ids)}", self.scopes
        told = self.told(request, tokens, cost, scopes)
        assert self.clock.run(script.READMIT, ago, *told) == 1
        assert self.clock.run(script.READMIT, ago, *told) == 0
        return self.counts(request, tokens, cost, scopes, ago)

    @rule(kept=lists(requests, max_size=3, unique_by=lambda request: request[0]))
    def keep(self, kept: list[Any]) -> None:
        unknown = self.clock.run(script.KEEP, PLACE, RECORD, *(name for name, _, _ in kept), "nobody's")
        assert unknown == ["nobody's"]
        for name, _, scopes in kept:
            for scope in scopes:
                scope.places[name] = self.clock.now + PLACE

    @rule(
        milliseconds=sampled_from([1, 999, 2000, 14_999, 30_000, 59_999, 60_001, 3_600_000, 43_200_000, DAY, 31 * DAY])
    )
    def time_passes(self, milliseconds: int) -> None:
        self.clock.move(milliseconds)

    @invariant()
    def redis_and_the_model_agree(self) -> None:
        if not hasattr(self, "clock"):
            return
        now = self.clock.now
        _, _, *rows = self.clock.run(script.FULLNESS, MINUTE, 0, 0, *(scope.name for scope in self.scopes))
        for row, scope in zip(rows, self.scopes, strict=True):
            sums = [
                sum(amount for _, amount in scope.counted(what, length, now))
                for length in (MINUTE, DAY)
                for what in ("requests", "tokens")
            ]
            assert row[:6] == [scope.name, *sums, scope.at_it(now)]
            spent = {which: (number, amount) for which, number, amount in zip(*[iter(row[6:])] * 3, strict=True)}
            for budget in scope.limits.budgets:
                number, amount = spent.get(f"{budget.unit}:{budget.period}", (0, 0))
                current = number == periods.number(budget.period, now / 1000)
                assert (amount if current else 0) == scope.spent(budget, now)


def test_admitting_does_what_the_model_says(running_redis):
    global _server  # noqa: PLW0603  # hypothesis makes the machine without arguments
    _server = running_redis
    plan = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Admitting, settings=plan)
    with redis_py.Redis.from_url(running_redis.url) as client:
        client.flushall()
