"""Every fault of this stand-in, in tables by what they touch; `tests.upstreams.zhipu` explains each."""

from __future__ import annotations

import json
from collections.abc import Callable

from .. import plan
from ..openai import faults as shared
from ..openai.frames import FRAMES
from ..plan import Page, Params
from . import v3
from .errors import CODES, FRONTS, Front, Refused
from .twists import STREAM

_SHARED = ("raw", "empty_body", "not_json", "truncated_json", "html_in_200", "redirect")
BODIES: dict[str, Callable[[Params], Page]] = {
    **{name: shared.BODIES[name] for name in _SHARED},
    "error_in_200": lambda p: Page(
        200, "application/json", json.dumps({"error": {"code": p.get("code", "1113"), "message": "说明"}}).encode()
    ),
}
_REFUSALS = {f"code_{code}" for code in CODES} | set(FRONTS)
NAMES = frozenset({*_REFUSALS, *BODIES, *shared.DELIVERIES, *FRAMES, *STREAM, *v3.FAULTS})


class Plan(plan.Plan):
    """What goes wrong with one request."""

    pages = BODIES
    deliveries = shared.DELIVERIES

    def raise_refusal(self) -> None:
        """Refuse, if this plan says so."""
        for name in self.names:
            if name in FRONTS:
                raise Front(FRONTS[name].status, FRONTS[name].said)
            if name in _REFUSALS:
                raise Refused(name.removeprefix("code_"), self.params)
