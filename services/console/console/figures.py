"""What a console tells Prometheus (docs/metrics.md has a line on each)."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Final

from parley.metrics import Counter, Figure, Gauge, of_this_process, page

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Figures:
    """Counted here, read at `/metrics`."""

    def __init__(self, redis_up: Callable[[], bool], revision: Callable[[], int]) -> None:
        self._requests = Counter("parley_admin_requests_total", "Requests to the console.", ("method", "status"))
        self._all: tuple[Figure, ...] = (
            self._requests,
            Gauge.of("parley_configuration_revision", "The revision of the configuration in force here.", revision),
            Gauge.of("parley_redis_up", "Whether Redis answers in time (1) or not (0).", redis_up),
            Gauge("parley_info", "The version that runs.", lambda: [((version("parley"),), 1)], ("version",)),
            *of_this_process(),
        )

    def answered(self, method: str, status: int) -> None:
        """Count an answer."""
        self._requests.add((method if method in _METHODS else "other", str(status)))

    def page(self) -> bytes:
        """What there is to read."""
        return page(*self._all)
