"""What a test may set on this stand-in; `tests.upstreams.gemini` explains each."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

ALL = ("v1", "v1beta", "v1alpha")


class Model(msgspec.Struct, forbid_unknown_fields=True):
    """What one model can do."""

    thinks: Literal["never", "budget", "level"] = "never"
    stops_thinking: bool = True
    """Whether a budget of 0 is taken."""
    signs: bool = False
    """Whether calls must come back with their signatures."""
    instructions: bool = True
    penalties: bool = True
    logprobs: bool = True
    candidates: int = 8
    methods: tuple[str, ...] = ("generateContent", "countTokens")
    versions: tuple[str, ...] = ALL


class Rate(msgspec.Struct, forbid_unknown_fields=True):
    """So many requests in so many seconds, for each key."""

    requests: int
    seconds: float = 60.0


def _models() -> dict[str, Model]:
    return {
        "gemini-2.0-demo": Model(),
        "gemini-2.5-demo": Model(thinks="budget"),
        "gemini-2.5-pro-demo": Model(thinks="budget", stops_thinking=False, penalties=False, candidates=1),
        "gemini-3-demo": Model(thinks="level", signs=True, stops_thinking=False),
        "gemini-demo-latest": Model(thinks="never", penalties=False, logprobs=False),
        "gemini-4-preview": Model(thinks="level", versions=("v1beta", "v1alpha")),
        "gemma-demo": Model(instructions=False),
        "demo-tuner": Model(signs=True),
        "embedding-demo": Model(methods=("embedContent",)),
    }


KEYS = {"AIza-demo-1": "project-1", "AIza-demo-2": "project-1", "AIza-demo-3": "project-2"}
"""Keys, and the project that each belongs to."""


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """All settings and their defaults."""

    keys: dict[str, str] = msgspec.field(default_factory=KEYS.copy)
    models: dict[str, Model] = msgspec.field(default_factory=_models)
    strict: bool = True
    plain_schemas: tuple[str, ...] = ALL
    fetches: bool = False
    answer: str | None = None
    piece: int = 4
    first_delay: float = 0.0
    piece_delay: float = 0.0
    newline: Literal["crlf", "lf"] = "crlf"
    calls_together: bool = False
    cached: int = 0
    context: int = 1_048_576
    page: int = 50
    rate: Rate | None = None
    record: bool = True


def read_settings(raw: dict[str, Any]) -> Settings:
    """Settings as a test sends them; ValueError (msgspec's) names what is wrong."""
    return msgspec.convert(raw, Settings)
