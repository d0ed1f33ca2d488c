"""`python -m tests.upstreams.h2ogpte [--port N]`: every door of the stand-in, on 127.0.0.1."""

from __future__ import annotations

from aiohttp import web

from tests.upstreams.h2ogpte.happenings import before
from tests.upstreams.h2ogpte.openai import OpenAI
from tests.upstreams.h2ogpte.page import Page
from tests.upstreams.h2ogpte.rest import Rest
from tests.upstreams.h2ogpte.rpc import Rpc
from tests.upstreams.h2ogpte.socket import Socket
from tests.upstreams.h2ogpte.world import World
from tests.upstreams.stage import serve


def app() -> web.Application:
    """The doors around one world."""
    world = World()
    doors = (Page(world), Rpc(world), Socket(world), Rest(world), OpenAI(world))
    made = web.Application(middlewares=[before(world)], client_max_size=64 * 2**20)
    made.add_routes([*world.stage.routes(), *world.controls(), *(route for door in doors for route in door.routes())])
    return made


if __name__ == "__main__":
    serve(app())
