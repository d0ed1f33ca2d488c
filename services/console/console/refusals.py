"""What only the admin API refuses. Everything else is in the tree of `parley.errors`."""

from __future__ import annotations

from parley.errors import Failure, Refusal


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


class ConditionMissing(Refusal):
    """A change must say upon which revision it was made (If-Match)."""

    status = 428
    code = "precondition_required"


class Refused(Refusal):
    """The configuration that would come of it cannot be used."""

    code = "configuration_refused"


class Unusable(Failure):
    """The configuration that there is cannot be read."""

    status = 503
    code = "configuration_unusable"
