"""What a test may set on this stand-in; `tests.upstreams.anthropic` explains each."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

KEYS = ["sk-ant-one", "sk-ant-two", "sk-ant-three", "sk-ant-oat-token", "plain-token"]


class Model(msgspec.Struct, forbid_unknown_fields=True):
    """What one model takes."""

    sampling: Literal["free", "one", "none"] = "one"
    thinking: Literal["budget", "adaptive", "none"] = "budget"
    schemas: bool = True
    prefill: bool = True
    longest: int = 64_000


MODELS = {
    "claude-demo-4-5": Model(),
    "claude-demo-4-6": Model(thinking="adaptive"),
    "claude-demo-4-7": Model(sampling="none", thinking="adaptive", prefill=False, longest=128_000),
    "claude-3-5-demo-20241022": Model(sampling="free", thinking="none", schemas=False, longest=8192),
    "mystery": Model(sampling="none", thinking="none", schemas=False),  # its name says nothing
}


class Rate(msgspec.Struct, forbid_unknown_fields=True):
    """So many requests in so many seconds, for each key."""

    requests: int
    seconds: float = 60.0


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """All settings and their defaults."""

    keys: list[str] = msgspec.field(default_factory=KEYS.copy)
    powerless_keys: list[str] = msgspec.field(default_factory=["sk-ant-powerless"].copy)
    models: dict[str, Model] = msgspec.field(default_factory=MODELS.copy)
    any_model: bool = False
    strict: bool = True
    alternate: bool = True
    answer: str | None = None
    piece: int = 4
    first_delay: float = 0.0
    piece_delay: float = 0.0
    cache_minimum: int = 1024
    page: int = 20
    rate: Rate | None = None
    record: bool = True


def read_settings(raw: dict[str, Any]) -> Settings:
    """Settings as a test sends them; ValueError (msgspec's) names what is wrong."""
    return msgspec.convert(raw, Settings)
