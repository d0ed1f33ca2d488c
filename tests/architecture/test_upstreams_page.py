"""docs/upstreams.md says what providers declare, every provider is held to it, and every page is found from there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from parley.chat.demands import Feature
from parley.providers import PROVIDERS
from tests.providers.subjects import FAMILIES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def writer() -> Any:
    spec = importlib.util.spec_from_file_location("upstreams", ROOT / "deploy" / "upstreams.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_new(writer: Any) -> None:
    assert writer.PAGE.read_text("utf-8") == writer.text(), "run `make docs`"


def test_every_feature_has_a_heading(writer: Any) -> None:
    headings = list(writer.HEADINGS)
    headings.remove("image_addresses")  # no feature of its own: where the images of another one may come from
    assert headings == list(get_args(Feature))


def test_every_provider_is_under_contract_as_it_is_declared(writer: Any) -> None:
    """At least one subject of each kind has the features that the page tells."""
    subjects = [subject for family in FAMILIES.values() for subject in family.subjects]
    for name in PROVIDERS:
        told = writer.made(name)
        alike = [one for one in subjects if one.provider == name]
        assert any(one.made.features == told.features and one.made.drops == told.drops for one in alike), name


def test_every_page_is_linked() -> None:
    linked = set(re.findall(r"\]\(upstreams/([\w.-]+)\)", (ROOT / "docs" / "upstreams.md").read_text("utf-8")))
    assert linked == {page.name for page in (ROOT / "docs" / "upstreams").glob("*.md")}
