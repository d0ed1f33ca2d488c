"""What a test may set on this stand-in; `tests.upstreams.azure` explains each."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..openai import settings as openai

DEPLOYMENTS = {"chat": "gpt-4o-2024-08-06", "my dep": "gpt-4o-2024-08-06", "thinker": "demo-reasoner"}


class Settings(openai.Settings, forbid_unknown_fields=True):
    """OpenAI's, and the resource's own."""

    keys: list[str] = msgspec.field(default_factory=["azure-key-1", "azure-key-2"].copy)
    tokens: list[str] = msgspec.field(default_factory=["entra-token-1"].copy)
    deployments: dict[str, str] = msgspec.field(default_factory=DEPLOYMENTS.copy)
    filter: Literal["buffered", "asynchronous", "annotations", "down"] = "buffered"
    limits_unknown: bool = False


def read_settings(raw: dict[str, Any]) -> Settings:
    """Settings as a test sends them; ValueError (msgspec's) names what is wrong."""
    return msgspec.convert(raw, Settings)
