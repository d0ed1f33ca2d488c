"""Around a provider: the stand-in that a test file names (`STAND_IN = "openai"`), and the transports of a process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets
from tests.upstreams.running import Emulator


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """The stand-in, for the length of a file."""
    with Emulator(request.module.STAND_IN) as emulator:
        yield emulator


@pytest.fixture
def service(running: Emulator) -> Emulator:
    """The stand-in, as if it had just begun."""
    running.reset()
    return running


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    """All transports; nothing of them outlives a test."""
    made = Net(HTTP(), WebSockets(), Browser(threads=8))
    yield made
    await made.aclose()
