"""lease_take and lease_return against a model that is simple enough to believe: hypothesis tries to tell them apart."""

from __future__ import annotations

import itertools
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
from hypothesis.strategies import booleans, integers, lists, sampled_from

from parley.state import keys, script
from parley.state.verdict import ABORTED, OK, Verdict
from tests.servers import RedisServer

THROTTLED = Verdict("failed", "credential", 600_000, 900_000, 0, 1, "rate_limit_exceeded")
EXPIRED = Verdict("failed", "credential", 0, 0, 0, 1, "upstream_credential_expired")
BROKEN = Verdict("failed", "upstream", 0, 0, 0, 1, "upstream_error")
CHALLENGED = Verdict("failed", "upstream", 600_000, 900_000, 0, 1, "upstream_challenge")

_server: RedisServer | None = None


class Lending(RuleBasedStateMachine):
    """Time does not pass in it: a lease lives for a day, a rest for ten minutes. What moves is who has what."""

    leases = Bundle("leases")

    @initialize(
        credentials=integers(1, 4), concurrency=integers(0, 2), pace=sampled_from([0, 3, 6]), queue=integers(0, 3)
    )
    def start(self, credentials: int, concurrency: int, pace: int, queue: int) -> None:
        assert _server is not None
        self.redis = redis_py.Redis.from_url(_server.url, decode_responses=True)
        self.redis.flushall()
        self.prefix = keys.prefix("up")
        self.concurrency, self.pace, self.queue_length = concurrency, pace, queue
        self.ring = [f"{number:012x}" for number in range(credentials)]
        self.run(script.ENROLL, *itertools.chain(*((id_, id_, 0, "sealed", "", "ok") for id_ in self.ring)))
        self.ids = itertools.count(1)
        # The model
        self.turns = list(self.ring)  # whoever is first was lent longest ago
        self.held: dict[str, set[str]] = {id_: set() for id_ in self.ring}
        self.paced = dict.fromkeys(self.ring, 0)
        self.resting: set[str] = set()
        self.expired: set[str] = set()
        self.renewing: set[str] = set()
        self.generation = dict.fromkeys(self.ring, 1)
        self.upstream_rests = False
        self.queue: list[str] = []
        self.counts = {"taken": 0, "returned": 0, "late": 0}

    def teardown(self) -> None:
        if hasattr(self, "redis"):
            self.redis.close()

    def run(self, what: script.Script, *arguments: Any) -> Any:
        return self.redis.eval(what.text, 1, self.prefix, *arguments)

    def room(self, id_: str) -> float:
        if id_ in self.resting | self.expired:
            return 0
        room = float("inf")
        if self.concurrency:
            room = self.concurrency - len(self.held[id_])
        if self.pace:
            room = min(room, self.pace - self.paced[id_])
        return max(room, 0)

    def take(self, ticket: str, avoid: list[str], renews: bool, patience: int) -> list[Any]:
        facts = (86_400_000, 1000, self.concurrency, self.pace, 60_000, patience, self.queue_length, 60_000, 0)
        return self.run(script.TAKE, ticket, *facts, 60_000 if renews else 0, "", ",".join(avoid), "")

    @rule(
        target=leases,
        waiting=integers(0, 10),
        avoid=lists(integers(0, 3), max_size=3),
        renews=booleans(),
        patience=sampled_from([0, 30_000]),
    )
    def lend(self, waiting: int, avoid: list[int], renews: bool, patience: int) -> Any:
        ticket = self.queue[waiting] if waiting < len(self.queue) else f"lease-{next(self.ids)}"
        avoided = [self.ring[number] for number in avoid if number < len(self.ring)]
        reply = self.take(ticket, avoided, renews, patience)
        ahead = self.queue.index(ticket) if ticket in self.queue else len(self.queue)

        def leaves() -> None:
            if ticket in self.queue:
                self.queue.remove(ticket)

        if self.upstream_rests:
            assert reply[0] == "resting"
            assert reply[2] == CHALLENGED.reason
            leaves()
            return multiple()
        usable = [id_ for id_ in self.turns if self.room(id_)]
        if sum(self.room(id_) for id_ in usable) > ahead:
            wanted = [id_ for id_ in usable if id_ not in avoided] or usable
            assert reply[:2] == ["lent", wanted[0]]
            assert int(reply[2]) == self.generation[wanted[0]]
            leaves()
            self.turns.remove(wanted[0])
            self.turns.append(wanted[0])
            self.held[wanted[0]].add(ticket)
            self.paced[wanted[0]] += bool(self.pace)
            self.counts["taken"] += 1
            return (ticket, wanted[0], self.generation[wanted[0]])
        renewable = [id_ for id_ in self.turns if id_ in self.expired - self.renewing - self.resting]
        if renews and renewable:
            assert reply[:2] == ["renew", renewable[0]]
            self.renewing.add(renewable[0])
            if ticket not in self.queue:
                self.queue.append(ticket)
            return multiple()
        alive = [id_ for id_ in self.ring if id_ not in self.resting | (self.expired - self.renewing)]
        if not alive:
            assert reply[0] == "resting"
            leaves()
        elif not patience or (ticket not in self.queue and len(self.queue) >= self.queue_length):
            assert reply[0] == "full"
            leaves()
        elif reply[0] == "full":  # pacing says that it cannot be in time: only where nothing but pacing is in the way
            assert self.pace
            assert not any(id_ in self.renewing for id_ in alive)
            leaves()
        else:
            assert reply[0] == "wait"
            assert reply[2] == ahead
            if ticket not in self.queue:
                self.queue.append(ticket)
        return multiple()

    @rule(lease=consumes(leases), found=sampled_from([OK, OK, ABORTED, THROTTLED, EXPIRED, BROKEN, CHALLENGED]))
    def give_back(self, lease: tuple[str, str, int], found: Verdict) -> None:
        ticket, id_, generation = lease
        assert self.run(script.RETURN, ticket, id_, generation, *found, "", "") == 1
        self.held[id_].discard(ticket)
        self.counts["returned"] += 1
        self.learn(id_, generation, found)
        assert self.run(script.RETURN, ticket, id_, generation, *ABORTED, "", "") == 0  # a second time
        self.counts["late"] += 1

    def learn(self, id_: str, generation: int, found: Verdict) -> None:
        if found is THROTTLED:
            self.resting.add(id_)
        elif found is EXPIRED and generation == self.generation[id_]:
            self.expired.add(id_)
        elif found is CHALLENGED:
            self.upstream_rests = True

    @rule(number=integers(0, 3))
    def renewed(self, number: int) -> None:
        if not self.renewing:
            return
        id_ = sorted(self.renewing)[number % len(self.renewing)]
        fence = self.redis.hget(f"{self.prefix}cred:{id_}", "fence")
        assert self.run(script.RENEWED, id_, int(fence) - 1, "stale", 1) is None
        self.generation[id_] += 1
        assert self.run(script.RENEWED, id_, fence, "fresh", 1) == [self.generation[id_], 1]
        self.renewing.discard(id_)
        self.expired.discard(id_)

    @rule(number=integers(0, 3))
    def hang_up(self, number: int) -> None:
        if self.queue:
            ticket = self.queue.pop(number % len(self.queue))
            assert self.run(script.LEAVE, ticket) == 1

    @rule()
    def the_rests_end(self) -> None:
        """Somebody succeeds once they are over; here both at once."""
        for id_ in self.resting:
            self.redis.hdel(f"{self.prefix}cred:{id_}", "until", "strikes", "reason")
        self.redis.delete(f"{self.prefix}rest")
        self.resting.clear()
        self.upstream_rests = False

    @invariant()
    def redis_and_the_model_agree(self) -> None:
        if not hasattr(self, "redis"):
            return
        assert {id_: set(self.redis.zrange(f"{self.prefix}held:{id_}", 0, -1)) for id_ in self.ring} == self.held
        assert self.redis.zrange(f"{self.prefix}queue", 0, -1) == self.queue
        assert self.redis.zcard(f"{self.prefix}alive") == len(self.queue)
        assert self.redis.zrange(f"{self.prefix}ring", 0, -1) == self.turns
        counts = {name: int(self.redis.hget(f"{self.prefix}counts", name) or 0) for name in self.counts}
        assert counts == self.counts
        held = sum(len(leases) for leases in self.held.values())
        assert counts["taken"] == counts["returned"] + held


def test_lending_does_what_the_model_says(running_redis):
    global _server  # noqa: PLW0603  # hypothesis makes the machine without arguments
    _server = running_redis
    plan = settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Lending, settings=plan)
    with redis_py.Redis.from_url(running_redis.url) as client:
        client.flushall()
