"""What a test may set on this stand-in; `tests.upstreams.claude_web` explains each."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

KEYS = {f"sk-ant-sid01-{name}": name for name in ("one", "two", "three")}
MODELS = ["claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"]


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """All settings and their defaults."""

    keys: dict[str, str] = msgspec.field(default_factory=KEYS.copy)
    expired: list[str] = []
    expired_as: Literal["403", "401", "redirect"] = "403"
    models: list[str] = msgspec.field(default_factory=MODELS.copy)
    api_first: bool = True
    usage: dict[str, Any] = {}
    strict: bool = True
    refuse_agents: list[str] = []
    piece: int = 5
    first_delay: float = 0.0
    piece_delay: float = 0.0
    most_streams: int = 0
    longest_prompt: int = 400_000
    finish_after: float = 0.0
    create_status: int = 201


def read_settings(raw: dict[str, Any]) -> Settings:
    """Settings as a test sends them; ValueError (msgspec's) names what is wrong."""
    return msgspec.convert(raw, Settings)
