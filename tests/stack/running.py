"""The whole stack for the length of a `with` block: nginx, Redis, several gateways, a keeper, as users start it.

    with Stack({"OPENAI_BASE_URL": ...}, gateways=4) as stack:
        stack.client().chat.completions.create(...)
        stack.kill(stack.gateways[0])

It is `parley up --json`, in a folder of its own, ended by its own pid; logs are kept and can be read as records.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import openai
import redis

KEY = "stack-test-key"
ADMIN_KEY = "stack-test-admin-key"


@dataclass(frozen=True)
class Part:
    """One process of the stack."""

    name: str
    pid: int
    url: str | None
    log: Path


class Stack:
    """One running stack; `url` is nginx, without a trailing slash."""

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        gateways: int = 4,
        keepers: int = 1,
        console: bool = False,
        files: Mapping[str, str] | None = None,
    ):
        self._settings = {"API_MASTER_KEY": KEY, **({"ADMIN_KEY": ADMIN_KEY} if console else {}), **(settings or {})}
        self._files = files or {}
        self._counts = (gateways, keepers, int(console))
        self._process: subprocess.Popen[str] | None = None
        self.outages = 0

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="parley-stack-")
        self.folder = Path(self._folder.name)
        for name, text in self._files.items():
            (self.folder / name).write_text(text)
        # Nothing of the tester's own environment reaches the stack but what a process needs to run.
        kept = {
            name: os.environ[name]
            for name in ("PATH", "PYTHONPATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
            if name in os.environ
        }
        gateways, keepers, consoles = map(str, self._counts)
        words = ["up", "--gateways", gateways, "--keepers", keepers, "--consoles", consoles, "--port", "0", "--json"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "command", *words, "--state-dir", str(self.folder / "state")],
            cwd=self.folder,
            env={**kept, **self._settings},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)  # `with` calls it only after this method returned
            raise
        return self

    def _wait(self) -> None:
        """Read the line that says that all is ready."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the stack ended with {self._process.wait()} before it was ready\n{self.logs()}")
        told = json.loads(line)
        self.url: str = told["url"]
        self.redis_url: str = told["redis_url"] or self._settings["REDIS_URL"]
        self.redis = _part(told["redis"]) if told["redis"] else None
        self.nginx = _part(told["nginx"])
        self.gateways = [_part(part) for part in told["gateways"]]
        self.keepers = [_part(part) for part in told["keepers"]]
        self.consoles = [_part(part) for part in told["consoles"]]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()
        if kind is not None:
            sys.stderr.write(self.logs())
        self._folder.cleanup()

    def admin(self) -> httpx.Client:
        """The admin API, through nginx, for who has its key; paths are relative (`status`)."""
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        return httpx.Client(base_url=f"{self.url}/admin/api/v1", headers=headers, timeout=60)

    def client(self, **options: Any) -> openai.OpenAI:
        """The official client, pointed at nginx; it does not retry, so that a test sees what was said."""
        return openai.OpenAI(**{"base_url": f"{self.url}/v1", "api_key": KEY, "max_retries": 0, **options})

    def async_client(self, **options: Any) -> openai.AsyncOpenAI:
        """The same, for many requests at a time."""
        http = httpx.AsyncClient(limits=httpx.Limits(max_connections=1000), timeout=120)
        return openai.AsyncOpenAI(
            **{"base_url": f"{self.url}/v1", "api_key": KEY, "max_retries": 0, "http_client": http, **options}
        )

    def ask(self, text: str, *, model: str = "echo", stream: bool = False, **more: Any) -> httpx.Response:
        """One plain HTTP request."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream, **more}
        return httpx.post(
            f"{self.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {KEY}"}, timeout=60
        )

    def store(self) -> redis.Redis:
        """A plain client of the stack's Redis."""
        return redis.Redis.from_url(self.redis_url, decode_responses=True)

    def signal(self, part: Part, number: signal.Signals) -> None:
        """Send a signal to one part, by its pid."""
        os.kill(part.pid, number)

    def kill(self, part: Part) -> None:
        """End one part as a crash does, with every process of its group (a gunicorn master and its worker)."""
        os.killpg(os.getpgid(part.pid), signal.SIGKILL)

    def revive(self) -> None:
        """Start again what died, at its address; return when it answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)
        self._wait()

    def records(self, request_id: str | None = None) -> list[dict[str, Any]]:
        """The request records of all gateways so far."""
        found: list[dict[str, Any]] = []
        for gateway in self.gateways:
            lines = gateway.log.read_text().splitlines()
            requests = (line for line in lines if '"event":"request"' in line)
            found += [json.loads(line) for line in requests if request_id is None or request_id in line]
        return found

    def logs(self) -> str:
        """The end of every part's log."""
        files = sorted((self.folder / "state" / "logs").glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-4000:]}" for file in files)


def until(true: Callable[[], bool], seconds: float = 10.0, why: str = "it never came true") -> float:
    """Wait for something to come true; seconds it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, why
        time.sleep(0.02)
    return time.monotonic() - began


def _part(told: Mapping[str, Any]) -> Part:
    return Part(told["name"], told["pid"], told["url"], Path(told["log"]))
