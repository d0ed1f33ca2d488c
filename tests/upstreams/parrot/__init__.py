"""A stand-in for the imaginary service of docs/adding-a-provider.md: `python -m tests.upstreams.parrot [--port N]`.

`POST /say` with a text and key `polly` answers with its words, one line each. Faults: `status` (`status`), `silent`.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.upstreams.stage import Stage

FAULTS: dict[str, set[str]] = {"status": {"status"}, "silent": set()}


def build() -> web.Application:
    """The service."""
    stage = Stage()

    async def say(request: web.Request) -> web.StreamResponse:
        if request.headers.get("authorization") != "Bearer polly":
            return web.Response(status=401)
        fault = stage.fault("say")
        facts: dict[str, Any] = fault.params if fault else {}
        if fault and fault.name == "status":
            return web.Response(status=facts["status"])
        response = web.StreamResponse(headers={"content-type": "text/plain"})
        await response.prepare(request)
        if fault is None:
            for word in (await request.text()).split():
                await response.write(word.encode() + b"\n")
        return response

    app = web.Application()
    app.add_routes([web.post("/say", say), *stage.routes()])
    return app
