"""What an `.env` comes to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from parley.catalog import Upstream
from parley.configuration.environment import read_settings, upstreams_of


def found(**environment: Any) -> list[Upstream]:
    """The upstreams that an `.env` of these lines makes."""
    lines = {name: value if isinstance(value, str) else json.dumps(value) for name, value in environment.items()}
    Path(".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    return list(upstreams_of(read_settings()).upstreams)


def clear(upstream: Upstream) -> list[dict[str, str]]:
    """The parts of its credentials, as they are."""
    return [{name: part.reveal() for name, part in plan.parts.items()} for plan in upstream.credentials]
