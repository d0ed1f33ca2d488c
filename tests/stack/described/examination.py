"""An API examined by schemathesis, as a program of its own environment."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.upstreams.vendor import python_with

HERE = Path(__file__).parent
NEEDS = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Examination:
    """What schemathesis found."""

    report: dict[str, Any]
    said: str


def examine(name: str, url: str, key: str, folder: Path) -> Examination:
    """Ask the API that is described at `url` as `name`.toml has it; in `folder` schemathesis keeps its files.

    Raises AssertionError where it came to no end of its own.
    """
    report = folder / "report.json"
    program = python_with("schemathesis").with_name("schemathesis")
    options = ["--no-color", "--report", "json", "--report-json-path", report]
    environment = {variable: os.environ[variable] for variable in NEEDS if variable in os.environ}
    done = subprocess.run(
        [program, "--config-file", HERE / f"{name}.toml", "run", url, *options],
        cwd=folder,
        env={**environment, "KEY": key, "DESCRIBED": str(HERE), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    said = done.stdout + done.stderr
    assert report.exists(), said[-4000:]
    return Examination(json.loads(report.read_text()), said)
