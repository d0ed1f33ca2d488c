"""What a test may set on this stand-in; `tests.upstreams.qianfan` explains each."""

from __future__ import annotations

import time
from typing import Any

import msgspec

KEYS = [f"bce-v3/ALTAK-demo{n}/demosecretpart{n}" for n in (1, 2, 3)]
APPLICATIONS = {f"demoapikey{n}": f"demosecretkey{n}" for n in (1, 2, 3)}
ACCESS_KEYS = {"DEMOAK": "DEMOSK", "SECONDAK": "SECONDSK"}
MODELS = ["ernie-4.0-8k", "ernie-4.0-turbo-8k", "ernie-3.5-8k", "ernie-speed-128k", "ernie-lite-8k", "ernie-x1-demo",
          "ernie-4.5-vl-demo", "deepseek-v3", "deepseek-r1", "Mine-0815"]  # fmt: skip


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """All settings and their defaults."""

    keys: list[str] = msgspec.field(default_factory=KEYS.copy)
    applications: dict[str, str] = msgspec.field(default_factory=APPLICATIONS.copy)
    access_keys: dict[str, str] = msgspec.field(default_factory=ACCESS_KEYS.copy)
    clock: float | None = None
    skew: float = 0.0
    token_seconds: int = 2592000
    era: int = 0
    appids: list[str] | None = None
    models: list[str] = msgspec.field(default_factory=MODELS.copy)
    missing_endpoints: list[str] = msgspec.field(default_factory=["gpt-4o", "nobody"].copy)
    without_functions: list[str] = msgspec.field(default_factory=["eb-instant", "ernie_speed", "ernie-tiny-8k"].copy)
    rpm: int = 300
    tpm: int = 300000
    strict: bool = True
    answer: str | None = None
    piece: int = 4
    first_delay: float = 0.0
    piece_delay: float = 0.0

    @property
    def now(self) -> float:
        """The service's time, in seconds since the epoch."""
        return self.clock if self.clock is not None else time.time() + self.skew


def read_settings(raw: dict[str, Any]) -> Settings:
    """Settings from a control call. Raises ValueError."""
    return msgspec.convert(raw, Settings)
