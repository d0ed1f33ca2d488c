"""The console in this process, on a real Redis, asked as nginx would ask it.

console = await consoles(OPENAI_API_KEY="sk-...")       # by what the environment says
answer = await console.get("status")                    # under /admin/api/v1, with the key
here = console.parts                                    # what it is made of
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from console.app import assembled
from console.application import Application, application
from console.parts import Parts
from parley.configuration.environment import read_settings
from parley.state.fleet import process_name
from tests.schema import check_error
from tests.servers import RedisServer
from tests.shared.state.conftest import look, redis, running_redis

__all__ = ["look", "redis", "running_redis"]

KEY = "console-test-admin-key"
FROM = "203.0.113.7"


@cache
def app() -> Application:
    """All addresses; a request brings the parts along."""
    return application(lambda _: None)  # type: ignore[arg-type,return-value]  # nobody starts it


class Console:
    """A console and a client of it."""

    def __init__(self, parts: Parts, journal: Path) -> None:
        self.parts = parts
        self._journal = journal
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self._asked, raise_app_exceptions=False),
            base_url="http://console/admin/api/v1",
            headers={"authorization": f"Bearer {KEY}", "x-forwarded-for": FROM},
        )

    async def _asked(self, scope: Scope, receive: Receive, send: Send) -> None:
        await app()({**scope, "state": {"parts": self.parts}}, receive, send)

    async def get(self, path: str, **query: Any) -> Any:
        """What is told, where all goes well."""
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, method: str, path: str, status: int, **more: Any) -> dict[str, Any]:
        """The envelope's error, where it does not."""
        answer = await self.client.request(method, path, **more)
        assert answer.status_code == status, answer.text
        check_error(answer.json())
        error: dict[str, Any] = answer.json()["error"]
        return error

    async def records(self) -> list[dict[str, Any]]:
        """The lines of the journal so far."""
        await self.parts.journal.close()
        return [json.loads(line) for line in self._journal.read_text().splitlines()]


Consoles = Callable[..., Awaitable[Console]]


@pytest.fixture
async def consoles(redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Consoles]:
    monkeypatch.chdir(tmp_path)
    async with AsyncExitStack() as stack:

        async def made(**environment: str) -> Console:
            told = {
                "ADMIN_KEY": KEY,
                "REDIS_URL": redis.url,
                "PARLEY_STATE_DIR": str(tmp_path / "state"),
                **environment,
            }
            settings = read_settings(_env_file=None, **{name.lower(): value or None for name, value in told.items()})
            file = tmp_path / "journal"
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            stack.callback(os.close, descriptor)
            parts = await stack.enter_async_context(assembled(settings, process_name("console"), descriptor=descriptor))
            console = Console(parts, file)
            await stack.enter_async_context(console.client)
            return console

        yield made


@pytest.fixture
async def console(consoles: Consoles) -> Console:
    """One with three credentials of one upstream."""
    return await consoles(OPENAI_CREDENTIALS=json.dumps([{"value": f"sk-{n}{n}{n}", "alias": n} for n in "abc"]))
