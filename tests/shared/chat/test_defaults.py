"""Defaults of an entry fill in what a request does not say, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from parley.chat.defaults import filled, wrong_with
from parley.chat.prompt import Prompt

ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "model": "m"}


def prompt(**given: Any) -> Prompt:
    raw = {**ASKED, **given}
    made = msgspec.convert(raw, Prompt)
    made.raw = raw
    return made


def test_what_the_request_says_stays() -> None:
    asked = prompt(temperature=0, top_p=0.5)
    full = filled(asked, {"temperature": 0.8, "top_p": 0.1})
    assert full is asked


def test_what_it_does_not_say_is_filled_in_for_those_who_read_fields_and_those_who_read_the_request() -> None:
    asked = prompt(temperature=None)
    full = filled(asked, {"temperature": 0.8, "top_k": 5, "stop": ["END"]})
    assert (full.temperature, full.stops) == (0.8, ["END"])
    assert full.raw == {**ASKED, "temperature": 0.8, "top_k": 5, "stop": ["END"]}
    assert asked.raw == {**ASKED, "temperature": None} and asked.stops == [], "the caller's own is not touched"


def test_a_field_that_nobody_knows_is_not_filled_in_where_it_was_given() -> None:
    assert filled(prompt(top_k=1), {"top_k": 5}).raw["top_k"] == 1


@pytest.mark.parametrize("said", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("default", ["max_tokens", "max_completion_tokens"])
def test_a_limit_by_either_name_is_a_limit(said: str, default: str) -> None:
    assert filled(prompt(**{said: 7}), {default: 100}).limit == 7
    full = filled(prompt(), {default: 100})
    assert full.limit == full.raw[default] == 100


@pytest.mark.parametrize(
    ("defaults", "name", "why"),
    [
        ({"temperature": 0.5, "top_p": 2}, "top_p", "Expected `float` <= 1.0"),
        ({"temperature": "warm"}, "temperature", "Expected `float | null`, got `str`"),
        ({"messages": []}, "messages", "is the caller's alone to say"),
        ({"stream": True}, "stream", "is the caller's alone to say"),
        ({"": {}}, "", "is the caller's alone to say"),
    ],
)
def test_what_cannot_be_a_default_is_named(defaults: dict[str, Any], name: str, why: str) -> None:
    assert wrong_with(defaults) == (name, why)


def test_everything_else_can_be() -> None:
    assert wrong_with({"temperature": 0.5, "n": 1, "user": "u", "top_k": 3, "max_tokens": 4, "logit_bias": {}}) is None
