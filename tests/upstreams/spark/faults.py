"""Every fault of this stand-in, by what it touches; `tests.upstreams.spark` explains each."""

from __future__ import annotations

from typing import Any

from ..delivery import FOREVER
from .signature import WORDS

HANDSHAKE = (*WORDS, "refuse", "slow", "hang", "reset")
ENDS = ("code", "reset", "cut", "close", "stall", "not_json", "not_utf8")
"""After so many frames there is no next one, but this."""
TWISTS = (
    "split",
    "single",
    "empty",
    "no_usage",
    "empty_list",
    "no_sid",
    "late",
    "plugin",
    "header_status",
    "choices_status",
    "no_content",
    "ping",
    "binary",
)
HTTP = (
    "http_error",
    "invalid_user",
    "bad_form",
    "raw",
    "tool_calls_object",
    "no_ids",
    "finish_reason",
    "no_done",
    "json_for_stream",
    "spaced",
    "bytewise",
    "cut_bytes",
    "reset_bytes",
    "stall_bytes",
    "gzip",
)
NAMES = frozenset({*HANDSHAKE, *ENDS, *TWISTS, *HTTP})

DELIVERIES: dict[str, Any] = {
    "bytewise": lambda p: {"piece": p.get("size", 1)},
    "cut_bytes": lambda p: {"cut_after": p.get("bytes", 200)},
    "reset_bytes": lambda p: {"reset_after": p.get("bytes", 200)},
    "stall_bytes": lambda p: {"stall_after": p.get("bytes", 200)},
    "hang": lambda p: {"before_head": p.get("seconds", FOREVER)},
    "gzip": lambda _: {"gzip": True},
}
