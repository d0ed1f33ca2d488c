"""The resources of the admin API: a file each, with a router."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter

from console.api import audit, credentials, limits, probes, requests, rests, sessions, status, usage

ROUTERS: Final[tuple[APIRouter, ...]] = (
    status.router,
    credentials.router,
    probes.router,
    rests.router,
    sessions.router,
    limits.router,
    usage.router,
    requests.router,
    audit.router,
)

TAGS: Final[tuple[dict[str, Any], ...]] = (
    {"name": "status", "description": "How everything stands: Redis, processes, the configuration in force."},
    {"name": "credentials", "description": "Credentials of upstreams: health, leases, rests, tests."},
    {"name": "sessions", "description": "Warm sessions that the keeper holds ready."},
    {"name": "limits", "description": "What keys, models and credentials may still use."},
    {"name": "usage", "description": "What was used, by key, model, upstream and credential."},
    {"name": "requests", "description": "What became of requests of the last hour, attempt by attempt."},
    {"name": "audit", "description": "What operators changed."},
)
