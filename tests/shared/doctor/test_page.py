"""docs/doctor.md has a line on each check, and on no other."""

from __future__ import annotations

import re
from pathlib import Path

from parley.doctor import NAMES

PAGE = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text("utf-8")


def test_each_check_has_its_line_in_the_order_of_the_report() -> None:
    table = PAGE.partition("## The checks")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == NAMES
