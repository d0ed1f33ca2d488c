"""docs/adding-a-provider.md is done as it is printed there, in a copy of the repository; what comes out is green."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.provider  # it plays the whole contract once more

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-a-provider.md").read_text("utf-8")
SKIPPED = shutil.ignore_patterns(
    ".git", ".venv*", ".parley", "*_cache", ".hypothesis", "__pycache__", "*.egg-info", "node_modules", "transcripts"
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    # The copy shares our environment: it must find nothing to install there, or it would install itself.
    subprocess.run([ROOT / "deploy" / "venv.sh", "test"], check=True)
    place = tmp_path_factory.mktemp("copy") / "parley"
    shutil.copytree(ROOT, place, ignore=SKIPPED)
    (place / ".venv").symlink_to(sys.prefix)
    yield place
    shutil.rmtree(place)


def run(copy: Path, command: str) -> str:
    """A line of the page, in the copy; its packages are imported from there, too."""
    folders = ("", "shared", "services/gateway", "services/keeper", "services/console", "services/command")
    path = os.pathsep.join(str(copy / folder) for folder in folders)
    cache = {"PYTHONPYCACHEPREFIX": str(copy / ".pycache")}
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=copy,
        env={**os.environ, **cache, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.timeout(300)
def test_the_page_is_done_as_it_is_printed(copy: Path) -> None:
    commands = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 3
    made, _, tested = (run(copy, command) for command in commands)
    for path in re.findall(r"^\| `([\w/.]+)` \|", PAGE, re.MULTILINE):
        assert path in made, f"the page promises {path}"
    assert int(re.search(r"(\d+) passed", tested)[1]) > 60 and "failed" not in tested  # type: ignore[index]
    [provider] = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
    assert (copy / provider[0]).read_text("utf-8") == provider[1], "the page prints another one"
    files = " ".join(line for line in made.splitlines() if line.endswith(".py"))
    run(copy, f".venv/bin/ruff check {files} && .venv/bin/ruff format --check {files} && .venv/bin/lint-imports")
    run(copy, ".venv/bin/mypy shared/parley/providers shared/parley/dialects/parrot.py")
    assert "parrot" in (copy / "docs" / "upstreams.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["", "Parrot", "2cans", "a-b", "openai"])
def test_a_name_that_is_none_or_taken_changes_nothing(copy: Path, name: str) -> None:
    before = (copy / "shared/parley/providers/__init__.py").read_text()
    with pytest.raises(AssertionError, match=r"cannot be a module's name|something already"):
        run(copy, f"make new-provider NAME={name}")
    assert (copy / "shared/parley/providers/__init__.py").read_text() == before
