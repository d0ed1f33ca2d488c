"""What is left of a caller's limits, as OpenAI's `x-ratelimit-*` headers tell it (`upstreams/openai.md` section 3)."""

from __future__ import annotations

import math
from typing import Final

from parley.envelope import Headers

_NAMES: Final = tuple(
    tuple(f"x-ratelimit-{what}-{of}".encode() for what in ("limit", "remaining", "reset"))
    for of in ("requests", "tokens")
)
NAMES: Final = tuple(name for names in _NAMES for name in names)
"""All of them."""
Left = tuple[int, int, float]
"""A limit, what remains of it, and seconds until all of it is back."""


def ratelimit(requests: Left | None, tokens: Left | None) -> Headers:
    """The headers of the tightest limit of requests and of tokens; none for what is not limited."""
    headers: Headers = []
    for names, left in zip(_NAMES, (requests, tokens), strict=True):
        if left is not None:
            limit, remaining, reset = left
            headers += zip(names, (b"%d" % limit, b"%d" % remaining, _duration(reset)), strict=True)
    return headers


def _duration(seconds: float) -> bytes:
    """As Go writes a duration, which is what OpenAI sends: 120ms, 1.5s, 6m0s, 24h0m0s."""
    if seconds < 1:
        return b"%dms" % math.ceil(seconds * 1000)
    hours, rest = divmod(math.ceil(seconds * 1000), 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    text = f"{rest / 1000:g}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return (f"{hours}h{text}" if hours else text).encode()
