"""Routes of parley.yaml: what may be written, and each mistake with its place."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import get_args

import pytest

from parley.catalog import Catalog, Route, RouteNames, Strategy, Target
from parley.configuration import read_catalog
from parley.configuration.environment import read_settings
from parley.settings import ConfigurationError

UPSTREAMS = """
upstreams:
  - {name: east, provider: openai, models: [big, small], defaults: {temperature: 0.3}}
  - {name: west, provider: openai, models: [big]}
"""


def catalog(routes: str) -> Catalog:
    Path("parley.yaml").write_text(UPSTREAMS + routes)
    return read_catalog(read_settings()).catalog


def test_everything_that_a_route_may_say() -> None:
    found = catalog(
        """
routes:
  - model: gpt-4*
    aliases: [clever, brilliant]
    strategy: weighted
    targets:
      - east/*
      - {target: west/big, weight: 3, defaults: {temperature: 0.2, top_k: 5}}
    fallback: [cheap, east/unheard-of, small]
    defaults: {top_p: 0.9, stop: [END]}
  - {model: cheap, targets: [east/small]}
default_model: cheap
"""
    )
    assert found.upstreams["east"].defaults == {"temperature": 0.3}
    assert found.routes["gpt-4*"] == Route(
        "gpt-4*",
        (Target("east", "*"), Target("west", "big", 3.0, {"temperature": 0.2, "top_k": 5})),
        "weighted",
        ("clever", "brilliant"),
        ("cheap", "east/unheard-of", "small"),
        {"top_p": 0.9, "stop": ["END"]},
    )
    assert found.routes["cheap"] == Route("cheap", (Target("east", "small"),))


@pytest.mark.parametrize(
    "strategy", ["failover", "parallel", "round-robin", "random", "weighted", "least-busy", "fastest", "sticky"]
)
def test_every_strategy_can_be_written(strategy: str) -> None:
    route = catalog(f"routes: [{{model: a, targets: [east/big, west/big], strategy: {strategy}}}]").routes["a"]
    assert route.strategy == strategy


@pytest.mark.parametrize(
    ("routes", "says"),
    [
        (
            "{model: a, targets: [east/big], strategy: sometimes}",
            r"yaml: routes\.0\.strategy: Input should be 'failover'",
        ),
        ("{model: a, targets: []}", r"routes\.0\.targets: List should have at least 1 item"),
        ("{model: a, targets: [5]}", r"routes\.0\.targets\.0: "),
        (
            "{model: a, targets: [east]}",
            r"routes\[0\]\.targets\[0\]: the target 'east' must be written as upstream/model",
        ),
        (
            "{model: a, targets: [east/big*]}",
            r"targets\[0\]: the model of the target 'east/big\*' must be a name, or '\*'",
        ),
        ("{model: a, targets: [north/big]}", "route 'a' names the upstream 'north', which is not configured"),
        (
            "{model: a, strategy: weighted, targets: [east/big, {target: west/big, weight: -1}]}",
            r"routes\.0\.targets\.1\.weight: Input should be greater than or equal to 0",
        ),
        (
            "{model: a, strategy: random, targets: [{target: west/big, weight: 2}]}",
            r"routes\[0\]: the strategy 'random' looks at no weight; weighted, least-busy, sticky do",
        ),
        (
            "{model: a, strategy: weighted, targets: [{target: west/big, weight: 0}]}",
            r"routes\[0\]: at least one target needs a weight above 0",
        ),
        ("{model: a, targets: [east/big], share: 1}", r"routes\.0\.share: Extra inputs are not permitted"),
        ("{model: a, targets: [east/big], aliases: [b*]}", r"routes\[0\]: 'b\*' is a pattern; an alias must be a name"),
        (
            "{model: a, targets: [east/big], fallback: ['*']}",
            r"routes\[0\]: '\*' is a pattern; a fallback must be a name",
        ),
        (
            "{model: a, targets: [east/big], defaults: {temperature: 3}}",
            r"routes\.0\.defaults: 'temperature': Expected `float` <= 2\.0",
        ),
        (
            "{model: a, targets: [{target: east/big, defaults: {model: b}}]}",
            r"routes\.0\.targets\.0\.defaults: 'model': is the caller's alone to say",
        ),
        (
            "{model: a, targets: [east/big], defaults: {max_tokens: 5, max_completion_tokens: 6}}",
            r"routes\.0\.defaults: 'max_tokens': cannot be set together with max_completion_tokens",
        ),
        (
            "{model: a, targets: [east/big]}, {model: b, aliases: [c, a], targets: [east/big]}",
            r"routes\[1\]: 'a' is a name or an alias of routes\[0\] already",
        ),
        (
            "{model: a, targets: [east/big], fallback: [east/big, nobody]}",
            r"routes\[0\]\.fallback\[1\]: 'nobody' is neither a route nor a model",
        ),
        ("{model: a, targets: [east/big], fallback: [a]}", r"routes\[0\]: its fallback comes back to it: 'a' -> 'a'"),
        (
            "{model: x*, targets: [east/big], fallback: [a]}, {model: a, targets: [east/big], fallback: [x1]}",
            r"routes\[0\]: its fallback comes back to it: 'x\*' -> 'a' -> 'x\*'",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(routes: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        catalog(f"routes: [{routes}]")


def test_a_default_model_is_a_name() -> None:
    with pytest.raises(ConfigurationError, match=r"default_model: 'gpt\*' is a pattern; it must be a name"):
        catalog("default_model: gpt*")


def test_fallbacks_that_meet_again_are_no_circle() -> None:
    found = catalog(
        "routes: [{model: a, targets: [east/big], fallback: [b, c]}, {model: b, targets: [east/big], fallback: [c]},"
        " {model: c, targets: [west/big]}]"
    )
    assert found.routes["a"].fallback == ("b", "c")


def test_names_go_before_patterns_and_the_pattern_that_says_most_goes_first() -> None:
    routes = [
        Route(name, (), aliases=aliases)
        for name, aliases in [
            ("*", ()),
            ("gpt-4*", ("g4",)),
            ("gpt-4o*", ()),
            ("gpt-*-mini", ()),
            ("gpt-4o", ()),
            ("o/*", ()),
        ]
    ]
    names = RouteNames(routes)
    found = {
        asked: route.model if (route := names.find(asked)) else None
        for asked in ("gpt-4o", "gpt-4o-2024", "gpt-4.1", "gpt-4o-mini", "g4", "g44", "o/x", "east/gpt-4", "o/x/y", "")
    }
    assert found == {
        "gpt-4o": "gpt-4o",
        "gpt-4o-2024": "gpt-4o*",
        "gpt-4.1": "gpt-4*",
        "gpt-4o-mini": "gpt-*-mini",  # says nine letters, `gpt-4o*` six
        "g4": "gpt-4*",
        "g44": "*",
        "o/x": "o/*",
        "east/gpt-4": None,
        "o/x/y": None,
        "": "*",
    }
    assert list(names.listed()) == ["g4", "gpt-4o"]


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("a*b*c", ["abc", "axbxc", "abbcc", "abcbc"], ["ab", "ac", "abcx", "xabc", "ab/c", "a/bc"]),
        ("*", ["", "x"], ["x/y"]),
        ("**x", ["x", "yx", "y/x"], ["", "xy"]),
        ("a/*/b*", ["a/x/b", "a//bb"], ["a/x/y/b", "a/x/b/"]),
        ("*-mini", ["o4-mini", "-mini", "-mini-mini"], ["mini", "-mini2"]),
    ],
)
def test_what_a_pattern_takes(pattern: str, matching: list[str], others: list[str]) -> None:
    names = RouteNames([Route(pattern, ())])
    assert [name for name in (*matching, *others) if names.find(name)] == matching


def test_no_name_takes_long_to_be_told_apart() -> None:
    names = RouteNames([Route("a*a*a*a*a*b", ())])
    began = time.process_time()
    assert names.find("a" * 1_000_000) is None
    assert time.process_time() - began < 1


def test_letters_of_a_pattern_mean_themselves() -> None:
    names = RouteNames([Route("a.b+(c)*", ())])
    assert names.find("a.b+(c)!") is not None
    assert names.find("aXb+(c)!") is None


def test_the_example_of_the_page_on_routes_is_one() -> None:
    page = (Path(__file__).parents[3] / "docs" / "routes.md").read_text("utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    Path("parley.yaml").write_text(
        "upstreams: [{name: east, provider: openai}, {name: west, provider: openai}, {name: farm, provider: echo}]\n"
        + example
    )
    found = read_catalog(read_settings()).catalog
    assert list(found.routes) == ["smart", "gpt-4*"] and found.default_model == "smart"
    assert found.routes["gpt-4*"].fallback == ("smart", "farm/auto")


def test_the_page_on_routes_names_every_strategy() -> None:
    page = (Path(__file__).parents[3] / "docs" / "routes.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)`", page, re.MULTILINE)) == {"strategy", *get_args(Strategy)}
