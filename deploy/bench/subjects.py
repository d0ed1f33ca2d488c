"""What is measured: the upstream itself, a plain nginx before it, and all of Parley before it.

Each is a context manager that leaves no process behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import native
import trees

from command import programs

_loopback = build_opener(ProxyHandler({}))  # a proxy from the environment has no business on loopback

ROUTED = "routed"
"""A model name that is a route."""

PLAIN_NGINX = """
daemon off; worker_processes 1; error_log {folder}/error.log; pid {folder}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream bench {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 1000000;
    location / {{
      proxy_pass http://bench; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; client_body_buffer_size 64k; proxy_read_timeout 1h;
    }}
  }}
}}
"""


LIMITS = """
keys:
  - name: bench
    key: {key}
    limits:
      {{requests_per_minute: 1000000000, tokens_per_minute: 1000000000000, concurrency: 1000000,
       budgets: [{{unit: money, amount: 1000000000, period: month}}]}}
prices: {{models: [{{model: "**", prompt: 1, completion: 2}}]}}
limits: [{{model: "**", requests_per_day: 1000000000}}]
routes: [{{model: {routed}, targets: [openai/{target}, openai/{target}], strategy: round-robin}}]
"""
"""What is on while Parley is measured: limits of a key and of models, that are never reached."""


class NotStartedError(Exception):
    """Something to be measured did not start; the sentence is for the user."""


@dataclass
class Subject:
    """A front door and the processes behind it, by the part that they play."""

    name: str
    port: int
    key: str = ""
    parts: dict[str, list[int]] = field(default_factory=dict)
    redis_url: str = ""
    master_key: str = ""
    """Nothing is limited for it; `key` has limits."""

    @property
    def tree(self) -> list[int]:
        """The processes whose cost is the request's: all but Redis and the keeper, which are told apart."""
        return [pid for part, pids in self.parts.items() if part not in ("redis", "keeper") for pid in pids]

    @property
    def replicas(self) -> list[list[int]]:
        """The gateways, each with its children: one replica is gunicorn's master and its worker."""
        pids = self.parts.get("gateway", [])
        families = [trees.family(pid) for pid in pids]
        children = {pid for family in families for pid in family[1:]}
        return [family for family in families if family[0] not in children]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url: str, key: str = "", timeout: float = 2) -> Any:
    """The JSON of a page on loopback."""
    with _loopback.open(
        Request(url, headers={"Authorization": f"Bearer {key}"} if key else {}), timeout=timeout
    ) as answer:
        return json.load(answer)


@contextlib.contextmanager
def upstream(models: list[str], cores: set[int] | None) -> Iterator[Subject]:
    """The C upstream, on the load's cores."""
    command = native.on_cores([str(native.tool("upstream")), *models], cores)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise NotStartedError("the bench's upstream did not start")
        yield Subject("upstream", json.loads(line)["port"], parts={"upstream": [process.pid]})
    finally:
        _end(process)


@contextlib.contextmanager
def plain_nginx(
    upstream_port: int, cores: set[int] | None, name: str = "nginx", program: str = ""
) -> Iterator[Subject]:
    """One worker, `proxy_pass`, kept-alive connections, no access log: what any proxy has to do, and no more."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        port = free_port()
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(PLAIN_NGINX.format(folder=folder, upstream=upstream_port, port=port))
        command = [program or find_nginx(), "-p", folder, "-e", f"{folder}/error.log", "-c", str(configuration)]
        process = subprocess.Popen(native.on_cores(command, cores), stdin=subprocess.DEVNULL)
        try:
            _wait_for(port, process, "nginx")
            yield Subject(name, port, parts={"nginx": _with_worker(process)})
        finally:
            _end(process, signal.SIGQUIT)


@contextlib.contextmanager
def parley(
    upstream_port: int, models: list[str], cores: set[int] | None, apart: set[int] | None, gateways: int
) -> Iterator[Subject]:
    """`parley up` as a user starts it; gateways and nginx on `cores`, Redis and the keeper on `apart`."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        key, limited = (f"sk-bench-{secrets.token_hex(16)}" for _ in range(2))
        limits = LIMITS.format(key=limited, routed=ROUTED, target=models[0])
        Path(folder, "parley.yaml").write_text(limits)
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ} | {
            "OPENAI_API_KEY": f"sk-bench-{secrets.token_hex(16)}",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream_port}/v1",
            "API_MASTER_KEY": key,
            "NGINX_WORKERS": str(len(cores or [0])),  # as the plain one has
        }
        command = [sys.executable, "-m", "command", "up", "--gateways", str(gateways), "--port", "0", "--json"]
        ready, errors = Path(folder, "ready"), Path(folder, "errors")
        with ready.open("w") as out, errors.open("w") as err:
            process = subprocess.Popen(
                native.on_cores(command, cores),
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        try:
            told = _first_json(ready, process, folder)
            parts = {
                "nginx": trees.family(told["nginx"]["pid"]),
                "gateway": [pid for gateway in told["gateways"] for pid in trees.family(gateway["pid"])],
                "keeper": [pid for keeper in told["keepers"] for pid in trees.family(keeper["pid"])],
                "redis": trees.family(told["redis"]["pid"]),
                "up": [process.pid],
            }
            subject = Subject("parley", told["port"], limited, parts, told["redis_url"], key)
            _wait_for_models(subject, models, folder)
            if apart:
                trees.keep_to(parts["redis"] + parts["keeper"], apart)
            yield subject
        finally:
            _end(process)


def _with_worker(master: subprocess.Popen[bytes], patience: float = 10) -> list[int]:
    """The master and its worker: it listens a moment before it forks, and by itself uses no CPU at all."""
    until = time.monotonic() + patience
    while len(family := trees.family(master.pid)) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    return family


def find_nginx() -> str:
    """The nginx that Parley would use: the comparison is of what stands behind it."""
    try:
        return str(programs.nginx())
    except programs.ProgramMissing as missing:
        raise NotStartedError(str(missing)) from missing


def _first_json(path: Path, process: subprocess.Popen[bytes], folder: str, patience: float = 60) -> dict[str, Any]:
    until = time.monotonic() + patience
    while time.monotonic() < until and process.poll() is None:
        line, newline, _ = path.read_text().partition("\n")
        if newline:
            return json.loads(line)
        time.sleep(0.05)
    raise NotStartedError(f"parley up did not become ready; its last words:\n{_last_words(folder)}")


def _wait_for_models(subject: Subject, models: list[str], folder: str, patience: float = 30) -> None:
    """Ready is one thing; that the models of the upstream have been discovered is another."""
    until, last = time.monotonic() + patience, "nothing"
    while time.monotonic() < until:
        try:
            page = get(f"http://127.0.0.1:{subject.port}/v1/models", subject.key)
        except (OSError, ValueError) as error:
            last = str(error)
        else:
            listed = {model["id"].rpartition("/")[2] for model in page["data"]}
            if listed >= set(models):
                return
            last = f"only {sorted(listed)}"
        time.sleep(0.2)
    raise NotStartedError(
        f"Parley does not list the upstream's models ({last}); its last words:\n{_last_words(folder)}"
    )


def _last_words(folder: str, lines: int = 12) -> str:
    """The ends of all that Parley's parts wrote."""
    said = []
    for log in (Path(folder, "errors"), *sorted(Path(folder).glob("**/logs/*.log"))):
        if words := log.read_text(errors="replace").splitlines()[-lines:]:
            said += [f"--- {log.name}", *words]
    return "\n".join(said) or "none"


def _wait_for(port: int, process: subprocess.Popen[bytes], name: str, patience: float = 10) -> None:
    until = time.monotonic() + patience
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise NotStartedError(f"{name} did not start")


def _end(process: subprocess.Popen[Any], gently: signal.Signals = signal.SIGTERM) -> None:
    """The process and its children, by their pids: first asked, then, 15 s later, not."""
    family = trees.family(process.pid)
    process.send_signal(gently)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
