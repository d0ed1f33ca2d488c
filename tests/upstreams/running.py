"""A stand-in upstream in a process of its own, for the length of a `with` block.

    with Emulator("h2ogpte") as upstream:
        upstream.set(first_token_delay=0.2)
        upstream.fault("rpc_401", times=2)
        ...                                     # traffic to upstream.url
        assert upstream.stats()["counts"]["guests_issued"] == 1

It runs `python -m tests.upstreams.NAME` from the repository's root with this interpreter, and is ended by its own pid.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

ROOT = Path(__file__).resolve().parents[2]
_loopback = build_opener(ProxyHandler({}))  # a proxy from the environment has no business on loopback


class Emulator:
    """One running stand-in; `url` has no trailing slash, standard error is ours."""

    def __init__(self, name: str, *arguments: str, port: int = 0):
        self.name = name
        self.port = port
        self._command = [sys.executable, "-m", f"tests.upstreams.{name}", "--port", str(port), *arguments]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"stand-in {self.name!r} ended with {self._process.wait()} before it listened")
        self.port = json.loads(line)["port"]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process; a second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()

    def kill(self) -> None:
        """End the process as a crash does: no goodbye on any socket."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def set(self, **settings: Any) -> dict[str, Any]:
        """Change settings of the stand-in (its module lists them); the others stay."""
        known: dict[str, Any] = self.control("POST", "set", settings)
        return known

    def fault(
        self,
        name: str,
        times: int | None = 1,
        *,
        after: int = 0,
        route: str | None = None,
        credential: str | None = None,
        probability: float = 1.0,
        **params: Any,
    ) -> None:
        """Queue something to go wrong; `times=None` means until `reset`."""
        where = {"route": route, "credential": credential, "probability": probability}
        self.control("POST", "faults", {"name": name, "times": times, "after": after, **where, "params": params})

    def stats(self) -> dict[str, Any]:
        """Counters, log, hang-ups and what else the stand-in tells."""
        told: dict[str, Any] = self.control("GET", "stats")
        return told

    def until(self, true: Callable[[dict[str, Any]], Any], seconds: float = 3.0) -> dict[str, Any]:
        """The first stats for which `true(stats)` holds; fails loudly when they never come."""
        deadline = time.monotonic() + seconds
        while not true(stats := self.stats()):
            if time.monotonic() > deadline:
                raise AssertionError(f"never came true within {seconds} s; last stats: {json.dumps(stats)[:4000]}")
            time.sleep(0.02)
        return stats

    def reset(self) -> None:
        """Forget settings, faults, counters and state."""
        self.control("POST", "reset", {})

    def heal(self) -> None:
        """Forget faults only."""
        self.control("POST", "heal", {})

    def control(self, method: str, name: str, body: Any = None) -> Any:
        """One call of the control API under `/__emu__/`."""
        content = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/__emu__/{name}", content, {"content-type": "application/json"}, method=method)
        try:
            with _loopback.open(request, timeout=10) as response:
                return json.load(response)
        except HTTPError as error:
            with error:
                raise AssertionError(f"{name}: {error.code} {error.read().decode(errors='replace')[:1000]}") from None
