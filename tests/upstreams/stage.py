"""What every stand-in upstream shares: one process, a control API under `/__emu__/`, queued faults, counters.

A stand-in is started as `python -m tests.upstreams.NAME [--port N]`; it prints one line, `{"port": N}`, when it
listens on 127.0.0.1, and ends on SIGTERM. Tests steer it over HTTP:

    POST /__emu__/reset                      forget faults, counters and state
    POST /__emu__/heal                       forget faults only
    POST /__emu__/set     {name: value}      settings of this stand-in (its module lists them)
    POST /__emu__/faults  {"name": ..., "times": 1 | null, "after": 0, "route": null, "credential": null,
                           "probability": 1.0, "params": {}}
    GET  /__emu__/stats                      {"counts": {...}, "log": [...], "hangups": [...], "frames": [...], ...}

A fault applies to the next `times` requests (null: until reset) that match its route and credential, after letting
`after` matching requests pass. Its route also matches the routes below it (`rpc` matches `rpc/db/get_chat_session`).
A setting or a fault that the stand-in does not know is refused with 400. Times in logs are `time.time()` seconds, so
that a test in another process compares.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Mapping
from typing import Any

import msgspec
from aiohttp import web

frames: list[int] = []
"""Where each frame of the newest streamed HTTP answer of this process ended, in bytes of its body."""


class Fault(msgspec.Struct):
    """One thing that goes wrong on purpose; `params` depend on the fault's name."""

    name: str
    times: int | None = 1
    after: int = 0
    route: str | None = None
    credential: str | None = None
    probability: float = 1.0
    params: dict[str, Any] = {}

    def matches(self, route: str, credential: str | None) -> bool:
        """Whether this request is one of those meant."""
        below = self.route is None or route == self.route or route.startswith(self.route.rstrip("/") + "/")
        return below and self.credential in (None, credential)


class Stage:
    """The steering wheel of one stand-in: faults waiting to happen, counters, and what was seen."""

    def __init__(
        self,
        on_reset: Callable[[], None] = lambda: None,
        more_stats: Callable[[], dict[str, Any]] = dict,
        on_set: Callable[[dict[str, Any]], None] = lambda _: None,
        known_faults: Container[str] | None = None,
    ):
        """`on_set` sees all settings before they count and raises ValueError to refuse them.

        `known_faults` are names, or a mapping of each name to the params that it takes.
        """
        self.faults: list[Fault] = []
        self.counts: Counter[str] = Counter()
        self.log: list[dict[str, Any]] = []
        self.hangups: list[dict[str, Any]] = []
        self.settings: dict[str, Any] = {}
        self._on_reset = on_reset
        self._more_stats = more_stats
        self._on_set = on_set
        self._known_faults = known_faults
        self._dice = random.Random(0)  # the same run of luck in every process

    def fault(self, route: str, credential: str | None = None, among: Container[str] | None = None) -> Fault | None:
        """Take the first queued fault that matches this request (and is `among` these names), or None."""
        for fault in self.faults:
            if not fault.matches(route, credential) or (among is not None and fault.name not in among):
                continue
            if fault.after > 0:
                fault.after -= 1
                return None
            if self._dice.random() >= fault.probability:
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
            self.counts[f"fault:{fault.name}"] += 1
            return fault
        return None

    def note(self, what: str, **facts: Any) -> None:
        """Count `what`, and keep its facts in the log with the time."""
        self.counts[what] += 1
        self.log.append({"what": what, "at": time.time(), **facts})

    def hung_up(self, **facts: Any) -> None:
        """Record that the client closed the connection before the answer was complete."""
        self.counts["hangup"] += 1
        self.hangups.append({"at": time.time(), **facts})

    def app(self, visit: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Application:
        """The control API, and one door for everything else: what is not offered is refused as the vendor does it."""
        app = web.Application(client_max_size=64 << 20)
        app.add_routes(self.routes())
        app.router.add_route("*", "/{anything:.*}", visit)
        return app

    def routes(self) -> list[web.RouteDef]:
        """The control API."""
        return [
            web.post("/__emu__/reset", self._reset),
            web.post("/__emu__/heal", self._heal),
            web.post("/__emu__/set", self._set),
            web.post("/__emu__/faults", self._add_fault),
            web.get("/__emu__/stats", self._stats),
        ]

    async def _reset(self, _: web.Request) -> web.Response:
        for box in (self.faults, self.counts, self.log, self.hangups, self.settings):
            box.clear()
        self._dice.seed(0)
        self._on_reset()
        return web.json_response({})

    async def _heal(self, _: web.Request) -> web.Response:
        self.faults.clear()
        return web.json_response({})

    async def _set(self, request: web.Request) -> web.Response:
        settings = {**self.settings, **await request.json()}
        try:
            self._on_set(settings)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        self.settings.update(settings)
        return web.json_response(self.settings)

    async def _add_fault(self, request: web.Request) -> web.Response:
        try:
            fault = msgspec.convert(await request.json(), Fault)
        except msgspec.ValidationError as error:
            return web.json_response({"error": str(error)}, status=400)
        if self._known_faults is not None and fault.name not in self._known_faults:
            return web.json_response({"error": f"no fault is called {fault.name!r}"}, status=400)
        if isinstance(self._known_faults, Mapping) and (slips := fault.params.keys() - self._known_faults[fault.name]):
            return web.json_response({"error": f"{fault.name} has no {', '.join(sorted(slips))}"}, status=400)
        self.faults.append(fault)
        return web.json_response({"queued": len(self.faults)})

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"counts": dict(self.counts), "log": self.log, "hangups": self.hangups, "frames": frames}
            | self._more_stats()
        )


def reset_connection(request: web.Request) -> None:
    """Break the socket as a crashed peer does: RST, no terminal chunk, no FIN."""
    transport = request.transport
    if transport is None:
        return
    # Without a zero linger, closing a socket sends FIN, which reads as a polite end of the body.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def serve(app: web.Application, argv: list[str] | None = None) -> None:
    """Run one stand-in until SIGTERM; its handlers are cancelled when their client hangs up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    port = parser.parse_args(argv).port

    async def main() -> None:
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
        await site.start()
        print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        await ended.wait()
        await runner.cleanup()

    asyncio.run(main())
    sys.exit(0)
