"""Patterns of model names, as prices, limits and keys use them: `gpt-5*`, `east/*`, `**`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

Pattern = re.Pattern[str]

_LONGEST: Final = 512
"""Letters of a name that a pattern with `**` is compared with: no caller's name takes long."""


@lru_cache(4096)
def pattern(text: str) -> Pattern:
    """What fits a text: `*` stands for any letters but `/`, `**` for any. Use its `fullmatch`."""
    if "**" in text:
        stars = ".*".join("[^/]*".join(map(re.escape, part.split("*"))) for part in text.split("**"))
        return re.compile(f"(?=.{{0,{_LONGEST}}}$){stars}")
    first, *between = map(re.escape, text.split("*"))
    last = between.pop() if between else None
    # Each part between two stars is looked for once (an atomic group): the first place where it is found is the best.
    middle = "".join(f"(?>[^/]*?{part})" for part in between)
    return re.compile(first + middle + ("" if last is None else f"[^/]*{last}"))
