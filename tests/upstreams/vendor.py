"""A vendor's own client in a virtual environment of its own, because its pins and ours conflict.

`python_with("h2ogpte16")` is the interpreter of `.venv-h2ogpte16` in the repository's root. The environment is made
from `requirements/vendor-h2ogpte16.txt` (hashed) when it is first asked for, and anew when that file has changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def python_with(name: str) -> Path:
    """The interpreter of the environment, made if need be; two test runs at once wait for each other."""
    lock_file = ROOT / "requirements" / f"vendor-{name}.txt"
    home = ROOT / f".venv-{name}"
    python = home / "bin" / "python"
    made_from = home / "made-from.sha256"
    wanted = hashlib.sha256(lock_file.read_bytes() + sys.version.encode()).hexdigest()
    with lock_file.open() as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        if not made_from.exists() or made_from.read_text() != wanted:
            made_from.unlink(missing_ok=True)
            _run(sys.executable, "-m", "venv", "--clear", str(home))
            options = ("--quiet", "--no-compile", "--disable-pip-version-check", "--require-hashes")
            _run(str(python), "-m", "pip", "install", *options, "-r", str(lock_file))
            made_from.write_text(wanted)
    return python


def saw(environment: str, script: Path, *arguments: str, seconds: float = 100) -> dict[str, Any]:
    """Run a script in that environment; the JSON on the last line that it prints."""
    # Packages are compiled when they are first imported, not when they are installed: most never are.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [str(python_with(environment)), str(script), *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode:
        raise AssertionError(
            f"{script.name} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
