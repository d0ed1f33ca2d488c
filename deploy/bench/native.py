"""The two C tools: compiled when a source is newer than its binary, kept in a folder that git ignores."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".parley" / "bench"


class NoCompilerError(Exception):
    """There is no C compiler, or it cannot compile the tools here; the sentence is for the user."""


def tool(name: str) -> Path:
    """The path of a compiled tool. Its name in the cache is the hash of what it is made from."""
    sources = [HERE / f"{name}.c", HERE / "loop.h"]
    made_from = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    binary = CACHE / f"{name}-{made_from}"
    if binary.exists():
        return binary
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NoCompilerError(
            "the bench needs a C compiler for its upstream and its load: install gcc or clang (or set CC)"
        )
    CACHE.mkdir(parents=True, exist_ok=True)
    unfinished = CACHE / f"{binary.name}.{os.getpid()}"
    made = subprocess.run(
        [compiler, "-O2", "-std=gnu11", "-o", unfinished, sources[0]], capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise NoCompilerError(
            f"{compiler} could not compile {sources[0].name} (Linux and glibc are needed):\n{made.stderr}"
        )
    unfinished.rename(binary)
    return binary


def load(
    port: int,
    body: dict[str, Any],
    key: str = "",
    cores: set[int] | None = None,
    meanwhile: Callable[[], object] | None = None,
    **asked: float,
) -> dict[str, Any]:
    """Run the load generator to its end; `asked` are its options. A body with "stream" is a load of streams.

    `meanwhile` is called once a second while it runs.
    """
    command = [str(tool("load")), "--port", str(port), "--body", json.dumps(body)]
    if key:
        command += ["--key", key]
    if body.get("stream"):
        command.append("--stream")
    for name, value in asked.items():
        command += [f"--{name}", str(value)]
    with subprocess.Popen(on_cores(command, cores), stdout=subprocess.PIPE, text=True) as run:
        while True:
            try:
                report, _ = run.communicate(timeout=1)
                break
            except subprocess.TimeoutExpired:
                if meanwhile:
                    meanwhile()
    if run.returncode:
        raise RuntimeError(f"the load generator ended with {run.returncode}: {' '.join(command)}")
    return json.loads(report)


def on_cores(command: list[str], cores: set[int] | None) -> list[str]:
    """The command, to be started on these cores only, where the machine has the tool for it."""
    taskset = shutil.which("taskset")
    if not cores or taskset is None:
        return command
    return [taskset, "-c", ",".join(map(str, sorted(cores))), *command]
