"""Every fault of this stand-in, in tables by what they touch; `tests.upstreams.zhipu` explains each."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from ..delivery import Delivery
from ..openai import faults as shared
from ..openai.frames import FRAMES
from . import v3
from .errors import CODES, FRONTS, Front, Refused
from .twists import STREAM

Params = dict[str, Any]
Replaced = shared.Replaced

_SHARED = ("raw", "empty_body", "not_json", "truncated_json", "html_in_200", "redirect")
BODIES: dict[str, Callable[[Params], Replaced]] = {
    **{name: shared.BODIES[name] for name in _SHARED},
    "error_in_200": lambda p: Replaced(
        200, "application/json", json.dumps({"error": {"code": p.get("code", "1113"), "message": "说明"}}).encode()
    ),
}
_REFUSALS = {f"code_{code}" for code in CODES} | set(FRONTS)
NAMES = frozenset({*_REFUSALS, *BODIES, *shared.DELIVERIES, *FRAMES, *STREAM, *v3.FAULTS})


class Plan(msgspec.Struct):
    """What goes wrong with one request; an empty plan is a healthy answer."""

    names: list[str] = []
    params: Params = {}

    def raise_refusal(self) -> None:
        """Refuse, if this plan says so."""
        for name in self.names:
            if name in FRONTS:
                raise Front(FRONTS[name].status, FRONTS[name].said)
            if name in _REFUSALS:
                raise Refused(name.removeprefix("code_"), self.params)

    def replaced(self) -> Replaced | None:
        """What to answer instead, if this plan says so."""
        return next((BODIES[name](self.params) for name in self.names if name in BODIES), None)

    def delivery(self, framing: str) -> Delivery:
        """How the bytes travel, `framing` unless a fault says otherwise."""
        facts: dict[str, Any] = {"framing": framing}
        for name in self.names:
            facts |= shared.DELIVERIES[name](self.params) if name in shared.DELIVERIES else {}
        return msgspec.convert(facts, Delivery)
