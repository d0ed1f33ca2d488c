"""`python -m console`: uvicorn, one process, which serves `console.app`.

`CONSOLE_BIND` says where (HOST:PORT, else 127.0.0.1:8002).
"""

from __future__ import annotations

import gc

gc.disable()  # what imports make stays, and looking through it again and again is a sixth of the start

import os
import sys
from typing import Final

import uvicorn

from console.app import create_app
from parley.configuration import read_catalog
from parley.configuration.environment import read_settings
from parley.settings import ConfigurationError

gc.freeze()
gc.enable()

_UNUSABLE: Final = 2


def main() -> int:
    """Serve until SIGTERM or SIGINT. Exit code 2: the configuration cannot be used, and a sentence says why."""
    try:
        read_catalog(read_settings())  # `console.app` reads it again; here a mistake is one line and no traceback
        host, port = bind(os.environ.get("CONSOLE_BIND") or "127.0.0.1:8002")
    except ConfigurationError as problem:
        print(f"console: {problem}", file=sys.stderr)  # noqa: T201  # the one thing to see when it does not start
        return _UNUSABLE
    uvicorn.run(
        create_app,
        factory=True,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,  # the lifespan sets up logging, as JSON lines
        access_log=False,  # one request, one record, written by the console itself
        server_header=False,
        proxy_headers=False,  # X-Forwarded-For is read by our own rule (TRUSTED_PROXIES)
        timeout_keep_alive=75,  # longer than nginx keeps an idle connection (60 s)
        timeout_graceful_shutdown=5,
    )
    return 0


def bind(text: str) -> tuple[str, int]:
    """Host and port. Raises ConfigurationError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(f"CONSOLE_BIND is '{text}'; it must be HOST:PORT, for example 127.0.0.1:8002.")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    sys.exit(main())
