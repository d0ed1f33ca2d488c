"""Every fault of this stand-in, in tables by what they touch; `tests.upstreams.anthropic` explains each."""

from __future__ import annotations

from typing import Any

import msgspec

from ..delivery import Delivery
from ..openai.faults import BODIES as ALL_BODIES
from ..openai.faults import DELIVERIES, Replaced
from .errors import NAMED, refusal
from .frames import FRAMES
from .twists import TWISTS

Params = dict[str, Any]

BODIES = {name: ALL_BODIES[name] for name in ("raw", "empty_body", "not_json", "html_in_200", "redirect")}
NAMES = frozenset({*NAMED, *BODIES, *DELIVERIES, *FRAMES, *TWISTS, "json_for_stream"})


class Plan(msgspec.Struct):
    """What goes wrong with one request; an empty plan is a healthy answer."""

    names: list[str] = []
    params: Params = {}

    def raise_refusal(self) -> None:
        """Refuse, if this plan says so."""
        for name in self.names:
            if name in NAMED:
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
