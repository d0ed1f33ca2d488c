"""Configuration is read in an empty folder, with no variable of the tester's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from parley.configuration.families import Environment


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Environment.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
