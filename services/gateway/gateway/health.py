"""How this process is, and what it stands on. It asks nobody: what is known already is all there is to say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Health:
    """The contents of the health pages."""

    replica: str
    version: str
    open_to_anybody: bool
    status: Callable[[], dict[str, Any]]
    """How Redis, the fleet and every upstream stand (`parley.state.fleet`), without asking anybody."""

    def ready(self) -> dict[str, Any]:
        """Whether requests are served, and what is degraded. A degraded gateway is ready: it serves what it can."""
        return self._ready(self.status())

    def outside(self) -> dict[str, Any]:
        """What anybody may know."""
        return self._outside(self.status())

    def whole(self) -> dict[str, Any]:
        """Everything worth knowing at a glance."""
        status = self.status()
        return {**self._outside(status), **status}

    def _outside(self, status: dict[str, Any]) -> dict[str, Any]:
        report = {**self._ready(status), "version": self.version, "authentication": "key"}
        if self.open_to_anybody:
            report["authentication"] = "off"
            report["warning"] = "Anybody who can reach this address may use it. Set API_MASTER_KEY to ask for a key."
        return report

    def _ready(self, status: dict[str, Any]) -> dict[str, Any]:
        degraded = [{"what": what, "why": why} for what, why in _troubles(status)]
        return {"status": "degraded" if degraded else "ok", "degraded": degraded, "replica": self.replica}


def _troubles(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What works less well than it should, and what that means for callers."""
    redis = status["redis"]["status"]
    if redis != "ok":
        yield "redis", f"Redis is {redis}: this gateway lends credentials by its own share of each limit."
    elif not any(name.startswith("keeper-") for name in status["processes"]):
        yield "keeper", "No keeper is alive: gateways renew credentials and open sessions themselves, when asked."
    for name, upstream in status["upstreams"].items():
        if upstream is None:
            continue
        if upstream["resting"]:
            yield f"upstream {name}", f"It rests: {upstream['resting']['reason']}."
        elif upstream["credentials"] and not any(row["state"] == "ok" for row in upstream["credentials"]):
            yield f"upstream {name}", "None of its credentials can be used now."
