"""Patterns of model names."""

from __future__ import annotations

import time

import pytest

from parley.patterns import pattern


@pytest.mark.parametrize(
    ("text", "fits", "not_"),
    [
        ("gpt-5", ["gpt-5"], ["gpt-50", "x/gpt-5", ""]),
        ("gpt-5*", ["gpt-5", "gpt-5-mini"], ["gpt-4", "gpt-5/x"]),
        ("*", ["", "gpt-5"], ["east/gpt-5"]),
        ("**", ["", "gpt-5", "east/a/b"], []),
        ("east/*", ["east/", "east/a"], ["east/a/b", "west/a"]),
        ("east/**", ["east/a", "east/a/b"], ["west/a"]),
        ("a*b*c", ["abc", "axbyc", "abbc"], ["acb", "a/bc"]),
        ("**/x*", ["a/x", "a/x/b/xc"], ["ax", "a/y"]),
        ("a.c", ["a.c"], ["abc"]),
    ],
)
def test_what_a_pattern_fits(text: str, fits: list[str], not_: list[str]) -> None:
    for name in fits:
        assert pattern(text).fullmatch(name), name
    for name in not_:
        assert not pattern(text).fullmatch(name), name


@pytest.mark.parametrize("text", ["*a*a*a*a*b", "**a**a**b"])
def test_no_name_takes_long(text: str) -> None:
    began = time.perf_counter()
    assert not pattern(text).fullmatch("a" * 100_000)
    assert time.perf_counter() - began < 1.0
