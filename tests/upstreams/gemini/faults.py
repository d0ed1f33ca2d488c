"""Every fault of this stand-in, in tables by what they touch; `tests.upstreams.gemini` explains each."""

from __future__ import annotations

from collections.abc import Callable

from .. import plan
from ..plan import Page, Params, deliveries, raw
from .framing import FRAMES
from .refusal import ERRORS, HTML, PARAMS, refusal
from .twists import TWISTS

JSON = "application/json; charset=UTF-8"


BODIES: dict[str, Callable[[Params], Page]] = {
    "raw": raw,
    "empty_body": lambda p: Page(200, p.get("content_type", "text/event-stream"), b""),
    "not_json": lambda _: Page(200, JSON, b"upstream said what?"),
    "truncated_json": lambda _: Page(200, JSON, b'{"candidates":[{"content":{"parts":[{"te'),
    "html_in_200": lambda _: Page(200, "text/html; charset=UTF-8", HTML.format(status=200).encode()),
}

DELIVERIES = deliveries()

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


class Plan(plan.Plan):
    """What goes wrong with one request."""

    pages = BODIES
    deliveries = DELIVERIES

    def raise_refusal(self) -> None:
        """Refuse, if this plan says so."""
        for name in self.names:
            if name in ERRORS:
                raise refusal(name, self.params)
