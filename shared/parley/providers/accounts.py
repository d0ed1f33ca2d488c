"""What a refusal means where an upstream has several accounts."""

from __future__ import annotations

from parley.catalog import Upstream
from parley.errors import Failure, ModelElsewhere, ModelNotFound


def elsewhere(failure: Failure, upstream: Upstream) -> Failure:
    """The same failure; but a model that one of several accounts does not have may be another's."""
    if type(failure) is not ModelNotFound or len(upstream.credentials) < 2:
        return failure
    return ModelElsewhere(failure.message, param=failure.param, upstream_status=failure.upstream_status)
