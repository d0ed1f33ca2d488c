"""Every fault of this stand-in, in tables by what they touch; `tests.upstreams.gemini` explains each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..delivery import FOREVER, Delivery
from .framing import FRAMES
from .refusal import ERRORS, HTML, PARAMS, refusal
from .twists import TWISTS

Params = dict[str, Any]
JSON = "application/json; charset=UTF-8"


class Replaced(msgspec.Struct):
    """A whole answer, in the place of the right one."""

    status: int
    content_type: str
    body: bytes
    headers: dict[str, str] = {}


def _raw(params: Params) -> Replaced:
    body = bytes.fromhex(params["hex"]) if "hex" in params else params.get("text", "").encode()
    kind = params.get("content_type", "text/event-stream")
    return Replaced(params.get("status", 200), kind, body, params.get("headers", {}))


BODIES: dict[str, Callable[[Params], Replaced]] = {
    "raw": _raw,
    "empty_body": lambda p: Replaced(200, p.get("content_type", "text/event-stream"), b""),
    "not_json": lambda _: Replaced(200, JSON, b"upstream said what?"),
    "truncated_json": lambda _: Replaced(200, JSON, b'{"candidates":[{"content":{"parts":[{"te'),
    "html_in_200": lambda _: Replaced(200, "text/html; charset=UTF-8", HTML.format(status=200).encode()),
}

DELIVERIES: dict[str, Callable[[Params], dict[str, Any]]] = {
    "bytewise": lambda p: {"piece": p.get("size", 1), "pause": p.get("pause", 0.0)},
    "reset": lambda p: {"reset_after": p.get("bytes", 200)},
    "stall": lambda p: {"stall_after": p.get("bytes", 200)},
    "cut": lambda p: {"cut_after": p.get("bytes", 200)},
    "gzip": lambda _: {"gzip": True},
    "hang": lambda p: {"before_head": p.get("seconds", FOREVER)},
    "slow_first_byte": lambda p: {"after_head": p.get("seconds", 1.0)},
    "close_delimited": lambda _: {"framing": "close"},
}

WHOLE = frozenset({"array_stream"})
"""Done by the service itself."""

_EACH: dict[str, frozenset[str]] = {
    **dict.fromkeys(ERRORS, PARAMS),
    "raw": frozenset({"text", "hex", "status", "content_type", "headers"}),
    "empty_body": frozenset({"content_type"}),
    "prompt_blocked": frozenset({"reason", "after"}),
    "finish": frozenset({"reason", "message"}),
    "no_words": frozenset({"reason"}),
    "long_line": frozenset({"bytes"}),
    "error_frame": frozenset({"after", "error", "array"}),
    "error_bare": frozenset({"after", "error"}),
    "garbage_frame": frozenset({"after"}),
    "bytewise": frozenset({"size", "pause"}),
    **dict.fromkeys(("reset", "stall", "cut"), frozenset({"bytes"})),
    **dict.fromkeys(("hang", "slow_first_byte"), frozenset({"seconds"})),
}
KNOWN = {
    name: _EACH.get(name, frozenset()) | {"also"} for name in (*ERRORS, *BODIES, *DELIVERIES, *FRAMES, *TWISTS, *WHOLE)
}
"""Every fault, and the params that it takes."""


class Plan(msgspec.Struct):
    """What goes wrong with one request; an empty plan is a healthy answer."""

    names: list[str] = []
    params: Params = {}

    def raise_refusal(self) -> None:
        """Refuse, if this plan says so."""
        for name in self.names:
            if name in ERRORS:
                raise refusal(name, self.params)

    def replaced(self) -> Replaced | None:
        """What to answer instead, if this plan says so."""
        return next((BODIES[name](self.params) for name in self.names if name in BODIES), None)

    def delivery(self, framing: str) -> Delivery:
        """How the bytes travel, `framing` unless a fault says otherwise."""
        facts: dict[str, Any] = {"framing": framing}
        for name in self.names:
            facts |= DELIVERIES[name](self.params) if name in DELIVERIES else {}
        return msgspec.convert(facts, Delivery)

    def has(self, name: str) -> bool:
        """Whether this goes wrong."""
        return name in self.names
