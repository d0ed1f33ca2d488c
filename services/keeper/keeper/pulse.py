"""A sign of life for the container's health check: a file that the event loop touches every second."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from parley.clock import now

_STALE: Final = 15.0
"""Seconds without a touch after which a keeper counts as hung."""


def _file() -> Path:
    # Per user and in the temporary folder: it must not survive a restart, and needs no volume.
    return Path(tempfile.gettempdir()) / f"parley-keeper-{os.getuid()}.alive"


def beat() -> None:
    """Touch the file."""
    _file().touch()


def alive() -> bool:
    """Whether a keeper of this user touched the file lately."""
    try:
        return now() - _file().stat().st_mtime < _STALE
    except FileNotFoundError:
        return False
