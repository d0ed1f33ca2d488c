"""How fast candidates are, as far as a process has seen."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gateway import speeds as module
from gateway.routing import Candidate
from gateway.speeds import Speeds
from parley.catalog import Upstream


class Nobody:
    features: frozenset[Any] = frozenset()


A = Candidate(Upstream("a", "echo"), Nobody(), "m")  # type: ignore[arg-type]
B = Candidate(Upstream("b", "echo"), Nobody(), "m")  # type: ignore[arg-type]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def test_an_untried_place_is_tried_by_one_request_at_a_time(clock: list[float]) -> None:
    speeds = Speeds()
    assert speeds.expected(A) < 0
    speeds.tries(A)
    assert speeds.expected(A) == math.inf
    assert speeds.expected(B) < 0
    clock[0] += 11
    assert speeds.expected(A) < 0, "whoever tried it has not come back"


def test_what_was_seen_is_averaged_the_newest_more(clock: list[float]) -> None:
    speeds = Speeds()
    speeds.spoke(A, 1.0)
    assert speeds.expected(A) == 1.0
    speeds.spoke(A, 2.0)
    assert 1.2 < speeds.expected(A) < 1.5


def test_a_place_is_known_by_its_model_too(clock: list[float]) -> None:
    speeds = Speeds()
    speeds.spoke(A, 1.0)
    assert speeds.expected(Candidate(A.upstream, A.provider, "other")) < 0


def test_failing_fast_is_not_speed(clock: list[float]) -> None:
    speeds = Speeds()
    speeds.failed(A)
    assert speeds.expected(A) == 10.0
    speeds.failed(A)
    assert speeds.expected(A) == 20.0


def test_names_that_callers_make_up_do_not_fill_the_memory(clock: list[float]) -> None:
    speeds = Speeds()
    for number in range(5000):
        speeds.spoke(Candidate(A.upstream, A.provider, f"made up {number}"), 1.0)
    assert len(speeds._known) == 1000


def test_what_is_old_is_tried_again_and_meanwhile_believed(clock: list[float]) -> None:
    speeds = Speeds(recent=60)
    speeds.spoke(A, 0.5)
    clock[0] += 61
    assert speeds.expected(A) < 0
    speeds.tries(A)
    assert speeds.expected(A) == 0.5
