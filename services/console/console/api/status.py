"""How everything stands: `/status`, `/processes`."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from console.listing import Page, Paging, page
from console.parts import Here
from parley.clock import monotonic
from parley.state.fleet import heard_of
from parley.troubles import troubles

router = APIRouter(tags=["status"])


class Redis(BaseModel):
    """The shared state."""

    status: Annotated[Literal["ok", "slow", "gone"], Field(description="slow: connected, and not in time.")]
    since: Annotated[float, Field(description="Since when.")]


class Configuration(BaseModel):
    """The configuration in force in this console; every process looks four times a second."""

    revision: Annotated[int, Field(description="0: environment and files, without any change.")]
    confirmed: Annotated[
        float | None, Field(description="Seconds since Redis said that there is none newer; null: it never did.")
    ]
    problem: Annotated[str | None, Field(description="Why the newest revision is not in force here.")]


class Problem(BaseModel):
    """Something that works less well than it should."""

    what: str
    why: Annotated[str, Field(description="And what that means for callers.")]


class Status(BaseModel):
    """Everything at a glance."""

    object: Literal["status"] = "status"
    version: str
    console: Annotated[str, Field(description="The process that answers.")]
    redis: Redis
    processes: Annotated[dict[str, int], Field(description="How many are alive, by what they are.")]
    upstreams: int
    leases: Annotated[int, Field(description="Answers under way, over all upstreams.")]
    waiting: Annotated[int, Field(description="Requests that wait for a credential.")]
    configuration: Configuration
    problems: list[Problem]


@router.get("/status")
async def get_status(here: Here) -> Status:
    """Everything at a glance, as of the last second. It asks nobody, so that it is told without Redis, too."""
    status = here.state.fleet.status()
    seen = [upstream for upstream in status["upstreams"].values() if upstream is not None]
    roles: dict[str, int] = {}
    for name in status["processes"]:
        role = name.partition("-")[0]
        roles[role] = roles.get(role, 0) + 1
    return Status(
        version=version("parley"),
        console=here.name,
        redis=Redis(**status["redis"]),
        processes=roles,
        upstreams=len(here.offer.catalog.upstreams),
        leases=sum(upstream["leases"] for upstream in seen),
        waiting=sum(upstream["waiting"] for upstream in seen),
        configuration=Configuration(
            revision=here.live.revision,
            confirmed=_ago(here.live.confirmed),
            problem=here.live.problem or None,
        ),
        problems=[Problem(**trouble._asdict()) for trouble in troubles(status)],
    )


def _ago(moment: float) -> float | None:
    return round(monotonic() - moment, 3) if math.isfinite(moment) else None


class Process(BaseModel):
    """One process of the fleet."""

    object: Literal["process"] = "process"
    name: Annotated[str, Field(description="As in logs, leases and Redis' list of clients.")]
    role: Annotated[str, Field(description="gateway, keeper or console.")]
    host: str
    pid: int | None
    heard_of: Annotated[float, Field(description="Seconds since it last said that it lives; it does every second.")]


@router.get("/processes")
async def list_processes(here: Here, paging: Annotated[Paging, Query()]) -> Page[Process]:
    """Every process that is alive, by name."""
    living = await heard_of(here.state.line)
    return page((_process(name, ago) for name, ago in living.items()), paging, lambda row: (row.name,))


def _process(name: str, ago: float) -> Process:
    role, _, rest = name.partition("-")
    host, _, number = rest.rpartition("-")[0].rpartition("-")
    return Process(name=name, role=role, host=host, pid=int(number) if number.isdigit() else None, heard_of=ago)
