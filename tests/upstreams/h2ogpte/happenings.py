"""Faults that hit any door before it answers, and how each door words a refusal."""

from __future__ import annotations

import asyncio
import json
import traceback
import uuid
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tests.upstreams.h2ogpte import faults
from tests.upstreams.h2ogpte.accounts import Refused
from tests.upstreams.h2ogpte.world import World
from tests.upstreams.stage import Fault, reset_connection

CHALLENGE = (
    "<!doctype html><html><head><title>Just a moment...</title></head><body>"
    '<div id="cf-challenge">Checking your browser before accessing the site. Ray ID: 0000made0up0000</div>'
    "</body></html>"
)
PLAIN = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


async def route_of(request: web.Request) -> str:
    """The name of this request's route, as faults know it."""
    path = request.path.strip("/")
    if path in {"", "chats"}:
        return "bootstrap"
    if request.method == "POST" and path in {"rpc/db", "rpc/job", "rpc/lang"}:
        try:
            call = json.loads(await request.read())
            method = call["method"] if path == "rpc/lang" else call[0]
        except (ValueError, LookupError, TypeError):
            return path
        return f"{path}/{str(method).removeprefix('q:').removeprefix('crawl_quick.')}"
    resource = request.match_info.route.resource
    return resource.canonical.strip("/") if resource is not None else path


def worded(path: str, status: int, message: str, error_type: str | None = None) -> dict[str, Any]:
    """An error body in the manner of the door."""
    if path.startswith("/api/"):
        return {"code": status, "message": message} | ({"error_type": error_type} if error_type else {})
    if path.startswith("/openai_api/"):
        return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": error_type}}
    return {"error": message, "request_id": str(uuid.uuid4())}


def before(world: World) -> Middleware:
    """The middleware that lets faults happen and turns refusals into answers."""

    @web.middleware
    async def happen(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/__emu__/"):
            return await handler(request)
        response = await answer(request, handler)
        if request.path == "/ws" and not response.prepared:
            response.force_close()  # a refused handshake is the end of its connection
        return response

    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        if version := request.headers.get("X-Client-Version"):
            world.client_versions[version] += 1
        account = world.accounts.named(request)
        fault = world.fault(await route_of(request), account, faults.BEFORE)
        if fault is not None and fault.name == "expire":
            if account is not None:
                account.expired = True
        elif fault is not None and fault.name == "slow":
            await asyncio.sleep(fault.params.get("seconds", 1))
        elif fault is not None:
            return await _instead(fault, request)
        try:
            return await handler(request)
        except Refused as refused:
            body = worded(request.path, refused.status, refused.message, refused.error_type)
            return web.json_response(body, status=refused.status)
        except (LookupError, TypeError, ValueError) as error:  # of a body that is not what the door expects
            traceback.print_exc()
            world.stage.note("malformed_requests", path=request.path, why=repr(error))
            return web.json_response(worded(request.path, 400, f"malformed request: {error!r}"), status=400)

    return happen


async def _instead(fault: Fault, request: web.Request) -> web.StreamResponse:
    params = fault.params
    if fault.name == "reset":
        reset_connection(request)
        return web.Response(status=500)  # never seen: there is no connection left
    if fault.name == "hang":
        await asyncio.sleep(params.get("seconds") or 3600)
        return web.Response(status=504)
    if fault.name == "waf":
        return web.Response(text=CHALLENGE, content_type="text/html", status=params.get("status", 200))
    if fault.name == "redirect_away":
        return web.Response(status=302, headers={"Location": params.get("to", "/")})
    status = faults.HTTP_STATUS[fault.name]
    headers = {"Retry-After": str(params["retry_after"])} if "retry_after" in params else {}
    message = params.get("message", PLAIN[status])
    match params.get("body", "json"):
        case "empty":
            return web.Response(status=status, headers=headers)
        case "text":
            return web.Response(text=message, status=status, headers=headers)
        case "html":
            page = f"<html><head><title>{status} {message}</title></head><body><h1>{message}</h1></body></html>"
            return web.Response(text=page, content_type="text/html", status=status, headers=headers)
        case _:
            body = worded(request.path, status, message, params.get("error_type"))
            return web.json_response(body, status=status, headers=headers)
