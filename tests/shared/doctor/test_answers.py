"""A question about time that is answered badly once is asked again."""

from __future__ import annotations

from typing import Any

import pytest

from parley.doctor.answers import steadily
from parley.doctor.front import Front
from parley.doctor.report import Check

FRONT: Any = object()


@pytest.mark.parametrize(
    ("answers", "verdict", "asked"),
    [("o", "ok", 1), ("fo", "ok", 2), ("ffo", "ok", 3), ("fffo", "fault", 3), ("fu", "unknown", 2)],
)
async def test_a_fault_of_time_is_one_when_it_stays(answers: str, verdict: str, asked: int) -> None:
    left = list(answers)

    async def ask(front: Front) -> Check:
        assert front is FRONT
        return Check("pace", {"o": "ok", "f": "fault", "u": "unknown"}[left.pop(0)], "")  # type: ignore[arg-type]

    assert (await steadily(ask)(FRONT)).verdict == verdict
    assert len(answers) - len(left) == asked
