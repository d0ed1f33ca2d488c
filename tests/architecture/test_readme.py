"""README's second screen works as it is printed, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from parley.configuration import read_catalog
from parley.configuration.families import Environment

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_two_upstreams_one_route_two_keys(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert len(text.splitlines()) <= 10
    for name in ("EAST_KEY", "WEST_KEY", "ALICE_KEY", "BUILD_KEY"):
        monkeypatch.setenv(name, f"the-value-of-{name}")
    file = tmp_path / "parley.yaml"
    file.write_text(text)
    catalog = read_catalog(
        Environment(_env_file=None, parley_config=file, parley_model_config=tmp_path / "none")
    ).catalog
    assert [*catalog.upstreams] == ["east", "west", "echo"]
    assert [*catalog.routes] == ["smart"]
    assert sorted(caller.name for caller in catalog.callers.values()) == ["alice", "build"]
