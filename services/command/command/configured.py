"""The configuration of this place, read as the services read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parley.configuration import read_catalog
from parley.configuration.environment import read_settings
from parley.providers import make_providers
from parley.settings import ConfigurationError
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets


@dataclass
class Reading:
    """What was read from where, and what came of it."""

    places: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    advice: tuple[str, ...] = ()
    problem: str | None = None
    """Why the services would refuse to start."""


def reading(told: Mapping[str, Any]) -> Reading:
    """What the services would make of environment and files; `told`: settings that are decided here."""
    found = Reading()
    try:
        settings = read_settings(**told)
        found.places[".env"] = "read" if Path(".env").is_file() else "not there"
        for name in ("parley_config", "parley_model_config"):
            path: Path = getattr(settings, name)
            found.places[name.upper()] = f"{path}{'' if path.is_file() else ', not there'}"
        configured = read_catalog(settings)
        # Whoever speaks to an upstream checks what is said of it; nobody is asked.
        make_providers(configured.catalog, Net(HTTP(), WebSockets(), Browser()))
    except ConfigurationError as problem:
        found.problem = str(problem)
        return found
    catalog = configured.catalog
    found.advice = configured.advice
    found.counts = {
        "upstreams": len(catalog.upstreams),
        "credentials": sum(len(upstream.credentials) for upstream in catalog.upstreams.values()),
        "routes": len(catalog.routes),
        "keys": len({caller.name for caller in catalog.callers.values()}),
    }
    return found
