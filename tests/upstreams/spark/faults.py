"""Every fault of this stand-in, by what it touches; `tests.upstreams.spark` explains each."""

from __future__ import annotations

from typing import ClassVar

from .. import plan
from ..plan import deliveries
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

_ALL = deliveries()


class Plan(plan.Plan):
    """What goes wrong with one request."""

    deliveries: ClassVar = {
        **{name: _ALL[name] for name in ("bytewise", "hang", "gzip")},
        **{f"{name}_bytes": _ALL[name] for name in ("cut", "reset", "stall")},
    }
