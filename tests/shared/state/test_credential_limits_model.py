"""lease_take with limits of credentials against a model that is simple enough to believe, while time jumps about."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
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
from hypothesis.strategies import booleans, integers, none, sampled_from

from parley.catalog import CredentialPlan, Limits, Upstream
from parley.state import keys, script
from parley.state.credential_limits import CredentialLimits
from parley.state.scopes import facts
from parley.state.verdict import OK
from tests.servers import RedisServer
from tests.shared.state.clockwork import Clockwork
from tests.shared.state.test_admission_model import DAY, LIMITS, MINUTE, PLACE, RECORD, Scope

TICKET, FAR_OFF = 60_000, 400 * DAY
UP = keys.prefix("up")

# Where room is left for a small request and not for a large one, who came first matters.
TIGHT = sampled_from(
    [Limits(tokens_per_minute=25), Limits(tokens_per_day=40, concurrency=3), Limits(5, 0, 10), Limits(0, 9, 25)]
)

_server: RedisServer | None = None


@dataclass
class Waiting:
    """A place in the queue."""

    ticket: str
    tokens: int
    cost: int
    deadline: int


@dataclass
class Known:
    """A credential: its limits and all that happened, and the deadlines of its leases."""

    id: str
    scope: Scope | None
    held: dict[str, int]

    def fits(self, tokens: int, cost: int, now: int) -> float:
        """How many requests of this size there is room for, one after another."""
        if self.scope is None:
            return float("inf")
        limits, most = self.scope.limits, float("inf")
        uses = [
            (limits.requests_per_minute, self.used("requests", MINUTE, now), 1),
            (limits.requests_per_day, self.used("requests", DAY, now), 1),
            (limits.tokens_per_minute, self.used("tokens", MINUTE, now), tokens),
            (limits.tokens_per_day, self.used("tokens", DAY, now), tokens),
            (limits.concurrency, self.scope.at_it(now), 1),
        ]
        uses = [use for use in uses if use[0]]
        for budget in limits.budgets:
            uses.append((budget.amount, self.scope.spent(budget, now), cost if budget.unit == "money" else tokens))
        for limit, used, wanted in uses:
            room = limit - used
            most = min(most, 0 if room < wanted else room // wanted if wanted else float("inf"))
        return most

    def used(self, what: str, length: int, now: int) -> int:
        assert self.scope is not None
        return sum(amount for _, amount in self.scope.counted(what, length, now))


class Lending(RuleBasedStateMachine):
    leases = Bundle("leases")

    @initialize(
        credentials=integers(1, 3),
        each=LIMITS | TIGHT,
        own=none() | LIMITS,
        concurrency=sampled_from([0, 0, 1, 2]),
        few=booleans(),
    )
    def start(self, credentials: int, each: Limits, own: Limits | None, concurrency: int, few: bool) -> None:
        assert _server is not None
        self.redis = redis_py.Redis.from_url(_server.url, decode_responses=True)
        self.redis.flushall()
        self.clock = Clockwork(self.redis)
        self.concurrency, self.queue_length = concurrency, 1 if few else 5
        plans = [CredentialPlan(f"c{number}", {}, limits=own if number == 0 else None) for number in range(credentials)]
        limits = CredentialLimits(Upstream("up", "echo", credentials=tuple(plans), limits=each))
        self.told = list(itertools.chain(*((name, *facts(found)) for name, found in limits.told)))
        self.limited = bool(limits.told)
        self.turns = []
        for number, plan in enumerate(plans):
            scopes = [Scope(name, found) for name, found in limits.of(plan.alias)]
            self.turns.append(Known(f"{number:012x}", scopes[0] if scopes else None, {}))
        self.known = {one.id: one for one in self.turns}
        rows = [(one.id, plan.alias, 0, "sealed", "", "ok") for one, plan in zip(self.turns, plans, strict=True)]
        self.clock.run(script.ENROLL, *itertools.chain(*rows), prefix=UP)
        self.queue: list[Waiting] = []
        self.ids = itertools.count(1)

    def teardown(self) -> None:
        if hasattr(self, "redis"):
            self.redis.close()

    def take(self, ticket: str, tokens: int, cost: int, patience: int) -> Any:
        lend = [ticket, PLACE, 1000, self.concurrency, 0, MINUTE, patience, self.queue_length, TICKET, 0, 0, "", "", ""]
        if self.limited:
            lend += [keys.LIMITS, ticket, tokens, cost, PLACE, RECORD, MINUTE, *self.told]
        return self.clock.run(script.TAKE, *lend, prefix=UP)

    @rule(
        target=leases,
        waiting=integers(0, 8),
        tokens=sampled_from([0, 1, 2, 9, 20, 30]),
        cost=sampled_from([0, 1, 5, 20]),
        patience=sampled_from([0, 30_000, FAR_OFF, FAR_OFF]),
    )
    def lend(self, waiting: int, tokens: int, cost: int, patience: int) -> Any:
        now = self.clock.now
        self.queue = [one for one in self.queue if one.deadline > now]
        mine = self.queue[waiting] if waiting < len(self.queue) else None
        if mine is not None:
            ticket, tokens, cost = mine.ticket, mine.tokens, mine.cost
        else:
            ticket = f"lease-{next(self.ids)}/{tokens}/{cost}"
        ahead = self.queue[: self.queue.index(mine)] if mine else list(self.queue)
        reply = self.take(ticket, tokens, cost, patience)

        for one in self.turns:
            one.held = {lease: deadline for lease, deadline in one.held.items() if deadline > now}
        # As many as there is room for, if all were as large as the largest of those who came first.
        size = (max([tokens, *(one.tokens for one in ahead)]), max([cost, *(one.cost for one in ahead)]))
        room = [(self.places(one), one) for one in self.turns]
        room = [(min(places, one.fits(*size, now)), one) for places, one in room]
        if sum(most for most, _ in room) > len(ahead):
            chosen = next(one for most, one in room if most > 0)
            assert reply[:2] == ["lent", chosen.id]
            if mine:
                self.queue.remove(mine)
            return self.lent(chosen, ticket, tokens, cost, reply)

        waits = [self.until_room(one, tokens, cost) for one in self.turns]
        if all(wait == -1 for wait in waits):
            assert reply == ["never"]
            patience = -1
        elif reply[0] == "full":
            known = [wait for wait in waits if wait is not None and wait >= 0]
            moment = -1 if None in waits else max(min(known), 1)
            assert reply[1] == moment
            assert patience == 0 or moment > patience or (mine is None and len(self.queue) >= self.queue_length)
            patience = -1
        else:
            assert reply[0] == "wait"
            assert patience > 0
            assert reply[2] == len(ahead)
            assert None in waits or min(wait for wait in waits if wait is not None and wait >= 0) <= patience
        if patience < 0:
            self.queue = [one for one in self.queue if one is not mine]
        elif mine:
            mine.deadline = now + TICKET
        else:
            self.queue.append(Waiting(ticket, tokens, cost, now + TICKET))
        return multiple()

    def places(self, one: Known) -> float:
        return max(self.concurrency - len(one.held), 0) if self.concurrency else float("inf")

    def until_room(self, one: Known, tokens: int, cost: int) -> int | None:
        """Milliseconds; -1 never, None: nobody knows."""
        refusals = one.scope.refusals(tokens, cost, self.clock.now).values() if one.scope else []
        if -1 in refusals:
            return -1
        if not self.places(one) or 0 in refusals or one.scope is None:
            return None
        return max(refusals, default=0)

    def lent(self, chosen: Known, ticket: str, tokens: int, cost: int, reply: list[Any]) -> Any:
        now = self.clock.now
        self.turns.remove(chosen)
        self.turns.append(chosen)
        chosen.held[ticket] = now + PLACE
        entry = {"at": now, "requests": 1, "tokens": tokens, "cost": cost}
        if chosen.scope is None:
            assert len(reply) == 6
        else:
            chosen.scope.requests.append(entry)
            chosen.scope.places[ticket] = now + PLACE
            alias, row = reply[6:]
            assert chosen.scope.name == f"credential:up/{alias}"
            assert row[0] == chosen.used("requests", MINUTE, now)
            assert row[6] == chosen.scope.at_it(now)
        return ticket, chosen.id, entry

    @rule(
        lease=consumes(leases),
        tokens=sampled_from([0, 2, 9, 35]),
        cost=sampled_from([0, 3, 20, 60]),
        used=booleans(),
    )
    def ends(self, lease: Any, tokens: int, cost: int, used: bool) -> None:
        """It is given back and settled; or nobody ever used it."""
        ticket, id_, entry = lease
        one = self.known[id_]
        self.clock.run(
            script.RETURN, ticket, id_, 1, *(OK if used else OK._replace(outcome="unused")), "", "", prefix=UP
        )
        one.held.pop(ticket, None)
        if not used:
            tokens = cost = 0
        counted = self.clock.run(script.SETTLE, ticket, tokens, cost, int(used), MINUTE, 0 if used else RECORD)
        assert counted == int(one.scope is not None)
        if one.scope is not None:
            entry |= {"tokens": tokens, "cost": cost, "requests": int(used)}
            del one.scope.places[ticket]
        if not used and self.limited:
            assert self.take(ticket, 1, 1, 0) == ["refused"]  # it comes late

    @rule(number=integers(0, 5))
    def hang_up(self, number: int) -> None:
        if self.queue:
            self.clock.run(script.LEAVE, self.queue.pop(number % len(self.queue)).ticket, prefix=UP)

    @rule(milliseconds=sampled_from([1, 999, 2000, 14_999, 30_000, 59_999, 60_001, 3_500_000, 43_200_000, DAY]))
    def time_passes(self, milliseconds: int) -> None:
        self.clock.move(milliseconds)

    @invariant()
    def redis_and_the_model_agree(self) -> None:
        if not hasattr(self, "clock"):
            return
        now = self.clock.now
        assert self.redis.zrange(f"{UP}ring", 0, -1) == [one.id for one in self.turns]
        alive = [one.ticket for one in self.queue if one.deadline > now]
        assert [ticket for ticket in self.redis.zrange(f"{UP}queue", 0, -1) if ticket in alive] == alive
        for one in self.turns:
            if one.scope is None:
                continue
            _, _, row = self.clock.run(script.FULLNESS, MINUTE, 0, 0, one.scope.name)
            sums = [one.used(what, length, now) for length in (MINUTE, DAY) for what in ("requests", "tokens")]
            assert row[:6] == [one.scope.name, *sums, one.scope.at_it(now)]
            limits = one.scope.limits
            assert not limits.concurrency or one.scope.at_it(now) <= limits.concurrency


def test_lending_within_limits_does_what_the_model_says(running_redis):
    global _server  # noqa: PLW0603  # hypothesis makes the machine without arguments
    _server = running_redis
    plan = settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Lending, settings=plan)
    with redis_py.Redis.from_url(running_redis.url) as client:
        client.flushall()
