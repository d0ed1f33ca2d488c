"""The console's addresses, its description, and OpenAI's envelope for all that is not here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from console import api, pages
from console.bodies import MISTYPED
from console.description import described
from console.entrance import API, Entrance
from parley.errors import BadRequest, Failure, UnknownURL, WrongMethod
from parley.responses import broken, refused, response

VERSION: Final = version("parley")

_ABOUT = """\
Everything that an operator sees and changes while Parley runs. Every request carries `Authorization: Bearer ADMIN_KEY`.

* **Lists** come in pages: `{"object": "list", "data": [...], "has_more": true, "next": "..."}`; ask again with
  `after=` what `next` says.
* **Failures** carry OpenAI's error envelope, and every answer an `x-request-id`.
* **What can be changed** has an `ETag`; send it back as `If-Match`, so that you overwrite nothing of somebody else's.
* **Moments** are seconds since the epoch, durations are seconds. Secrets are taken, and never given out again.
"""


class Application(FastAPI):
    """FastAPI with our entrance around it and our failures in its description."""

    def build_middleware_stack(self) -> ASGIApp:
        """Put the entrance outside of everything, also of the framework's own last resort."""
        return Entrance(super().build_middleware_stack())

    def openapi(self) -> dict[str, Any]:
        """The description, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = described(super().openapi())
        return self.openapi_schema


def application(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[dict[str, Any]]]) -> Application:
    """All addresses, around the parts that `lifespan` yields as `{"parts": Parts}`."""
    app = Application(
        title="Parley admin API",
        summary="Upstreams, routes, keys, credentials, limits and usage of a running Parley",
        description=_ABOUT,
        version=VERSION,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=f"{API}/openapi.json",
        docs_url=f"{API}/docs",
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        openapi_tags=list(api.TAGS),
        generate_unique_id_function=_operation,
        default_response_class=JSONResponse,
        # Its logs would quote exceptions, which may hold what we were sent; and to see that it is off costs it 15 us.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        exception_handlers={
            Failure: refused,
            RequestValidationError: _malformed,
            HTTPException: _not_served,
            Exception: broken,
        },
    )
    everything = APIRouter(prefix=API)
    for router in api.ROUTERS:
        everything.include_router(router)
    app.include_router(everything)
    app.include_router(pages.router)
    return app


def _operation(route: APIRoute) -> str:
    return route.name


async def _malformed(request: Request, problem: Exception) -> Response:
    """The first thing that is wrong, and where; never what was sent."""
    assert isinstance(problem, RequestValidationError)  # noqa: S101  # registered for it only
    error = problem.errors()[0]
    if error["type"] == "json_invalid":
        return response(BadRequest("The body is not valid JSON.", code="invalid_json"))
    kind = request.headers.get("content-type", "nothing")
    if isinstance(problem.body, bytes) and problem.body:  # it was not even looked at
        about = f"The body must be JSON, and say so (Content-Type: application/json, not {kind[:80]})."
        return response(BadRequest(about, code="invalid_json"))
    within = error["ctx"]["place"] if error["type"] == MISTYPED else ()
    place = ".".join(str(part) for part in (*error["loc"][1:], *within))
    what = str(error["msg"]).removeprefix("Value error, ")
    return response(BadRequest(f"{place or 'The request'}: {what}.", param=place or None, code="invalid_value"))


async def _not_served(request: Request, problem: Exception) -> Response:
    """The framework's own refusals, in OpenAI's envelope."""
    assert isinstance(problem, HTTPException)  # noqa: S101  # registered for HTTPException only
    if isinstance(problem.__cause__, Failure):  # raised while the body was read
        return response(problem.__cause__)
    method, path = request.method, request.url.path
    if problem.status_code == 405:
        answer = response(WrongMethod(f"Not allowed to {method} on {path}."))
        known = dict(problem.headers or {}).get("Allow", "").split(", ")
        answer.headers["allow"] = ", ".join(sorted({*known, *_methods(path)}))
        return answer
    if problem.status_code == 404:
        return response(UnknownURL(f"Invalid URL ({method} {path})."))
    return response(BadRequest(str(problem.detail)))


def _methods(path: str) -> Iterator[str]:
    """What may be done with an address of the API. (The framework names the methods of one of its routes.)"""
    for route in (route for router in api.ROUTERS for route in router.routes):
        if isinstance(route, APIRoute) and route.path_regex.match(path.removeprefix(API)):
            yield from route.methods or ()
