"""docs/configuration.md and config/parley.schema.json say what is in force; the example on the page works."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from parley.configuration import read_catalog
from parley.configuration.environment import read_settings
from parley.configuration.families import Environment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def writer() -> Any:
    spec = importlib.util.spec_from_file_location("configuration", ROOT / "deploy" / "configuration.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_new(writer: Any) -> None:
    assert writer.PAGE.read_text("utf-8") == writer.text(), "run `make docs`"


def test_the_schema_is_new(writer: Any) -> None:
    assert writer.SCHEMA.read_text("utf-8") == writer.schema_text(), "run `make docs`"


def test_every_variable_is_on_the_page(writer: Any) -> None:
    told = re.findall(r"^\| `([A-Z0-9_]+)` \| (.*?) \|", writer.text(), re.MULTILINE)
    assert sorted(name for name, _ in told) == sorted(name.upper() for name in Environment.model_fields)
    assert all(kind for _, kind in told)


def test_every_row_says_what_it_means(writer: Any) -> None:
    rows = [row for row in writer.text().splitlines() if row.startswith("| `")]
    assert len(rows) > 200
    for row in rows:
        assert re.search(r"\| (?:[^|]|\\\|)+ \|$", row), f"without a meaning: {row}"


def test_every_part_of_the_file_is_on_the_page(writer: Any) -> None:
    assert writer.HEADINGS.keys() == {name for name in writer.schema()["$defs"] if "." not in name}


def test_links_lead_somewhere(writer: Any) -> None:
    text = writer.text()
    anchors = {
        re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
    for page in set(re.findall(r"\]\(([\w./]+)\)", text)):
        assert (ROOT / "docs" / page).exists(), page


def test_the_example_works_and_fits_the_schema(writer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", writer.text(), re.DOTALL)
    hint = re.search(r"\$schema=(\S+)", example)
    assert hint and (ROOT / "config" / hint[1]) == writer.SCHEMA
    Draft202012Validator(writer.schema()).validate(yaml.safe_load(example))
    for name in re.findall(r"\$\{(\w+)\}", example):
        monkeypatch.setenv(name, f"sk-of-{name.lower()}-example")
    (tmp_path / "parley.yaml").write_text(example)
    catalog = read_catalog(read_settings(_env_file=None, parley_config=tmp_path / "parley.yaml")).catalog
    assert {"east", "farm", "echo"} == set(catalog.upstreams)
    assert [caller.name for caller in catalog.callers.values()] == ["alice"]
