"""The addresses of the gateway: models, health, where things are; and OpenAI's envelope for all that is not here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Annotated, Any, Final
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.auth import ANYBODY, MASTER
from gateway.chat import Chat
from gateway.current import Snapshot
from gateway.entrance import Entrance
from gateway.front import mirror
from gateway.parts import Parts
from gateway.reference import described
from parley.catalog import Caller
from parley.errors import BadRequest, Failure, ModelNotFound, UnknownURL, WrongMethod
from parley.metrics import CONTENT_TYPE
from parley.responses import broken, refused, response

VERSION: Final = version("parley")
_CREATED: Final = 1767225600
"""When a model came to be is not known; every replica says the same (1 January 2026)."""
_CHAT: Final = "/v1/chat/completions"
_NOT_YET: Final = frozenset({"/v1/embeddings", "/v1/completions", "/v1/responses"})

router = APIRouter()


def _parts(request: Request) -> Parts:
    parts: Parts = request.scope["state"]["parts"]
    return parts


async def _known(request: Request) -> tuple[Snapshot, Caller]:
    """The caller, who has a key, and what is in force for him. Raises Unauthenticated, NotFromHere."""
    parts = _parts(request)
    headers = request.scope["headers"]
    return await parts.enter(headers, parts.visitors.address(headers))


Known = Annotated[tuple[Snapshot, Caller], Depends(_known)]


@router.get("/v1/models", tags=["OpenAI"])
async def list_models(known: Known) -> dict[str, Any]:
    """Every model that the key may ask for: bare ids, and `upstream/model` where a bare id is ambiguous."""
    snapshot, caller = known
    return {"object": "list", "data": [_model(*offered) for offered in snapshot.directory.offered(caller)]}


@router.get("/v1/models/{model:path}", tags=["OpenAI"])
async def get_model(model: str, request: Request, known: Known) -> dict[str, Any]:
    """One model. Its id may contain `/` and `:`, escaped or not."""
    snapshot, caller = known
    # From the raw path, decoded once: the framework's `model` would not tell `%2F` from what it stands for.
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    name = unquote_to_bytes(raw.split(b"?")[0].partition(b"/v1/models/")[2]).decode("utf-8", "replace") or model
    found = snapshot.directory.find(name, caller)
    if found is None:
        raise ModelNotFound(f"The model `{name}` does not exist or you do not have access to it.", param="model")
    return _model(*found)


def _model(name: str, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": owner}


@router.get("/health", tags=["health"])
async def health(request: Request) -> dict[str, Any]:
    """Everything worth knowing at a glance; how upstreams and credentials stand only for who has the master key."""
    parts = _parts(request)
    try:
        _, caller = await _known(request)
    except Failure:
        return parts.health.outside()
    return parts.health.whole() if caller in (MASTER, ANYBODY) else parts.health.outside()


@router.get("/health/ready", tags=["health"])
async def ready(request: Request) -> dict[str, Any]:
    """Whether requests are served, and what is degraded and why."""
    return _parts(request).health.ready()


@router.get("/health/live", tags=["health"])
async def live() -> dict[str, Any]:
    """Whether the process is alive, whatever else is not."""
    return {"status": "ok"}


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Figures for Prometheus. The front does not pass it on; what came through a proxy all the same finds nothing."""
    if "x-forwarded-for" in request.headers:
        raise HTTPException(404)
    return Response(_parts(request).books.figures.page(), media_type=CONTENT_TYPE)


@router.get("/", tags=["health"])
async def index() -> dict[str, Any]:
    """Where things are."""
    return {
        "name": "Parley",
        "version": VERSION,
        "chat": "POST /v1/chat/completions",
        "models": "GET /v1/models",
        "health": "GET /health",
        "reference": "GET /docs",
    }


# --- what is not here ---------------------------------------------------------------------------------------------


async def _not_served(request: Request, problem: Exception) -> Response:
    """The framework's own refusals, in OpenAI's envelope."""
    assert isinstance(problem, HTTPException)  # noqa: S101  # registered for HTTPException only
    method, path = request.method, request.url.path
    allow = dict(problem.headers or {}).get("Allow")
    if problem.status_code == 405:
        if method == "OPTIONS":
            return Response(status_code=204, headers={"allow": f"{allow}, OPTIONS"})
        answer = response(WrongMethod(f"Not allowed to {method} on {path}."))
        answer.headers["allow"] = f"{allow}, OPTIONS"
        return answer
    if problem.status_code == 404:
        about = " It is not offered here yet; use /v1/chat/completions." if path.rstrip("/") in _NOT_YET else ""
        return response(UnknownURL(f"Invalid URL ({method} {path}).{about}"))
    return response(BadRequest(str(problem.detail)))


# --- the application ----------------------------------------------------------------------------------------------


class Application(FastAPI):
    """FastAPI with our entrance around it and the chat endpoint in its reference."""

    def __init__(self, origins: Sequence[str], **options: Any) -> None:
        self._origins = origins
        super().__init__(**options)

    def build_middleware_stack(self) -> ASGIApp:
        """Put the entrance outside of everything, also of the framework's own last resort."""
        return Entrance(super().build_middleware_stack(), (_CHAT, Chat()), self._origins)

    def openapi(self) -> dict[str, Any]:
        """The reference, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = described(super().openapi())
        return self.openapi_schema


def application(
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[dict[str, Any]]], origins: Sequence[str]
) -> Application:
    """All addresses, around the parts that `lifespan` yields as `{"parts": Parts}`."""
    app = Application(
        origins,
        title="Parley",
        summary="Many chat services behind one strict OpenAI API",
        version=VERSION,
        lifespan=lifespan,
        redirect_slashes=False,
        redoc_url=None,
        default_response_class=JSONResponse,
        # Its logs would quote exceptions, which may hold what we were sent; and to see that it is off costs it 15 us.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        exception_handlers={Failure: refused, HTTPException: _not_served, Exception: broken},
    )
    # The entrance takes the short cut; this route knows which methods there are.
    app.router.routes.append(Route(_CHAT, Chat(), methods=["POST"]))
    app.include_router(router)
    app.include_router(mirror(), dependencies=[Depends(_known)])
    return app
