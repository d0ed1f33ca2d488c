"""The gateway's whole front (entrance, pages, chat) on a real socket, with a scripted conversation behind it.

A test writes what is said as an async generator function of (prompt, tally):

    async def hello(prompt, tally):
        yield Text("hello")
        yield Stop("stop")

    with Front(hello) as front:
        httpx.post(f"{front.url}/v1/chat/completions", ...)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import uvicorn

from gateway.accounting import Tally
from gateway.api import VERSION, application
from gateway.auth import Doorkeeper
from gateway.books import Books
from gateway.current import Snapshot
from gateway.delivery import Pulse
from gateway.figures import Figures
from gateway.health import Health
from gateway.parts import Parts
from gateway.protocol import GatewayProtocol
from gateway.routing import Directory
from parley.catalog import Caller, Catalog, Upstream
from parley.chat.answer import Answer
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.configuration.families import Environment
from parley.journal import Journal
from parley.prices import Prices
from parley.sealed import Secret
from parley.state.guesses import Guesses
from parley.state.line import Line
from parley.state.meter import Meter
from parley.visitors import Visitors

Script = Callable[[Prompt, Tally], Events]

CATALOG = Catalog(
    {
        "one": Upstream("one", "openai", models=("plain", "org/model:fast", "ümlaut")),
        "two": Upstream("two", "openai", models=("plain",)),
    }
)


class Mute:
    """A provider that nobody asks: the script answers instead."""

    features: frozenset[Any] = frozenset()

    def stream(self, prompt: Prompt, lease: object) -> Any:
        raise AssertionError("the script answers")


class Front:
    """One running front. `closed` tells when the script's generator was closed."""

    def __init__(self, script: Script, *, key: str | None = None, grace: float = 5.0, heartbeat: float = 15.0,
                 origins: tuple[str, ...] = ("*",), **settings: Any) -> None:  # fmt: skip
        self._script = script
        self._key = key
        self._pace = grace, heartbeat
        self._settings = Environment(_env_file=None, **settings)
        self._origins = origins
        self._journal_file = Path(tempfile.mkstemp(prefix="parley-journal-")[1])
        self.status: dict[str, Any] = {
            "redis": {"status": "ok", "since": 0.0},
            "processes": ["keeper-1"],
            "leases": 0,
            "upstreams": {},
        }
        self.prices = Prices()
        self.closed = threading.Event()
        self.asked: list[Prompt] = []

    async def _converse(
        self, directory: Directory, prompt: Prompt, caller: Caller, tally: Tally, said: Answer
    ) -> Events:
        self.asked.append(prompt)
        try:
            async with aclosing(self._script(prompt, tally)) as events:
                async for event in events:
                    said.add(event)
                    yield event
        finally:
            self.closed.set()

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: object) -> AsyncIterator[dict[str, Any]]:
        descriptor = os.open(self._journal_file, os.O_WRONLY | os.O_APPEND)
        journal = Journal("gateway", "test-1", descriptor)
        visitors = Visitors(self._settings.trusted_proxies)
        doorkeeper = Doorkeeper(Secret(self._key) if self._key else None)
        directory = Directory(CATALOG, {"one": Mute(), "two": Mute()})
        pulse = Pulse(*self._pace)
        health = Health("test-1", VERSION, lambda: doorkeeper.open, lambda: self.status)
        beating = asyncio.create_task(pulse.run())
        line = Line(Secret("redis://127.0.0.1:1/0"), "gateway-test-1")  # never opened: nobody is there
        meter = Meter(line)
        figures = Figures(VERSION, line, meter, lambda _: "openai", lambda: 0)
        books = Books(journal.write, meter, figures, lambda: self.prices)
        current: Any = SimpleNamespace(snapshot=Snapshot(CATALOG, directory, doorkeeper))
        guesses = Guesses(line, limit=self._settings.wrong_keys_per_minute)
        yield {
            "parts": Parts(self._settings, visitors, current, guesses, self._converse, pulse, journal, books, health)
        }
        beating.cancel()
        await journal.close()
        os.close(descriptor)

    def __enter__(self) -> Self:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            application(self._lifespan, self._origins), loop="uvloop", http=GatewayProtocol, lifespan="on",
            log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline, "the front did not start"
            time.sleep(0.005)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()

    def records(self, count: int = 1) -> list[dict[str, Any]]:
        """The journal, once it has so many lines."""
        deadline = time.monotonic() + 5
        while True:
            lines = self._journal_file.read_text().splitlines()
            if len(lines) >= count:
                return [json.loads(line) for line in lines]
            assert time.monotonic() < deadline, f"{len(lines)} lines in the journal, not {count}"
            time.sleep(0.01)
