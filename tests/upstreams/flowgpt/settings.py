"""What a test may set on this stand-in; `tests.upstreams.flowgpt` explains each."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

ACCOUNTS = ["acct-1", "acct-2", "acct-3"]
LOGINS = {"login-1": "acct-1", "login-2": "acct-2"}
PROMPTS = ["uzNcMUGo4sOwl4GFvRpm8", "vlaOLDN9qTxzIlvzfL_Ty", "lKm5yPE9x-Naf0_0_KI5M", "V1StGXR8_Z5jdHi6B-myT"]


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """All settings and their defaults."""

    accounts: list[str] = msgspec.field(default_factory=ACCOUNTS.copy)
    prompts: list[str] = msgspec.field(default_factory=PROMPTS.copy)
    bad_token: Literal[401, 403] = 401
    signature: Literal["dash-auth", "concat-device", "colon-device", "body", "off"] = "dash-auth"
    signature_status: Literal[400, 401, 403] = 401
    window: float = 300.0
    clock: float = 0.0
    guests: bool = True
    guest_limit: int | None = None
    logins: dict[str, str] = msgspec.field(default_factory=LOGINS.copy)
    token_seconds: float = 604800.0
    roll_logins: bool = False
    expire_after: dict[str, int] = {}
    prefix: str = ""
    piece: int = 5
    lines_per_write: int = 1
    crlf: bool = False
    blank_lines: bool = False
    extras: bool = False
    first_delay: float = 0.0
    piece_delay: float = 0.0
    framing: Literal["chunked", "close", "length"] = "chunked"
    record: bool = True


def read_settings(raw: dict[str, Any]) -> Settings:
    """Settings as a test sends them; ValueError (msgspec's) names what is wrong."""
    return msgspec.convert(raw, Settings)
