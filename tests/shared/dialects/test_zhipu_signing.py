"""Tokens of Zhipu's platform: the example of `upstreams/zhipu.md` section 1.1, and what becomes of a wrong clock."""

from __future__ import annotations

import base64
import json
from email.utils import formatdate

import pytest

from parley import clock
from parley.dialects.zhipu import SignIn, is_key
from parley.dialects.zhipu.signing import token

KEY = "demoid0123456789.demosecret"
NEW_YEAR = 1704067200.0  # 2024-01-01T00:00:00Z
EXAMPLE = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsInNpZ25fdHlwZSI6IlNJR04ifQ."
    "eyJhcGlfa2V5IjoiZGVtb2lkMDEyMzQ1Njc4OSIsImV4cCI6MTcwNDA2NzQxMDAwMCwidGltZXN0YW1wIjoxNzA0MDY3MjAwMDAwfQ."
    "tnT5L-r_C1b9NatKKjyplrNTn-ZOwvOyf2_eOum4cQY"
)


@pytest.fixture(autouse=True)
def _new_year(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NEW_YEAR)


def times(authorization: str) -> tuple[int, int]:
    payload = json.loads(base64.urlsafe_b64decode(authorization.split(".")[1] + "=="))
    return payload["timestamp"], payload["exp"]


def test_the_worked_example():
    assert token(KEY, NEW_YEAR) == EXAMPLE


def test_each_way_has_its_header():
    assert SignIn(KEY, "bearer").authorization == f"Bearer {KEY}"
    assert SignIn(KEY, "jwt").authorization == f"Bearer {EXAMPLE}"
    assert SignIn(KEY, "v3").authorization == EXAMPLE


def test_an_expired_token_is_signed_once_more_by_the_upstreams_clock():
    sign_in = SignIn(KEY, "jwt")
    assert sign_in.correct({"date": formatdate(NEW_YEAR + 3600, usegmt=True)})
    assert times(sign_in.authorization) == (1704070800000, 1704071010000)
    assert not sign_in.correct({"date": formatdate(NEW_YEAR, usegmt=True)})


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}, {"date": ""}])
def test_an_upstream_that_does_not_tell_the_time_is_asked_once_more_by_ours(headers: dict[str, str]):
    sign_in = SignIn(KEY, "v3")
    assert sign_in.correct(headers)
    assert sign_in.authorization == EXAMPLE
    assert not sign_in.correct(headers)


def test_a_bare_key_does_not_get_better_by_asking_again():
    assert not SignIn(KEY, "bearer").correct({"date": formatdate(NEW_YEAR, usegmt=True)})


@pytest.mark.parametrize(("text", "right"), [(KEY, True), ("a.b", True), ("ab", False), ("a.", False), (".b", False),
                                             ("a.b.c", False), ("", False)])  # fmt: skip
def test_a_key_has_one_dot_between_two_halves(text: str, right: bool):
    assert is_key(text) is right
