"""Where a service says that a limit is one model's, the credential rests for that model and is lent for its others."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.providers.subjects import FAMILIES, Family, Mishap, id_of
from tests.providers.world import World


class Case(NamedTuple):
    """Whose model has a limit of its own, and which other one goes on."""

    name: str
    limit: Mishap
    other: str


CASES = {
    "claude_web": Case(
        "claude-web", Mishap("quota", {"per_model": True, "resets_in": 3000}, "completion"), "claude-haiku-4-5-20251001"
    ),
    "gemini": Case("gemini", Mishap("rate_limit", {"retry_delay": "300s"}), "gemini-2.0-demo"),
    "spark": Case("spark", Mishap("code", {"code": 11200}, "question"), "4.0Ultra"),
}


@pytest.mark.parametrize(
    ("family", "case"),
    [
        pytest.param(family, case, id=id_of(family, subject))
        for family, case in ((FAMILIES[name], case) for name, case in CASES.items())
        for subject in family.subjects
        if subject.name == case.name
    ],
)
def test_another_model_goes_on(world: World, family: Family, case: Case) -> None:
    world.begin(case.name, case.limit, times=1)
    for _ in range(2):
        heard = world.listen(case.name, "hello", True)
        assert heard.status == 429 and int(heard.headers["retry-after"]) > 60
    assert not any(attempt["credential"] for attempt in world.record(heard)["attempts"]), "it rests for this model"
    assert world.listen(case.name, "!say:here", True, model=case.other).text == "here"
