"""What a test may set on this stand-in; `tests.upstreams.zhipu` explains each."""

from __future__ import annotations

import time
from typing import Any

import msgspec

KEYS = ["demoid0123456789.demosecret", "second0123456789.secondsecret", "third00123456789.thirdsecret"]
MODELS = ["glm-4.6", "glm-4.6v", "glm-4.5-air", "glm-5.2", "glm-4", "glm-4-flash", "glm-4v", "embedding-3"]
V3_MODELS = ["chatglm_turbo", "chatglm_pro", "chatglm_std", "chatglm_lite", "chatglm_lite_32k", "chatglm_6b",
             "characterglm"]  # fmt: skip


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """All settings and their defaults."""

    keys: list[str] = msgspec.field(default_factory=KEYS.copy)
    clock: float | None = None
    skew: float = 0.0
    models: list[str] = msgspec.field(default_factory=MODELS.copy)
    classic_models: list[str] = msgspec.field(default_factory=["glm-4", "glm-4-flash", "glm-4v"].copy)
    vision_models: list[str] = msgspec.field(default_factory=["glm-4v", "glm-4.6v"].copy)
    effort_models: list[str] = msgspec.field(default_factory=["glm-5.2"].copy)
    v3_models: list[str] = msgspec.field(default_factory=V3_MODELS.copy)
    strict: bool = True
    answer: str | None = None
    piece: int = 4
    first_delay: float = 0.0
    piece_delay: float = 0.0

    @property
    def now(self) -> float:
        """The platform's time, in seconds since the epoch."""
        return self.clock if self.clock is not None else time.time() + self.skew


def read_settings(raw: dict[str, Any]) -> Settings:
    """Settings from a control call. Raises ValueError."""
    return msgspec.convert(raw, Settings)
