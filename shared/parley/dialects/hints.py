"""When to come back, as upstreams say it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from parley.clock import now


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from a Retry-After header, written as a number or as a date; None when there is no sense in it."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now()
    return max(seconds, 0.0) if math.isfinite(seconds) else None
