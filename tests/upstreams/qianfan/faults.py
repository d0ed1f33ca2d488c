"""Every fault of this stand-in, in tables by what they touch; `tests.upstreams.qianfan` explains each."""

from __future__ import annotations

from .. import plan
from ..openai import faults as shared
from ..openai.frames import FRAMES
from . import errors, twists

BODIES = {
    name: shared.BODIES[name] for name in ("raw", "empty_body", "not_json", "truncated_json", "html_in_200", "redirect")
}
NAMES = frozenset({*errors.NAMES, *BODIES, *shared.DELIVERIES, *FRAMES, *twists.V2, *twists.LEGACY})


class Plan(plan.Plan):
    """What goes wrong with one request."""

    pages = BODIES
    deliveries = shared.DELIVERIES

    def raise_refusal(self) -> None:
        """Refuse, if this plan says so."""
        for name in self.names:
            if name in errors.NAMES:
                raise errors.refusal(name, self.params)
