"""What is left of limits, as OpenAI's headers tell it."""

from __future__ import annotations

import pytest

from gateway.wire.ratelimit import NAMES, ratelimit


def test_nothing_is_told_of_what_is_not_limited() -> None:
    assert ratelimit(None, None) == []
    assert {name for name, _ in ratelimit((60, 59, 1.0), None)} == set(NAMES[:3])
    assert [name for name, _ in ratelimit((60, 59, 1.0), (100, 0, 0.0))] == list(NAMES)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, b"0ms"), (0.0201, b"21ms"), (0.9999, b"1000ms"), (1, b"1s"), (1.5, b"1.5s"), (59.9991, b"1m0s"),
     (360, b"6m0s"), (61.25, b"1m1.25s"), (3600, b"1h0m0s"), (86400, b"24h0m0s"), (90061.001, b"25h1m1.001s")],
)  # fmt: skip
def test_durations_are_told_as_go_writes_them(seconds: float, told: bytes) -> None:
    assert ratelimit((10, 3, seconds), None) == [
        (b"x-ratelimit-limit-requests", b"10"),
        (b"x-ratelimit-remaining-requests", b"3"),
        (b"x-ratelimit-reset-requests", told),
    ]
