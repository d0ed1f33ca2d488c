"""What a keeper tells Prometheus (docs/metrics.md has a line on each).

What the fleet shares (upstreams, credentials, queues, pools) is told here and by no gateway, so that a sum over
gateways counts nothing twice. Several keepers see the same: `max` is right over them.
"""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

from parley.metrics import Counter, Figure, Gauge, Sample, of_this_process, page

_ONE = ("parley_upstream",)


class Figures:
    """Counted here, read at `/metrics`. `status` is how everything stands (`parley.state.fleet`)."""

    def __init__(self, status: Callable[[], dict[str, Any]], holds_baton: Callable[[], bool]) -> None:
        self._status = status
        self._rounds = Counter(
            "parley_keeper_rounds_total",
            "Rounds of the keeper's loops; result is done or failed.",
            ("parley_chore", "parley_upstream", "result"),
        )

        def of_upstreams(name: str, about: str, read: Callable[[dict[str, Any]], float]) -> Gauge:
            return Gauge(name, about, lambda: (((upstream,), read(told)) for upstream, told in self._upstreams()), _ONE)

        self._all: tuple[Figure, ...] = (
            Gauge.of("parley_keeper_baton", "Whether this keeper is the one that works (1).", holds_baton),
            self._rounds,
            Gauge.of("parley_redis_up", "Whether Redis answers in time (1) or not (0).", self._redis_up),
            Gauge("parley_processes", "Processes that are alive.", self._processes, ("role",)),
            of_upstreams(
                "parley_upstream_resting", "Whether the whole upstream rests (1).", lambda told: bool(told["resting"])
            ),
            of_upstreams("parley_upstream_waiting", "Requests that wait for it.", lambda told: told["waiting"]),
            of_upstreams("parley_upstream_leases", "Credentials that are lent out.", lambda told: told["leases"]),
            of_upstreams("parley_upstream_sessions_ready", "Warm sessions.", lambda told: told["sessions"]["ready"]),
            of_upstreams(
                "parley_upstream_sessions_to_close", "Sessions to be closed.", lambda told: told["sessions"]["to_close"]
            ),
            Gauge("parley_credentials", "Credentials by how they stand.", self._credentials, (*_ONE, "state")),
            Gauge("parley_info", "The version that runs.", lambda: [((version("parley"),), 1)], ("version",)),
            *of_this_process(),
        )

    def went_round(self, chore: str, upstream: str, failed: bool) -> None:
        """Count a round."""
        self._rounds.add((chore, upstream, "failed" if failed else "done"))

    def page(self) -> bytes:
        """What there is to read."""
        return page(*self._all)

    def _upstreams(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, told in self._status()["upstreams"].items():
            if told is not None:
                yield name, told

    def _credentials(self) -> Iterator[Sample]:
        for name, told in self._upstreams():
            for state, count in Count(row["state"] for row in told["credentials"]).items():
                yield (name, state), count

    def _processes(self) -> Iterator[Sample]:
        for role, count in Count(name.partition("-")[0] for name in self._status()["processes"]).items():
            yield (role,), count

    def _redis_up(self) -> float:
        return float(self._status()["redis"]["status"] == "ok")
