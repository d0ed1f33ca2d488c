"""The measurements. Each returns plain facts (numbers in named dictionaries) and judges nothing.

What is compared is measured in turns, there and back (nginx, Parley, Parley, nginx, ...), several short times. Costs
are compared within each turn, and the median of these ratios counts: a machine that others use too drifts, and a drift
must not meet only one of the two.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import native
import trees
from redis import Redis
from subjects import ROUTED, Subject

GAP_MS = 50
UNARY = "bench-c16"
SHORT = "bench-c4-g10"
PACED = f"bench-c80-g{GAP_MS}"
LONG = f"bench-c100-g{GAP_MS}"
MODELS = [UNARY, SHORT, PACED, LONG]

Facts = dict[str, Any]


@dataclass(frozen=True)
class Effort:
    """How long and how often to measure."""

    repetitions: int
    warm_seconds: float
    cost_seconds: float
    latency_seconds: float
    token_seconds: float
    crowds: tuple[int, ...]
    crowd_of_nginx_too: bool
    growth_requests: int
    tries: int = 2  # of a crowd


FULL = Effort(5, 1, 2.5, 3, 3, (500, 1000), True, 20_000)
QUICK = Effort(3, 0.5, 1.5, 2, 1.5, (500, 1000), False, 1_000, tries=1)


def body(model: str) -> Facts:
    """A chat as it is asked: a system message and a question of two lines."""
    asked: Facts = {
        "model": model,
        "messages": [
            {
                "role": "system",
                "content": "You are a helpful assistant. Answer in one short paragraph.",
            },
            {
                "role": "user",
                "content": "Which animals jump over which others, how quickly, and does anybody mind? Why?",
            },
        ],
        "temperature": 0.7,
    }
    if "-g" in model:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    return asked


def tokens_in(model: str) -> int:
    return int(model.split("-")[1][1:])


class Bench:
    """The subjects, the cores of the load, the effort, and the tally of what went wrong anywhere."""

    def __init__(self, upstream: Subject, subjects: list[Subject], load_cores: set[int] | None, effort: Effort):
        self.upstream, self.subjects, self.effort = upstream, subjects, effort
        self.load_cores = load_cores
        self.errors: dict[str, list[str]] = {subject.name: [] for subject in (upstream, *subjects)}

    def ask(self, subject: Subject, model: str, **asked: Any) -> Facts:
        """One run of the load generator; answers that failed or broke off are remembered."""
        if "-g" in model:
            asked["chunks"] = tokens_in(model)
        ran = native.load(subject.port, body(model), subject.key, self.load_cores, **asked)
        if ran["failed"] or ran["incomplete"]:
            self.errors.setdefault(subject.name, []).append(
                f"{ran['failed']} failed, {ran['incomplete']} incomplete of {ran['started']} ({model}): "
                f"{ran['first_error']}"
            )
        return ran

    def in_turns(self, subjects: list[Subject], measure: Callable[[Subject], Facts]) -> dict[str, list[Facts]]:
        """The measurement of each subject, repeated: all of them once, then all again in the opposite order."""
        found: dict[str, list[Facts]] = {subject.name: [] for subject in subjects}
        for turn in range(self.effort.repetitions):
            for subject in subjects if turn % 2 == 0 else subjects[::-1]:
                found[subject.name].append(measure(subject))
        return found

    # ---- what a request costs -------------------------------------------------------------------------------------

    def warm_up(self) -> None:
        for subject in (self.upstream, *self.subjects):
            self.ask(subject, UNARY, connections=32, seconds=self.effort.warm_seconds)
            self.ask(subject, SHORT, connections=32, seconds=self.effort.warm_seconds / 2)

    def cost_of_unary(self) -> Facts:
        """CPU per request, 32 at a time, as fast as they are answered."""

        def measure(subject: Subject) -> Facts:
            before = _cpu(subject)
            ran = self.ask(subject, UNARY, connections=32, seconds=self.effort.cost_seconds)
            return _since(before, subject, 1000 / max(1, ran["completed"])) | {
                "per_second": ran["per_second"],
                "p50_ms": ran["latency_us"]["p50"] / 1000 if ran["completed"] else None,
            }

        return _costs(self.in_turns([self.upstream, *self.subjects], measure))

    def cost_of_limits(self, parley: Subject) -> Facts:
        """The same for Parley alone: without the limits of a key (those of models stay), with them, and by a route."""
        plain = replace(parley, name="no_key_limits", key=parley.master_key)
        routed = replace(parley, name="routed")

        def measure(subject: Subject) -> Facts:
            before = _cpu(subject)
            model = ROUTED if subject is routed else UNARY
            ran = self.ask(subject, model, connections=32, seconds=self.effort.cost_seconds)
            return _since(before, subject, 1000 / max(1, ran["completed"]))

        return _medians(self.in_turns([plain, parley, routed], measure))

    def cost_of_chunks(self, streams: int = 200) -> Facts:
        """CPU per 1,000 chunks of paced streams, the requests themselves included."""

        def measure(subject: Subject) -> Facts:
            before = _cpu(subject)
            ran = self.ask(subject, PACED, connections=streams, requests=streams, ramp=800)
            return _since(before, subject, 1e6 / max(1, ran["tokens"])) | _delays(ran)

        return _costs(self.in_turns(self.subjects, measure))

    # ---- how long it takes ----------------------------------------------------------------------------------------

    def latency_of_unary(self, rate: int = 100) -> Facts:
        """Latency at a fixed rate; "added" is to the upstream asked directly in the same turn."""

        def measure(subject: Subject) -> Facts:
            ran = self.ask(subject, UNARY, rate=rate, seconds=self.effort.latency_seconds)
            return _p50_p99(ran, "latency_us")

        return _added(self.in_turns([self.upstream, *self.subjects], measure)) | {"rate": rate}

    def first_token(self) -> Facts:
        """Time to the first token of short streams, at a third of the highest rate that Parley reaches with them."""
        highest = self.ask(self.subjects[-1], SHORT, connections=100, seconds=self.effort.token_seconds)["per_second"]
        rate = max(1, round(highest / 3))

        def measure(subject: Subject) -> Facts:
            return _p50_p99(self.ask(subject, SHORT, rate=rate, seconds=self.effort.token_seconds), "first_token_us")

        return _added(self.in_turns([self.upstream, *self.subjects], measure)) | {"rate": rate, "highest": highest}

    # ---- how many it keeps up -------------------------------------------------------------------------------------

    def crowd(self, subject: Subject, streams: int, tries: int) -> Facts:
        """Many paced streams at once. Kept up: no error, and the 99th of 100 chunks is less than one gap late.

        A disturbance from outside can spoil one try, so a spoilt one is repeated, and told.
        """
        for tried in range(1, tries + 1):
            spoilt = len(self.errors[subject.name])
            peak = [trees.memory_mb(subject.tree)]
            before = _cpu(subject)
            ran = self.ask(
                subject, LONG, connections=streams, requests=streams, ramp=2000,
                meanwhile=lambda peak=peak: peak.append(trees.memory_mb(subject.tree)),
            )  # fmt: skip
            delays = _delays(ran)
            kept = not ran["failed"] and not ran["incomplete"] and delays["delay_p99_ms"] < GAP_MS
            facts = {
                "kept_up": kept,
                "tries": tried,
                "failed": ran["failed"],
                "incomplete": ran["incomplete"],
                "chunks": ran["tokens"],
                "memory_mb": max(peak),
                "first_token_p99_ms": ran.get("first_token_us", {}).get("p99", 0) / 1000,
            }
            facts |= delays | _since(before, subject, 1e6 / max(1, ran["tokens"]))
            if kept:
                del self.errors[subject.name][spoilt:]
                break
            time.sleep(1)
        return facts

    # ---- what it holds --------------------------------------------------------------------------------------------

    def growth(self, subject: Subject) -> Facts:
        """How much a gateway process grows over 20,000 requests (fewer in a quick run), after having seen some."""
        replicas = subject.replicas
        before = [trees.memory_mb(replica) for replica in replicas]
        asked = self.effort.growth_requests * max(1, len(replicas))
        ran = self.ask(subject, UNARY, connections=32, requests=asked, seconds=60)
        grown = [trees.memory_mb(replica) - was for replica, was in zip(replicas, before, strict=True)]
        return {"requests_each": ran["completed"] // max(1, len(replicas)), "grown_mb": max(grown, default=0.0)}

    def redis_trips(self, subject: Subject, requests: int = 300) -> Facts:
        """What Redis is asked per request, one request at a time, less what it is asked in the same time anyway.

        A read event of Redis is a round trip (commands sent together arrive in one); its commands are told beside it.
        """
        with Redis.from_url(subject.redis_url) as redis:
            start = time.monotonic()
            first = _redis_counts(redis)
            self.ask(subject, UNARY, connections=1, requests=requests, seconds=20)
            time.sleep(0.2)  # what nobody waits for arrives too
            second, took = _redis_counts(redis), time.monotonic() - start
            time.sleep(took)
            third = _redis_counts(redis)
        per_request = {
            name: ((count - first.get(name, 0)) - (third.get(name, 0) - count)) / requests
            for name, count in second.items()
        }
        return {
            "round_trips": per_request.pop("reads"),
            "commands": {name: round(value, 2) for name, value in sorted(per_request.items()) if value > 0.05},
        }


def _cpu(subject: Subject) -> dict[str, float]:
    parts = {part: trees.cpu_seconds(pids) for part, pids in subject.parts.items()}
    return parts | {"tree": trees.cpu_seconds(subject.tree)}


def _since(before: dict[str, float], subject: Subject, scale: float) -> Facts:
    """CPU since `before`, scaled, of the tree and of each part."""
    used = {part: (now - before[part]) * scale for part, now in _cpu(subject).items()}
    return {"cpu_ms": used.pop("tree"), **{f"{part}_cpu_ms": value for part, value in used.items()}}


def _p50_p99(ran: Facts, what: str) -> Facts:
    samples = ran.get(what, {"p50": float("inf"), "p99": float("inf")})
    return {"p50_ms": samples["p50"] / 1000, "p99_ms": samples["p99"] / 1000}


def _delays(ran: Facts) -> Facts:
    nothing = {"p50": float("inf"), "p99": float("inf"), "max": float("inf")}
    delay, gap = ran.get("token_delay_us", nothing), ran.get("token_gap_us", nothing)
    facts = {f"delay_{name}_ms": delay[name] / 1000 for name in ("p50", "p99", "max")}
    return facts | {f"gap_{name}_ms": gap[name] / 1000 for name in ("p50", "p99", "max")}


def _medians(found: dict[str, list[Facts]]) -> Facts:
    return {
        name: {fact: statistics.median(turn[fact] or 0 for turn in turns) for fact in turns[0]}
        for name, turns in found.items()
    }


def _costs(found: dict[str, list[Facts]]) -> Facts:
    """Medians, and per subject the ratio of its cost to nginx's in each turn."""
    facts = _medians(found)
    for name, turns in found.items():
        facts[name]["ratios"] = [
            turn["cpu_ms"] / nginx["cpu_ms"] for turn, nginx in zip(turns, found["nginx"], strict=True)
        ]
        facts[name]["ratio"] = statistics.median(facts[name]["ratios"])
    return facts


def _added(found: dict[str, list[Facts]]) -> Facts:
    """Medians, and the medians of what each turn added to the upstream's own figure in that turn."""
    facts = _medians(found)
    for name, turns in found.items():
        for percentile in ("p50", "p99"):
            added = [
                turn[f"{percentile}_ms"] - bare[f"{percentile}_ms"]
                for turn, bare in zip(turns, found["upstream"], strict=True)
            ]
            facts[name][f"added_{percentile}_ms"] = statistics.median(added)
            facts[name][f"added_{percentile}_ms_by_turn"] = added
    return facts


def _redis_counts(redis: Redis) -> dict[str, float]:
    counts: dict[str, float] = {"reads": redis.info("stats")["total_reads_processed"]}
    for name, stats in redis.info("commandstats").items():
        counts[name.removeprefix("cmdstat_")] = stats["calls"]
    return counts
