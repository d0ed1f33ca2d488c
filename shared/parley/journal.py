"""What a process says on standard output: one JSON object a line.

`Journal` writes the records of requests: cheap for the event loop, which only encodes them; a thread writes them a few
times a second. Everything else goes through the standard library's logging with `Lines` as the formatter. An exception
is shown by its type and where it came from, never by its text: the text may hold what we were sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from parley.clock import now

_FLUSH_SECONDS: Final = 0.1
_CLOSE_SECONDS: Final = 2.0
_MOST_LINES: Final = 20_000
"""Records kept while standard output takes nothing; what is beyond is dropped and counted."""
_LEVELS: Final = {"failed": "warning"}
_QUIET: Final = ("httpx", "httpcore", "aiohttp", "websockets", "urllib3", "cloudscraper", "asyncio", "uvicorn.access")
"""Libraries whose chatter may quote headers or addresses: only their warnings are heard."""

_encode = msgspec.json.Encoder(enc_hook=str).encode


def replica_name() -> str:
    """This process's name in logs: host and process id."""
    return f"{socket.gethostname()}-{os.getpid()}"


def timestamp(moment: float) -> str:
    """A moment as RFC 3339, in milliseconds, UTC."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _line(shape: dict[str, Any]) -> bytes:
    try:
        return _encode(shape)
    except UnicodeEncodeError:  # half a character, which somebody sent: shown as an escape
        return json.dumps(shape, default=str).encode()


class Journal:
    """Records of requests, written soon and in order."""

    def __init__(self, service: str, replica: str, descriptor: int = 1) -> None:
        self._common = {"service": service, "replica": replica}
        self._descriptor = descriptor
        self._lines: list[bytes] = []
        self._dropped = 0
        self._writing: asyncio.Task[None] | None = None

    def write(self, record: dict[str, Any]) -> bytes:
        """Take a record; call it in the event loop. Returns its line, or nothing when it was dropped."""
        if len(self._lines) >= _MOST_LINES:
            self._dropped += 1
            return b""
        level = _LEVELS.get(record.get("outcome", ""), "info")
        line = _line({"time": timestamp(now()), "level": level, **self._common, **record})
        self._lines.append(line)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._soon())
        return line

    async def close(self) -> None:
        """Write what is left, as far as somebody takes it soon."""
        if self._writing is not None:
            await asyncio.wait((self._writing,), timeout=_CLOSE_SECONDS)

    async def _soon(self) -> None:
        while self._lines or self._dropped:
            await asyncio.sleep(_FLUSH_SECONDS)
            await asyncio.to_thread(self._write, self._take())
        self._writing = None

    def _take(self) -> bytes:
        lines, self._lines = self._lines, []
        if self._dropped:
            lines.append(
                _encode({"time": timestamp(now()), "level": "error", **self._common, "dropped": self._dropped})
            )
            self._dropped = 0
        return b"".join(line + b"\n" for line in lines)

    def _write(self, text: bytes) -> None:
        view = memoryview(text)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except OSError:
                return  # nobody listens; there is nowhere to say so


class Lines(logging.Formatter):
    """Log records as JSON lines."""

    def __init__(self, service: str, replica: str) -> None:
        super().__init__()
        self._common = {"service": service, "replica": replica}

    def format(self, record: logging.LogRecord) -> str:
        """One line; `extra={"facts": {...}}` adds members."""
        line: dict[str, Any] = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            **self._common,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = told_apart(record.exc_info[1])
        return _line(line).decode()


def told_apart(problem: BaseException) -> list[dict[str, Any]]:
    """An exception and its causes, by type and place, outermost first."""
    told: list[dict[str, Any]] = []
    seen: set[int] = set()
    current: BaseException | None = problem
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = traceback.extract_tb(current.__traceback__)
        told.append(
            {
                "type": f"{type(current).__module__}.{type(current).__qualname__}",
                "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
            }
        )
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return told


def start_logging(service: str, replica: str, level: str) -> None:
    """All logging of this process as JSON lines on standard output."""
    out = logging.StreamHandler(sys.stdout)
    out.setFormatter(Lines(service, replica))
    root = logging.getLogger()
    root.handlers[:] = [out]
    root.setLevel(level)
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        if name.startswith(("uvicorn", "gunicorn")):
            logger.handlers.clear()
            logger.propagate = True
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
