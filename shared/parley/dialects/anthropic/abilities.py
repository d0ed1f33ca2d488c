"""What a model can do, by its name (`upstreams/anthropic.md` sections 1.2, 2.6, 4.1).

Names carry the generation: `claude-3-5-sonnet-20241022` is 3.5, `claude-opus-4-1` is 4.1. A Claude without a number is
taken for a new one; a model of another maker, at a service that copies the API, for one that knows the oldest ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

_GENERATION: Final = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2})(?!\d))?(?!\d)")
_NEWEST: Final = (99, 0)
_FIRST_THAT_THINKS: Final = (3, 7)
_FIRST_WITH_SCHEMAS: Final = (4, 1)
_FIRST_THAT_ADAPTS: Final = (4, 6)
_FIRST_WITHOUT_SAMPLING: Final = (4, 7)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one model takes; the defaults are those of a model that nobody knows."""

    sampling: Literal["free", "one", "none"] = "free"
    """Whether `temperature` and `top_p` may both be set, one of them, or none."""
    thinking: Literal["budget", "adaptive", "none"] = "budget"
    """How it is told to think, if it can."""
    schemas: bool = False
    """Whether it keeps to a schema by itself: in answers (`output_config.format`) and in tools (`strict`)."""
    xhigh: bool = False
    """Whether it knows the effort `xhigh`."""
    longest: int = 4096
    """Tokens that an answer may have when the caller does not say; no more than the model's own limit."""


@lru_cache(maxsize=512)
def abilities_of(model: str) -> Abilities:
    """What `model` can do, as far as its name tells."""
    known = _generation(model.lower())
    if known is None:
        return Abilities()
    thinks, adapts = known >= _FIRST_THAT_THINKS, known >= _FIRST_THAT_ADAPTS
    frozen = known >= _FIRST_WITHOUT_SAMPLING
    return Abilities(
        sampling="none" if frozen else "one" if known >= (4, 1) else "free",
        thinking="adaptive" if adapts else "budget" if thinks else "none",
        schemas=known >= _FIRST_WITH_SCHEMAS,
        xhigh=frozen,
        longest=32_000 if thinks else 8192 if known >= (3, 5) else 4096,
    )


def _generation(model: str) -> tuple[int, int] | None:
    if found := _GENERATION.search(model):
        return int(found[1]), int(found[2] or 0)
    return _NEWEST if "claude" in model else None
