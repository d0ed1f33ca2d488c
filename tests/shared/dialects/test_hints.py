"""When to come back, as upstreams say it."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from parley.clock import now
from parley.dialects.hints import retry_after


@pytest.mark.parametrize(("text", "seconds"), [("30", 30), (" 1.5 ", 1.5), ("0", 0), ("-5", 0)])
def test_seconds(text: str, seconds: float):
    assert retry_after({"retry-after": text}) == seconds


def test_a_date():
    assert retry_after({"retry-after": formatdate(now() + 60, usegmt=True)}) == pytest.approx(60, abs=2)
    assert retry_after({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}) == 0


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "-inf", "1e999"])
def test_what_makes_no_sense_is_no_hint(text: str):
    assert retry_after({"retry-after": text}) is None


def test_no_hint():
    assert retry_after({}) is None
