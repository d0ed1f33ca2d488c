"""`.env.example` lists the settings: nothing missing, nothing invented, each with one comment, all commented out."""

import re
from itertools import pairwise
from pathlib import Path

from parley.configuration.families import Environment

EXAMPLE = Path(__file__).parents[2] / ".env.example"


def test_every_setting_is_listed_once_and_nothing_else_is() -> None:
    listed = re.findall(r"^#([A-Z0-9_]+)=", EXAMPLE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(name.upper() for name in Environment.model_fields)


def test_every_line_is_a_comment_so_that_an_unedited_copy_changes_nothing() -> None:
    assert all(not line or line.startswith("#") for line in EXAMPLE.read_text().splitlines())


def test_each_setting_has_one_comment_right_above_it() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for above, line in pairwise(lines):
        if re.match(r"#[A-Z0-9_]+=", line):
            assert re.match(r"# \S.*[.;]$", above), f"{line} has no comment: {above!r}"


def test_defaults_shown_are_the_defaults_in_force(monkeypatch) -> None:
    for name in Environment.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    plain = Environment(_env_file=None)
    shown = dict(re.findall(r"^#([A-Z0-9_]+)=(.+)$", EXAMPLE.read_text(), re.MULTILINE))
    special = {"IS_GUEST": True, "H2OGPTE_BASE_URL": None, "SYSTEM_PROMPT_INJECT": None}
    for name, text in shown.items():
        if name not in special:
            monkeypatch.setenv(name, text)
    assert Environment(_env_file=None) == plain
