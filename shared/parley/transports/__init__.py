"""How bytes travel. A provider gets the process's transports as one `Net`."""

from __future__ import annotations

from dataclasses import dataclass

from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets


@dataclass(frozen=True, slots=True)
class Net:
    """The transports of one process; tests pass their own."""

    http: HTTP
    websockets: WebSockets
    browser: Browser

    async def aclose(self) -> None:
        """Close every idle connection and thread."""
        await self.http.aclose()
        await self.browser.aclose()
