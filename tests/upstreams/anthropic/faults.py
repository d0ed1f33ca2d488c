"""Every fault of this stand-in, in tables by what they touch; `tests.upstreams.anthropic` explains each."""

from __future__ import annotations

from .. import plan
from ..openai.faults import BODIES as ALL_BODIES
from ..openai.faults import DELIVERIES
from .errors import NAMED, refusal
from .frames import FRAMES
from .twists import TWISTS

BODIES = {name: ALL_BODIES[name] for name in ("raw", "empty_body", "not_json", "html_in_200", "redirect")}
NAMES = frozenset({*NAMED, *BODIES, *DELIVERIES, *FRAMES, *TWISTS, "json_for_stream"})


class Plan(plan.Plan):
    """What goes wrong with one request."""

    pages = BODIES
    deliveries = DELIVERIES

    def raise_refusal(self) -> None:
        """Refuse, if this plan says so."""
        for name in self.names:
            if name in NAMED:
                raise refusal(name, self.params)
