"""Everything at its path."""

from __future__ import annotations

from aiohttp import web

from .desk import Desk
from .http import Chat
from .socket import Socket
from .versions import HTTP_MODELS, PATHS


class Service:
    """Both APIs of one process."""

    def __init__(self) -> None:
        self._desk = Desk()

    def app(self) -> web.Application:
        """The routes; anything else is the vendor's gateway not knowing it."""
        app = web.Application(client_max_size=16 << 20)
        app.add_routes(self._desk.stage.routes())
        socket, chat = Socket(self._desk), Chat(self._desk)
        app.add_routes([web.get(path, socket.open) for path in PATHS])
        app.add_routes([web.post(path, chat.ask) for path in HTTP_MODELS])
        app.router.add_route("*", "/{anything:.*}", self._unknown)
        return app

    async def _unknown(self, request: web.Request) -> web.Response:
        self._desk.stage.note("unknown", path=request.path)
        return web.json_response({"message": "no Route matched with those values"}, status=404)
