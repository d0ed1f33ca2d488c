"""The doctor: examines nginx from outside, as a client meets it, and names the directive that is at fault."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from console.parts import Here
from console.refusals import NotNow
from parley.doctor import examine
from parley.sealed import Secret
from parley.settings import Settings

router = APIRouter(tags=["status"])

_one_at_a_time = asyncio.Lock()


class Examined(BaseModel):
    """One question, and its answer."""

    name: str
    verdict: Annotated[Literal["ok", "fault", "unknown"], Field(description="unknown: it could not be told this time.")]
    sentence: str
    directive: Annotated[str | None, Field(description="The directive of nginx.conf that is at fault.")]
    remedy: str | None
    figures: dict[str, float | str]


class Examination(BaseModel):
    """What the doctor found (docs/doctor.md)."""

    model_config = ConfigDict(extra="ignore")

    object: Literal["examination"] = "examination"
    verdict: Literal["ok", "fault", "unknown"]
    url: str
    gateways: list[str]
    requests: Annotated[int, Field(description="How many it sent. They go to no upstream.")]
    seconds: float
    checks: list[Examined]


@router.post("/doctor", responses={409: {}})
async def examine_front(here: Here) -> Examination:
    """Examine the front now: some 50 to 300 requests in about ten seconds, one examination at a time."""
    if _one_at_a_time.locked():
        raise NotNow("Another examination is under way; it takes some ten seconds.")
    async with _one_at_a_time:
        master = here.settings.master_key
        report = await examine(_front(here.settings), Secret(master.get_secret_value()) if master else None)
        found: dict[str, Any] = report.as_json()
        return Examination.model_validate(found)


def _front(settings: Settings) -> str:
    if settings.parley_url:
        return settings.parley_url
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.nginx_bind, settings.nginx_bind)  # noqa: S104  # the word for everywhere
    return f"http://{host}:{settings.nginx_port}"
