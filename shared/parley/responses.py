"""Failures as responses of a Starlette application: the handlers that every service with one needs.

Who uses them puts `request_id` into the state of each request's scope.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from parley.envelope import told, unexpected
from parley.errors import Failure


def response(failure: Failure) -> Response:
    """A failure in OpenAI's envelope."""
    status, headers, body = told(failure)
    return Response(body, status, {name.decode(): value.decode() for name, value in headers})


async def refused(_request: Request, failure: Exception) -> Response:
    """Handles Failure."""
    assert isinstance(failure, Failure)  # noqa: S101  # registered for Failure only
    return response(failure)


async def broken(request: Request, _bug: Exception) -> Response:
    """Handles everything that nobody thought of: a 500 that names the request, and no more."""
    return response(unexpected(request.scope["state"]["request_id"]))
