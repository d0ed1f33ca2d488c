"""The resources of the admin API: a file each, with a router."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter

from console.api import (
    audit,
    configuration,
    credential_changes,
    credentials,
    doctor,
    keys,
    limits,
    model_limits,
    prices,
    probes,
    requests,
    rests,
    revisions,
    routes,
    sessions,
    settings,
    status,
    upstreams,
    usage,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    status.router,
    doctor.router,
    upstreams.router,
    credentials.router,
    credential_changes.router,
    probes.router,
    rests.router,
    sessions.router,
    routes.router,
    keys.router,
    model_limits.router,  # before the scopes of limits, one of which could be called like it
    limits.router,
    prices.router,
    settings.router,
    configuration.router,
    revisions.router,
    usage.router,
    requests.router,
    audit.router,
)

TAGS: Final[tuple[dict[str, Any], ...]] = (
    {"name": "status", "description": "How everything stands: Redis, processes, the configuration in force."},
    {"name": "upstreams", "description": "Upstreams as they are configured, with their credentials."},
    {"name": "credentials", "description": "Credentials of upstreams: health, leases, rests, tests."},
    {"name": "sessions", "description": "Warm sessions that the keeper holds ready."},
    {"name": "routes", "description": "Which upstreams serve a model name."},
    {"name": "keys", "description": "API keys of callers; each is told once, when it is made."},
    {"name": "limits", "description": "What keys, models and credentials may still use."},
    {"name": "prices", "description": "What tokens cost."},
    {"name": "settings", "description": "The default model."},
    {"name": "configuration", "description": "Everything as a whole: look at it, try changes, export, import."},
    {"name": "revisions", "description": "What was changed when, and how to go back."},
    {"name": "usage", "description": "What was used, by key, model, upstream and credential."},
    {"name": "requests", "description": "What became of requests of the last hour, attempt by attempt."},
    {"name": "audit", "description": "What operators changed."},
)
