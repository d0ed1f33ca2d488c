"""What works less well than it should, told from how everything stands (`parley.state.fleet`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple


class Trouble(NamedTuple):
    """One of them, and what it means for callers."""

    what: str
    why: str


def troubles(status: dict[str, Any]) -> Iterator[Trouble]:
    """Everything that is in trouble."""
    redis = status["redis"]["status"]
    if redis != "ok":
        yield Trouble("redis", f"Redis is {redis}: a gateway lends credentials by its own share of each limit.")
    elif not any(name.startswith("keeper-") for name in status["processes"]):
        yield Trouble("keeper", "No keeper is alive: gateways renew credentials and open sessions themselves.")
    if problem := status.get("configuration", {}).get("problem"):
        yield Trouble("configuration", f"The newest one cannot be used here, the one before is in force: {problem}")
    for name, upstream in status["upstreams"].items():
        if upstream is None:
            continue
        if upstream["resting"]:
            yield Trouble(f"upstream {name}", f"It rests: {upstream['resting']['reason']}.")
        elif upstream["credentials"] and not any(row["state"] == "ok" for row in upstream["credentials"]):
            yield Trouble(f"upstream {name}", "None of its credentials can be used now.")
