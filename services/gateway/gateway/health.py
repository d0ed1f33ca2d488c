"""How this process is, and what it stands on. It asks nobody: what is known already is all there is to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from parley.troubles import troubles


@dataclass(frozen=True, slots=True)
class Health:
    """The contents of the health pages."""

    replica: str
    version: str
    open_to_anybody: Callable[[], bool]
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
        if self.open_to_anybody():
            report["authentication"] = "off"
            report["warning"] = "Anybody who can reach this address may use it. Set API_MASTER_KEY to ask for a key."
        return report

    def _ready(self, status: dict[str, Any]) -> dict[str, Any]:
        degraded = [trouble._asdict() for trouble in troubles(status)]
        return {"status": "degraded" if degraded else "ok", "degraded": degraded, "replica": self.replica}
