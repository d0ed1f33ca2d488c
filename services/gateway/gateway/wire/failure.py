"""A Failure inside a stream that has begun; before that it is a whole response (`parley.envelope`)."""

from __future__ import annotations

from parley.envelope import envelope
from parley.errors import Failure


def frame(failure: Failure) -> bytes:
    """The last frame of a stream that broke: official clients raise it. No `[DONE]` follows."""
    return b"data: " + envelope(failure) + b"\n\n"
