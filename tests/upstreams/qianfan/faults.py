"""Every fault of this stand-in, in tables by what they touch; `tests.upstreams.qianfan` explains each."""

from __future__ import annotations

from typing import Any

import msgspec

from ..delivery import Delivery
from ..openai import faults as shared
from ..openai.frames import FRAMES
from . import errors, twists

Params = dict[str, Any]

BODIES = {
    name: shared.BODIES[name] for name in ("raw", "empty_body", "not_json", "truncated_json", "html_in_200", "redirect")
}
NAMES = frozenset({*errors.NAMES, *BODIES, *shared.DELIVERIES, *FRAMES, *twists.V2, *twists.LEGACY})


class Plan(msgspec.Struct):
    """What goes wrong with one request; an empty plan is a healthy answer."""

    names: list[str] = []
    params: Params = {}

    def raise_refusal(self) -> None:
        """Refuse, if this plan says so."""
        for name in self.names:
            if name in errors.NAMES:
                raise errors.refusal(name, self.params)

    def replaced(self) -> shared.Replaced | None:
        """What to answer instead, if this plan says so."""
        return next((BODIES[name](self.params) for name in self.names if name in BODIES), None)

    def delivery(self, framing: str) -> Delivery:
        """How the bytes travel, `framing` unless a fault says otherwise."""
        facts: dict[str, Any] = {"framing": framing}
        for name in self.names:
            facts |= shared.DELIVERIES[name](self.params) if name in shared.DELIVERIES else {}
        return msgspec.convert(facts, Delivery)
