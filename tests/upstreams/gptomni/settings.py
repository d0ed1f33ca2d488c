"""What a test may set on this stand-in; `tests.upstreams.gptomni` explains each."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

COOKIES = ["tok-1", "tok-2", "tok-3"]


class Rate(msgspec.Struct, forbid_unknown_fields=True):
    """So many requests in so many seconds, for each account."""

    requests: int = 2
    seconds: float = 60.0


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """All settings and their defaults."""

    cookies: list[str] = msgspec.field(default_factory=COOKIES.copy)
    bad_cookie: Literal["401", "401_empty", "403", "redirect", "json_200", "html_200"] = "401"
    strict: bool = True
    answer: str | None = None
    piece: int = 7
    first_delay: float = 0.0
    piece_delay: float = 0.0
    framing: Literal["chunked", "close", "length"] = "chunked"
    content_type: str = "text/plain; charset=utf-8"
    roll_every: int = 0
    roll_replaces: bool = False
    expire_after: dict[str, int] = {}
    rate: Rate | None = None
    record: bool = True


def read_settings(raw: dict[str, Any]) -> Settings:
    """Settings as a test sends them; ValueError (msgspec's) names what is wrong."""
    return msgspec.convert(raw, Settings)
