"""The bench's modules are scripts beside each other, not a package: tests import them from their folder."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform != "linux":  # epoll, timerfd, /proc
    collect_ignore_glob = ["test_*.py"]

sys.path.insert(0, str(Path(__file__).parents[2] / "deploy" / "bench"))

import subjects


@pytest.fixture
def compiler() -> None:
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("no C compiler, which only the bench needs")


@pytest.fixture
def upstream(compiler: None) -> Iterator[subjects.Subject]:
    with subjects.upstream(["bench-c16", "bench-c5-g20"], None) as running:
        yield running
