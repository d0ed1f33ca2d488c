"""What only the admin API refuses. Everything else is in the tree of `parley.errors`."""

from __future__ import annotations

from parley.errors import Refusal


class NotFound(Refusal):
    """There is nothing of that name."""

    status = 404
    code = "not_found"


class NotNow(Refusal):
    """It exists, and cannot be done as things stand."""

    status = 409
    code = "conflict"


class Stale(Refusal):
    """Somebody else changed it since (If-Match)."""

    status = 412
    code = "precondition_failed"
