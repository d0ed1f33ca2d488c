"""Logging of every service: one JSON object a line on standard output, with the service, the replica and the time.

Secrets cannot get here: they are of a type without a string form (`parley.sealed`). What a library logs about requests
(URLs, headers) is switched off below WARNING.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CHATTY: Final = ("httpx", "httpcore", "urllib3", "websockets", "asyncio", "aiohttp")


def replica() -> str:
    """The name of this process among its likes: the container's, with the process id where several share a machine."""
    return f"{socket.gethostname()}-{os.getpid()}"


class JSONFormatter(logging.Formatter):
    """A log record as one JSON line; facts given as `extra` become members."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._fixed = {"service": service, "replica": replica()}

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            **self._fixed,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({name: value for name, value in vars(record).items() if name not in _STANDARD})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=repr).decode()


def configure_logging(service: str, level: str) -> None:
    """Send all logging of this process to standard output as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JSONFormatter(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
