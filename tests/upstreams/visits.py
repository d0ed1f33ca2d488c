"""Who came to a stand-in: requests and concurrency per credential, and connections."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from aiohttp import web


class Visits:
    """`stats()` tells, per credential, how many came, how many are here now, the most at once, and when each came."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}
        self._connections: WeakSet[Any] = WeakSet()
        self._opened = 0

    def forget(self) -> None:
        """Start counting anew; visits that still run end in the old count."""
        self._rows = {}
        self._connections = WeakSet()
        self._opened = 0

    @contextmanager
    def of(self, credential: str, request: web.Request) -> Iterator[None]:
        """One request by this credential, for as long as its answer takes."""
        self.connection(request)
        row = self._rows.setdefault(credential, {"requests": 0, "now": 0, "most": 0, "at": []})
        row["requests"] += 1
        row["now"] += 1
        row["most"] = max(row["most"], row["now"])
        row["at"].append(time.time())
        try:
            yield
        finally:
            row["now"] -= 1

    def connection(self, request: web.Request) -> None:
        """Count the connection under this request, once."""
        if request.transport is not None and request.transport not in self._connections:
            self._connections.add(request.transport)
            self._opened += 1

    def since(self, credential: str, seconds: float) -> int:
        """How many requests of this credential came in the last `seconds`."""
        start = time.time() - seconds
        return sum(at > start for at in self._rows.get(credential, {"at": []})["at"])

    def stats(self) -> dict[str, Any]:
        alive = sum(not transport.is_closing() for transport in self._connections)
        return {"credentials": self._rows, "connections": {"opened": self._opened, "open": alive}}
