"""A fresh copy of this project, brought up by a Compose on a real Docker engine, and taken down again."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import httpx

ROOT = Path(__file__).parents[2]


class Composed:
    """The product as a stranger has it after `git clone`: the files of the tree, no `.env`, nothing else."""

    def __init__(self, folder: Path, compose: str, port: int, **environment: str) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self._compose = compose.split()
        kept = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG")
        self.environment = {name: os.environ[name] for name in kept if name in os.environ} | environment
        self.environment["COMPOSE_PROJECT_NAME"] = os.environ.get("COMPOSE_PROJECT_NAME", "parley-engine-test")
        if port != 8088:
            self.environment["NGINX_PORT"] = str(port)
        checkout(folder)

    def __enter__(self) -> Self:
        try:
            self("up", "-d", "--build", fails=True)  # what went wrong, the parts' logs below say better
            self._until_answered()
        except BaseException:
            self.take_down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.take_down()

    def __call__(self, *words: str, fails: bool = False) -> str:
        done = subprocess.run(
            [*self._compose, *words],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert fails or done.returncode == 0, f"{words}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def take_down(self) -> None:
        self("down", "-v", "--remove-orphans", "-t", "5", fails=True)

    def scale(self, replicas: int) -> None:
        self("up", "-d", "--no-recreate", "--scale", f"gateway={replicas}")

    def containers(self, service: str) -> list[str]:
        return self("ps", "-q", service).split()

    def docker(self, *words: str) -> str:
        done = subprocess.run(
            ["docker", *words], env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def front_log(self) -> list[dict[str, Any]]:
        """nginx's records so far."""
        [nginx] = self.containers("nginx")
        lines = self.docker("logs", nginx).splitlines()
        return [json.loads(line) for line in lines if line.startswith('{"time"')]

    def ask(self, said: str, **more: Any) -> httpx.Response:
        body = {"model": "echo", "messages": [{"role": "user", "content": said}], **more}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=30)

    def _until_answered(self) -> None:
        deadline = time.monotonic() + 90
        while True:
            try:
                if httpx.get(f"{self.url}/health/live", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, self("ps") + self("logs", "--tail", "20", fails=True)
            time.sleep(0.3)


def checkout(folder: Path) -> None:
    """Copy what belongs to the project (also what is not committed yet) and nothing that is ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def port_for_the_test() -> int:
    """8088 as people have it, unless somebody uses it here."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 8088))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
