"""Every setting of the stand-in, with its default; `POST /__emu__/set` changes them one by one."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

GUEST_WORKSPACE = "workspaces/h2ogpte-guest"

MODELS = (
    "auto-small",
    "claude-sonnet-4-5-20250929",
    "deepseek-ai/DeepSeek-R1",
    "gpt-4o",
    "gemini-2.5-flash",
)


class Login(msgspec.Struct, forbid_unknown_fields=True):
    """A browser's signed-in session, as an operator would paste it."""

    session: str
    csrf: str
    username: str
    workspace: str = "workspaces/6f0d3c1e-6a52-4c51-9a54-0d0f6a3f0001"


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How the service behaves when nothing goes wrong."""

    version: str = "1.7.5"  # up to 1.6.10 the socket speaks only cx, cp, ca and ce, with fewer fields

    # who may come in
    guests: bool = True
    api_keys: tuple[str, ...] = ("sk-h2o-test",)
    logins: tuple[Login, ...] = ()
    guest_calls: int | None = None  # RPC calls and handshakes until a guest's cookie expires (401)
    guest_seconds: float | None = None
    guest_quota: int | None = None  # questions of one guest
    guest_quota_as: Literal["rpc_429", "ce_rate_limit", "ce_cost"] = "rpc_429"
    csrf_status: int = 403

    # the bootstrap page
    redirects: int = 1
    cookie_on: Literal["redirect", "final", "both", "none"] = "redirect"
    conf: Literal["single", "double", "apostrophe", "missing", "empty_token", "login_page"] = "single"
    rotate_cookie: bool = False
    old_csrf_dies: bool = True
    cookie_attributes: str = "Path=/; HttpOnly; SameSite=Lax"  # `Secure` would not come back over http

    # time, in seconds
    bootstrap_delay: float = 0.0
    rpc_delay: float = 0.0
    first_token_delay: float = 0.0
    chunk_delay: float = 0.0
    delete_delay: float = 0.05
    delete_mode: Literal["works", "fails", "hangs"] = "works"

    # the model
    models: tuple[str, ...] = MODELS
    reply: str | None = None  # a fixed reply instead of the model's
    chunk: int = 8
    chunk_by: Literal["characters", "bytes"] = "characters"  # bytes: as many whole characters as fit
    max_new_tokens: int = 1024  # when the question names none

    # the socket
    session_check: Literal["refuse", "silent", "tolerate"] = "refuse"
    status_frame: bool = True  # cs
    full_frame: bool = True  # cr
    usage_in: Literal["cm", "ca", "both", "none"] = "cm"  # it can always be fetched as message meta
    ending: Literal["ca", "ca+cd", "cr+cd"] = "ca"


def read(settings: dict[str, Any]) -> Settings:
    """The settings as values; a name or a value that makes no sense is a ValueError."""
    return msgspec.convert(settings, Settings)
