"""What a test may set on this stand-in; `tests.upstreams.spark` explains each."""

from __future__ import annotations

import time
from typing import Any, Literal

import msgspec


class Application(msgspec.Struct, forbid_unknown_fields=True):
    """Who may open sockets."""

    app_id: str
    api_secret: str
    domains: list[str] | None = None
    locked: bool = False


class Rate(msgspec.Struct, forbid_unknown_fields=True):
    """So many questions in so many seconds, for each application."""

    requests: int
    seconds: float = 60.0


def _applications() -> dict[str, Application]:
    return {
        "demo-api-key": Application("demoapp1", "demo-api-secret"),
        "demo-api-key-2": Application("demoapp2", "demo-api-secret-2"),
        "demo-api-key-lite": Application("demoapp3", "demo-api-secret-3", ["lite"]),
        "demo-api-key-locked": Application("demoapp4", "demo-api-secret-4", locked=True),
    }


def _passwords() -> dict[str, list[str] | None]:
    return {"demo-password": None, "demo-password-2": None, "demo-password-lite": ["lite"]}


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """All settings and their defaults."""

    applications: dict[str, Application] = msgspec.field(default_factory=_applications)
    passwords: dict[str, list[str] | None] = msgspec.field(default_factory=_passwords)
    now: float | None = None
    clock_offset: float = 0.0
    strict: bool = True
    answer: str | None = None
    piece: int = 4
    first_delay: float = 0.0
    piece_delay: float = 0.0
    concurrency: int = 0
    one_per_user: bool = False
    rate: Rate | None = None
    daily: int | None = None
    idle: float = 60.0
    linger: float = 1.0
    errors: Literal["envelope", "code"] = "envelope"

    def clock(self) -> float:
        """The service's time."""
        return (time.time() if self.now is None else self.now) + self.clock_offset


def read_settings(raw: dict[str, Any]) -> Settings:
    """Settings as a test sends them; ValueError (msgspec's) names what is wrong."""
    return msgspec.convert(raw, Settings)
