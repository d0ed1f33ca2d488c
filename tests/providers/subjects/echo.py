"""Echo, which has nothing behind it."""

from __future__ import annotations

from . import Subject

SUBJECTS = (Subject("echo", "echo", "echo", slowly={"metadata": {"echo_delay_ms": "200"}}),)
