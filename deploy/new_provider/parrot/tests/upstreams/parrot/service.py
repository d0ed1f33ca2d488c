"""The path of one request through the stand-in: key, fault, answer, delivery."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from aiohttp import web

from .. import directives
from ..asked import headers_of
from ..delivery import Body, Delivery, deliver
from ..plan import Plan
from ..stage import Fault, Stage
from ..visits import Visits

FAULTS: dict[str, set[str]] = {
    "unauthorized": set(),
    "rate_limit": {"retry_after"},
    "server_error": set(),
    "raw": {"status", "text", "content_type"},
    "no_words": set(),
    "never_done": set(),
    "garbage": set(),
    "bytewise": {"size"},
    "reset": {"bytes"},
    "cut": {"bytes"},
    "stall": {"bytes"},
    "hang": {"seconds"},
}
REFUSALS = {"unauthorized": 401, "rate_limit": 429, "server_error": 500}


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """All settings and their defaults."""

    keys: list[str] = msgspec.field(default_factory=["polly", "molly"].copy)
    voices: list[str] = msgspec.field(default_factory=["pretty"].copy)
    piece: int = 7
    first_delay: float = 0.0
    piece_delay: float = 0.0


class Service:
    """All state of this process is the stage, the visits and the settings."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.visits = Visits()
        self.stage = Stage(self._forget, self.visits.stats, self._set, FAULTS)

    def app(self) -> web.Application:
        """Everything at its path."""
        app = web.Application()
        app.add_routes([web.post("/say", self._say), web.get("/voices", self._voices), *self.stage.routes()])
        return app

    def _forget(self) -> None:
        self.settings = Settings()
        self.visits.forget()

    def _set(self, raw: dict[str, Any]) -> None:
        self.settings = msgspec.convert(raw, Settings)

    async def _voices(self, request: web.Request) -> web.StreamResponse:
        key, fault = self._comes(request, "voices")
        if (status := self._refusal(key, fault)) is not None:
            return await self._refuse(request, status, fault)
        return web.json_response({"voices": self.settings.voices})

    async def _say(self, request: web.Request) -> web.StreamResponse:
        key, fault = self._comes(request, "chat")
        with self.visits.of(key, request):
            if (status := self._refusal(key, fault)) is not None:
                return await self._refuse(request, status, fault)
            body = await request.json()
            if set(body) != {"voice", "text"} or body["voice"] not in self.settings.voices:
                return await self._refuse(request, 400, None)
            wish = directives.read_transcript(body["text"])
            report = json.dumps({"body": body, "headers": headers_of(request), "key": key}, ensure_ascii=False)
            lines = self._lines(report if wish.report else wish.text or "", wish.pace, fault.name if fault else "")
            kind = {"Content-Type": "application/x-ndjson"}
            how = Plan.of(fault).delivery()
            return await deliver(request, 200, kind, lines, how, lambda **at: self._hung_up(key, at))

    def _comes(self, request: web.Request, route: str) -> tuple[str, Fault | None]:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.stage.note(route, key=key)
        return key, self.stage.fault(route, key)

    def _refusal(self, key: str, fault: Fault | None) -> int | None:
        if fault and fault.name == "raw":
            return int(fault.params.get("status", 200))
        if fault and fault.name in REFUSALS:
            return REFUSALS[fault.name]
        return None if key in self.settings.keys else 401

    async def _refuse(self, request: web.Request, status: int, fault: Fault | None) -> web.StreamResponse:
        params = fault.params if fault else {}
        headers = {"Content-Type": params.get("content_type", "application/json")}
        if "retry_after" in params:
            headers["Retry-After"] = str(params["retry_after"])
        text = params.get("text", json.dumps({"error": f"no: {status}"}))
        return await deliver(request, status, headers, [(0.0, text.encode())], Delivery(framing="length"))

    def _lines(self, text: str, pace: float | None, fault: str) -> Body:
        settings = self.settings
        pieces = (
            []
            if fault == "no_words"
            else [text[at : at + settings.piece] for at in range(0, len(text), settings.piece)]
        )
        wait = settings.piece_delay if pace is None else pace
        for place, piece in enumerate(pieces):
            if fault == "garbage" and place == 1:
                yield 0.0, b"squawk\n"
            yield wait if place else settings.first_delay, _line({"text": piece})
        if fault != "never_done":
            yield 0.0, _line({"done": True})

    def _hung_up(self, key: str, at: dict[str, Any]) -> None:
        self.stage.hung_up(key=key, route="chat", **at)


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
