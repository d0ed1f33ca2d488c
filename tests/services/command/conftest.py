"""A real console with a real Redis, as processes; and `parley` in this process, as somebody types it.

parley = Parley(...)
said = parley("keys", "list")              # ends with 0, or the test fails
said.out, said.err, said.code, said.json
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from command.__main__ import main
from tests.servers import RedisServer, free_port
from tests.stack.running import until

KEY = "command-test-admin-key"


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of a table, without its head; cells are apart by two blanks or more."""
        return [re.split(r" {2,}", line.strip()) for line in self.out.splitlines()[1:]]


class Parley:
    """Types commands."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *words: str, code: int = 0, stdin: str = "", terminal: bool = False) -> Said:
        self._monkeypatch.setattr(sys, "stdin", typed := io.StringIO(stdin))
        self._monkeypatch.setattr(typed, "isatty", lambda: terminal)
        self._capsys.readouterr()
        try:
            ended = main(words)
        except SystemExit as end:  # argparse
            ended = int(end.code or 0)
        told = self._capsys.readouterr()
        said = Said(ended, told.out, told.err)
        assert ended == code, f"{words} ended with {ended}\n{told.out}\n{told.err}"
        return said


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a console; it is its own front."""
    folder = tmp_path_factory.mktemp("console")
    address = f"127.0.0.1:{free_port()}"
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG") if name in os.environ}
    with RedisServer() as redis, (folder / "log").open("wb") as log:
        environment = {
            **kept,
            "ADMIN_KEY": KEY,
            "REDIS_URL": redis.url,
            "CONSOLE_BIND": address,
            "PARLEY_STATE_DIR": str(folder / "state"),
            "OPENAI_CREDENTIALS": '["sk-first-of-the-tests", {"value": "sk-second-of-the-tests", "alias": "spare"}]',
            "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "console"], cwd=folder, env=environment, stdout=log, stderr=log
        )
        try:
            until(lambda: _answers(address), 60, f"no console: {(folder / 'log').read_text()}")
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(20)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/health/live").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Parley:
    """In an empty folder, with nothing in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("PARLEY_URL", "ADMIN_KEY", "API_MASTER_KEY", "API_KEY", "NGINX_PORT", "NGINX_BIND", "PARLEY_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return Parley(capsys, monkeypatch)


@pytest.fixture
def parley(nowhere: Parley, console: str, monkeypatch: pytest.MonkeyPatch) -> Parley:
    """With the console, as it was at revision 0."""
    monkeypatch.setenv("PARLEY_URL", console)
    monkeypatch.setenv("ADMIN_KEY", KEY)
    nowhere("config", "rollback", "0")
    return nowhere
