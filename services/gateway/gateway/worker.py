"""The gunicorn worker: uvicorn with uvloop and httptools, and nothing on that nginx or the gateway already does."""

from __future__ import annotations

import os
from typing import Any

from uvicorn_worker import UvicornWorker

from gateway.protocol import GatewayProtocol

GRACEFUL_SECONDS = float(os.environ.get("GRACEFUL_SECONDS") or 75)


class GatewayWorker(UvicornWorker):  # type: ignore[misc]  # uvicorn_worker has no types
    """One event loop that serves the gateway."""

    CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012  # the name and shape that UvicornWorker reads
        "loop": "uvloop",
        "http": GatewayProtocol,  # httptools
        "ws": "none",
        "lifespan": "on",
        "access_log": False,  # one request, one record, written by the gateway itself
        "server_header": False,
        "proxy_headers": False,  # the gateway reads X-Forwarded-For by its own rule (TRUSTED_PROXIES)
        # What still runs then is cancelled, so that leases go back; gunicorn's SIGKILL comes a little later.
        "timeout_graceful_shutdown": max(1, round(GRACEFUL_SECONDS)),
    }
