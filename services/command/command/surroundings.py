"""What `parley up` itself reads: the environment over the `.env` of the working folder. Empty means unset.

The gateways and the keeper read the same two places by themselves; nothing is copied from `.env` into their
environment except what is decided here for all of them (Redis, the state folder).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

KEY_NAMES = ("API_MASTER_KEY", "API_KEY")


def surroundings(folder: Path) -> dict[str, str]:
    """Every setting that has a value."""
    beside = dotenv_values(folder / ".env", interpolate=False)
    return {name: value for name, value in {**beside, **os.environ}.items() if value}


def key_to_paste(settings: Mapping[str, str]) -> str | None:
    """Shell words that stand for the key, for a curl line: where it is, never what it is. None: there is no key."""
    name = next((name for name in KEY_NAMES if settings.get(name)), None)
    if name is None or os.environ.get(name):
        return name and f"${name}"
    return f"$(sed -n 's/^{name}=//p' .env | tr -d \"\\\"'\")"
