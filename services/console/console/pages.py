"""Pages for the inside network, which the front does not pass on: health, and figures for Prometheus."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from console.parts import Here
from parley.metrics import CONTENT_TYPE
from parley.troubles import troubles

router = APIRouter(include_in_schema=False)


@router.get("/health/live")
async def live() -> dict[str, Any]:
    """Whether the process is alive, whatever else is not."""
    return {"status": "ok"}


@router.get("/health/ready")
async def ready(here: Here) -> dict[str, Any]:
    """Whether requests are served, and what is degraded and why."""
    degraded = [trouble._asdict() for trouble in troubles(here.state.fleet.status())]
    return {"status": "degraded" if degraded else "ok", "degraded": degraded, "replica": here.name}


@router.get("/metrics")
async def metrics(request: Request, here: Here) -> Response:
    """Figures for Prometheus. What came through a proxy finds nothing."""
    if "x-forwarded-for" in request.headers:
        raise HTTPException(404)
    return Response(here.figures.page(), media_type=CONTENT_TYPE)
