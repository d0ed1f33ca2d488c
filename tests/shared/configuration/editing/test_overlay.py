"""What is shown of the configuration is what the catalog has, whoever says it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from parley.catalog import Catalog, CredentialPlan
from parley.configuration import ECHO, read_catalog
from parley.configuration.credentials import changed_credential
from parley.configuration.editing.overlay import View
from parley.configuration.families import Environment
from parley.configuration.keys import KeyFacts, digest, new_key
from parley.configuration.limits import LimitsEntry
from parley.configuration.prices import PricesEntry, prices_of
from parley.configuration.routes import RouteEntry, route_of
from parley.configuration.upstreams import UpstreamFacts, upstream_of

KEY = new_key()
CHANGES: list[dict[str, Any]] = [
    {},
    {"upstreams": {"openai": None, "west": {"provider": "openai", "base_url": "http://127.0.0.1:3/v1"}}},
    {
        "upstreams": {
            "west": {"provider": "openai", "base_url": "http://127.0.0.1:3/v1", "proxy": "http://127.0.0.1:9"}
        },
        "credentials": {
            "west": {"a": {"value": "west-secret"}, "b": {"value": "west-secret-2", "disabled": True}},
            "gone": {"x": None},
        },
        "default_model": None,
    },
    {"upstreams": {"lounge": {"provider": "h2ogpte", "base_url": "http://127.0.0.1:3", "guests": 3}}},
    {"upstreams": {"lounge": {"provider": "h2ogpte", "base_url": "http://127.0.0.1:3", "guests": 1}}},
    {
        "credentials": {
            "openai": {"openai-1": None, "new": {"value": "another-secret", "limits": {"requests_per_minute": 5}}},
            "east": {
                "spare": {"proxy": "", "timeouts": {"total": 5}},
                "east-1": {"api_key": "in-another-part", "base_url": "http://127.0.0.1:4/v1"},
            },
            "door": {"opener": {"value": "now-it-needs-one"}},
        },
        "upstreams": {"door": {"provider": "openai", "base_url": "http://127.0.0.1:2/v1"}},
        "routes": {"smart": None, "clever": {"model": "clever", "targets": ["east/big"]}},
        "keys": {"alice": None, "bob": {"prefix": KEY[:18], "hash": digest(KEY), "created": 1.0, "models": ["big"]}},
        "limits": {"east/*": None, "clever": {"concurrency": 3}},
        "prices": {"models": []},
        "default_model": "clever",
    },
]


@pytest.mark.parametrize("changes", CHANGES)
def test_what_is_described_is_the_catalog(
    settings: Environment, view: Callable[..., View], changes: dict[str, Any]
) -> None:
    document, catalog = view(changes).document, read_catalog(settings, changes).catalog
    described = {name: _upstream(document, name, settings) for name in document["upstreams"]}
    assert {**described, "echo": ECHO} == catalog.upstreams
    assert list(document["upstreams"]) == list(catalog.upstreams)
    assert {
        model: route_of(RouteEntry(model=model, **route), "") for model, route in document["routes"].items()
    } == catalog.routes
    assert [(model, LimitsEntry(**limits).limits()) for model, limits in document["limits"].items()] == [
        (limit.model, limit.limits) for limit in catalog.model_limits.limits
    ]
    assert prices_of(PricesEntry(**document.get("prices", {}))) == catalog.prices
    assert document.get("default_model") == catalog.default_model
    _same_keys(document, catalog)


def _upstream(document: dict[str, Any], name: str, settings: Environment) -> Any:
    plans = [
        changed_credential(
            CredentialPlan(alias, {}, guest=item.get("guest", False)),
            {member: said for member, said in item.items() if member != "guest"},
            where="",
        )
        for alias, item in document["credentials"][name].items()
    ]
    return upstream_of(name, UpstreamFacts(**document["upstreams"][name]), plans, settings)


def _same_keys(document: dict[str, Any], catalog: Catalog) -> None:
    beside = ("prefix", "hash", "created", "bound")
    for name, key in document["keys"].items():
        caller = catalog.callers[bytes.fromhex(key["hash"])]
        assert caller.name == name
        if not key.get("bound"):
            facts = KeyFacts(**{member: said for member, said in key.items() if member not in beside})
            assert facts.caller(name, issued=caller.issued) == caller
    assert len(document["keys"]) == len(catalog.callers)


def test_every_entry_says_where_it_comes_from(view: Callable[..., View]) -> None:
    seen = view(CHANGES[-1])
    told = {
        place: (seen.source(place), seen.overrides(place))
        for place in [
            ("upstreams", "openai"),
            ("upstreams", "east"),
            ("upstreams", "door"),
            ("upstreams", "echo"),
            ("credentials", "openai", "new"),
            ("credentials", "east", "spare"),
            ("routes", "clever"),
            ("keys", "bob"),
            ("prices",),
            ("default_model",),
        ]
    }
    assert told == {
        ("upstreams", "openai"): ("environment", None),
        ("upstreams", "east"): ("file", None),
        ("upstreams", "door"): ("changes", "file"),
        ("upstreams", "echo"): ("built-in", None),
        ("credentials", "openai", "new"): ("changes", None),
        ("credentials", "east", "spare"): ("changes", "file"),
        ("routes", "clever"): ("changes", None),
        ("keys", "bob"): ("changes", None),
        ("prices",): ("changes", "file"),
        ("default_model",): ("changes", "environment"),
    }
    assert {place for place, _ in seen.taken_away()} == {
        ("credentials", "openai", "openai-1"),
        ("routes", "smart"),
        ("keys", "alice"),
        ("limits", "east/*"),
    }


def test_an_entry_of_the_environment_follows_it_where_it_says_nothing(view: Callable[..., View]) -> None:
    assert "timeouts" not in view().entry(("upstreams", "openai"))
