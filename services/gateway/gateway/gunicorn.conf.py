# ruff: noqa: N999  # the name that gunicorn gave such files
"""How gunicorn runs the gateway. `python -m gateway` starts it with this file."""

import gc
import os
import signal
from pathlib import Path
from typing import Any

# Imported before gunicorn listens: from then on its socket takes connections, and a replica that still imports would
# let them wait for seconds. The worker then shares the imported pages with its master, too.
import gateway.app  # noqa: F401
from gateway.worker import GRACEFUL_SECONDS
from parley.tether import tether

gc.freeze()  # a collection would write to every object's page, and the pages would no longer be shared
gc.enable()

wsgi_app = "gateway.app:create_app()"
worker_class = "gateway.worker.GatewayWorker"
# On a user's machine nobody else should reach a gateway past nginx; the image sets 0.0.0.0:8000.
bind = [os.environ.get("GATEWAY_BIND") or "127.0.0.1:8000"]
if _socket := os.environ.get("GATEWAY_SOCKET"):  # of an nginx on the same machine: a hop without TCP costs less
    bind.append(f"unix:{_socket}")
umask = 0o077  # the socket is our user's alone
workers = int(os.environ.get("WEB_CONCURRENCY") or 1)  # replicas scale better than workers: nginx sees each of them
backlog = 2048

keepalive = 75  # longer than nginx keeps an idle connection (60 s): the side that closes first must be nginx
timeout = 60  # seconds an event loop may be stuck; a long stream does not count, the loop goes on beating
graceful_timeout = round(GRACEFUL_SECONDS) + 5  # SIGTERM: running answers may end; must stay under stop_grace_period

loglevel = "warning"
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) and Path("/dev/shm").is_dir() else None  # noqa: S108  # a memory disk, so that a beat never waits for a drive
control_socket_disable = True  # it would want a writable home


def post_fork(_arbiter: Any, _worker: Any) -> None:
    """A worker whose master was killed would go on serving, unseen by anybody; it goes with its master."""
    tether(signal.SIGKILL)
