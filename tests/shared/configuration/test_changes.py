"""What an operator changes is laid over environment and file, entry by entry; what is wrong is told with its place."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from parley.catalog import Budget, Catalog, Limits
from parley.configuration import read_catalog, watched
from parley.configuration.editing.overlay import laid_over
from parley.configuration.editing.places import without_entry
from parley.configuration.editing.sources import read_sources
from parley.configuration.families import Environment
from parley.configuration.keys import IssuedKey, digest, new_key
from parley.configuration.upstreams import facts_of, upstream_of
from parley.settings import ConfigurationError

FILE = """
upstreams:
  - {name: east, provider: openai, base_url: "http://127.0.0.1:1/v1", credentials: [east-secret-one, east-secret-two],
     models: [big], limits: {requests_per_day: 1000}}
  - {name: door, provider: openai, base_url: "http://127.0.0.1:2/v1", models: [small]}
routes:
  - {model: smart, targets: [east/big]}
keys:
  - {name: alice, key: alices-own-key-of-the-file, models: ["smart"], limits: {requests_per_minute: 60}}
limits:
  - {model: "east/*", tokens_per_minute: 5000}
prices: {currency: EUR, models: [{model: big, prompt: 1, completion: 2}]}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Environment:
    file = tmp_path / "parley.yaml"
    file.write_text(FILE)
    return Environment(
        _env_file=None,
        parley_config=file,
        parley_model_config=tmp_path / "none.json",
        openai_api_key="openai-secret-of-the-environment",
    )


def issued(**more: Any) -> dict[str, Any]:
    key = new_key()
    return {"prefix": key[:18], "hash": digest(key), "created": 1.0, **more}


def after(settings: Environment, changes: dict[str, Any]) -> Catalog:
    return read_catalog(settings, changes).catalog


def test_nothing_changed_is_as_before(settings: Environment) -> None:
    assert after(settings, {}).upstreams == read_catalog(settings).catalog.upstreams
    names = [caller.name for caller in after(settings, {}).callers.values()]
    assert names == ["alice"] and after(settings, {}).keyed


def test_the_file_has_keys_and_limits(settings: Environment) -> None:
    catalog = after(settings, {})
    alice = catalog.callers[hashlib.sha256(b"alices-own-key-of-the-file").digest()]
    assert (alice.name, alice.models, alice.limits) == ("alice", ("smart",), Limits(requests_per_minute=60))
    assert not alice.issued
    found = catalog.model_limits.of("east/big", "big")
    assert found is not None and found.limits == Limits(tokens_per_minute=5000)
    assert catalog.model_limits.of("west/big") is None
    assert catalog.upstreams["east"].limits == Limits(requests_per_day=1000)


def test_upstreams_are_added_changed_and_taken_away(settings: Environment) -> None:
    catalog = after(
        settings,
        {
            "upstreams": {
                "openai": None,
                "east": {"provider": "openai", "base_url": "http://127.0.0.1:9/v1", "models": ["big"]},
                "west": {"provider": "openai", "base_url": "http://127.0.0.1:3/v1"},
            },
            "credentials": {"west": {"w": {"value": "west-secret"}}},
        },
    )
    assert list(catalog.upstreams) == ["east", "door", "west", "echo"]
    east = catalog.upstreams["east"]
    assert east.base_url.endswith(":9/v1") and [plan.alias for plan in east.credentials] == ["east-1", "east-2"]
    assert catalog.upstreams["west"].credentials[0].parts["value"].reveal() == "west-secret"


def test_a_credential_is_added_changed_disabled_and_taken_away(settings: Environment) -> None:
    catalog = after(
        settings,
        {
            "credentials": {
                "openai": {"openai-1": None, "new": {"value": "another-secret"}},
                "east": {
                    "east-1": {
                        "disabled": True,
                        "limits": {"budgets": [{"unit": "money", "amount": 1.5, "period": "day"}]},
                    },
                    "east-2": {"value": "rolled-secret", "proxy": "http://127.0.0.1:8"},
                },
                "door": {"opener": {"value": "now-it-needs-one"}},
            }
        },
    )
    assert [plan.alias for plan in catalog.upstreams["openai"].credentials] == ["new"]
    one, two = catalog.upstreams["east"].credentials
    assert one.disabled and one.parts["value"].reveal() == "east-secret-one"
    assert one.limits == Limits(budgets=(Budget("money", 1_500_000, "day"),))
    assert two.parts["value"].reveal() == "rolled-secret" and two.proxy is not None and two.limits is None
    assert [plan.alias for plan in catalog.upstreams["door"].credentials] == ["opener"]


def test_keys_are_known_by_their_digests_old_ones_for_a_grace(settings: Environment) -> None:
    old, new = new_key(), new_key()
    bob = issued(
        hash=digest(new), previous={"hash": digest(old), "until": 77.0}, models=["big"], networks=["10.0.0.0/8"]
    )
    catalog = after(settings, {"keys": {"bob": bob, "alice": None}})
    assert {caller.name for caller in catalog.callers.values()} == {"bob"}
    now, before = (catalog.callers[bytes.fromhex(digest(key))] for key in (new, old))
    assert (now.expires, before.expires) == (None, 77.0)
    assert now.issued and str(now.networks[0]) == "10.0.0.0/8"
    assert IssuedKey.model_validate(bob).prefix.startswith("sk-parley-")


def test_where_keys_were_issued_a_key_is_asked_for_though_the_last_one_is_gone(tmp_path: Path) -> None:
    settings = Environment(_env_file=None, parley_config=tmp_path / "none", parley_model_config=tmp_path / "none")
    gone = without_entry({"keys": {"bob": issued()}}, ("keys", "bob"))
    assert read_catalog(settings, gone).catalog.keyed and not read_catalog(settings, gone).catalog.callers
    assert not read_catalog(settings).catalog.keyed


def test_routes_limits_prices_and_the_default_model(settings: Environment) -> None:
    catalog = after(
        settings,
        {
            "routes": {"smart": None, "clever": {"model": "clever", "targets": ["east/big"]}},
            "limits": {"east/*": None, "clever": {"concurrency": 3}},
            "prices": {"currency": "USD", "models": []},
            "default_model": "clever",
        },
    )
    assert list(catalog.routes) == ["clever"] and catalog.default_model == "clever"
    assert [limit.model for limit in catalog.model_limits.limits] == ["clever"]
    assert catalog.prices.currency == "USD" and not catalog.prices.prices


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"upstreams": {"x": {"provider": "openai", "nonsense": 1}}}, "upstreams.x.nonsense"),
        ({"nonsense": {}}, "nonsense"),
        ({"upstreams": {"Bad Name": None}}, "upstreams.Bad Name"),
        ({"upstreams": {"east": None}}, "route 'smart' names the upstream 'east', which is not configured"),
        ({"credentials": {"nobody": {"a": {"value": "secret-secret"}}}}, "credentials.nobody: there is no upstream"),
        ({"credentials": {"openai": {"openai-1": None}}}, "its last credential cannot be taken away"),
        ({"credentials": {"openai": {"a": {"disabled": True}}}}, "credentials.openai.a has no value"),
        ({"credentials": {"openai": {"a": {"value": "change-me"}}}}, "credentials.openai.a.value still holds"),
        ({"credentials": {"openai": {"openai-1": {"limits": {"rpm": 1}}}}}, "credentials.openai.openai-1.limits: rpm"),
        ({"credentials": {"openai": {"openai-1": {"alias": "other"}}}}, "its alias is openai-1"),
        ({"keys": {"master": issued()}}, "keys.master: 'master' means somebody else"),
        ({"keys": {"bob": {"prefix": "sk", "hash": "zz", "created": 1}}}, "keys.bob.hash"),
        ({"routes": {"a": {"model": "b", "targets": ["east/big"]}}}, "routes.a: its model is a"),
        ({"routes": {"a": {"model": "a", "targets": ["nobody/big"]}}}, "names the upstream 'nobody'"),
        ({"default_model": "gpt-*"}, "default_model: 'gpt-*' is a pattern"),
        ({"limits": {"a": {"budgets": [{"unit": "money", "amount": "0.0000001", "period": "day"}]}}}, "six decimals"),
        ({"limits": {"a": {"budgets": [{"unit": "money", "amount": "1e3", "period": "day"}]}}}, "must be a number"),
        ({"limits": {"a": {"budgets": [{"unit": "money", "amount": True, "period": "day"}]}}}, "must be a number"),
        ({"keys": {"bob": issued(networks=[10])}}, "keys.bob.networks.0"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(settings: Environment, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        after(settings, changes)
    assert told in str(refused.value)
    assert "secret-secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("items", "lent"),
    [
        ({"a": {"value": "secret-one"}}, ["a"]),
        ({"open": {"limits": {"concurrency": 1}}, "a": {"value": "secret-one"}}, ["a"]),
        ({"open": None, "a": {"value": "secret-one"}, "b": {"value": "secret-two"}}, ["a", "b"]),
        ({"a": {"value": "secret-one"}, "open": {"value": "secret-two"}}, ["open", "a"]),
    ],
)
def test_the_place_of_an_upstream_without_credentials_is_given_up(
    settings: Environment, items: dict[str, Any], lent: list[str]
) -> None:
    changes = {"credentials": {"door": items}}
    plans = after(settings, changes).upstreams["door"].credentials
    assert [plan.alias for plan in plans] == lent
    shown = laid_over(read_sources(settings).document, changes)["credentials"]["door"]
    assert list(shown) == lent


def test_two_keys_cannot_be_the_same(settings: Environment) -> None:
    same = issued()
    with pytest.raises(ConfigurationError, match="it is the same key as 'ann'"):
        after(settings, {"keys": {"ann": same, "bob": same}})


def test_no_issued_key_is_the_master_key(settings: Environment) -> None:
    same = settings.model_copy(update={"api_key": SecretStr("the-master-key-of-this-test")})
    with pytest.raises(ConfigurationError, match="it is the same key as 'master'"):
        after(same, {"keys": {"bob": issued(hash=digest("the-master-key-of-this-test"))}})


def test_no_key_of_a_file_is_the_master_key(settings: Environment) -> None:
    same = settings.model_copy(update={"api_key": SecretStr("alices-own-key-of-the-file")})
    with pytest.raises(ConfigurationError, match="one of its keys is API_MASTER_KEY"):
        read_catalog(same)


def test_an_upstream_written_down_is_the_same_again(settings: Environment) -> None:
    for upstream in read_catalog(settings).catalog.upstreams.values():
        if upstream.name != "echo":
            assert upstream_of(upstream.name, facts_of(upstream), upstream.credentials, settings) == upstream


def test_names_in_the_file_are_taken_from_a_file_beside_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "parley.yaml"
    file.write_text('keys: [{name: a, key: "${A_KEY}"}, {name: b, key: "${B_KEY}"}]')
    (tmp_path / "secrets.env").write_text("# ours\nA_KEY=the-key-of-a-in-the-file\nB_KEY=the-key-of-b-in-the-file\n")
    monkeypatch.setenv("B_KEY", "the-key-of-b-outside-it")
    settings = Environment(_env_file=None, parley_config=file, parley_model_config=tmp_path / "none")
    callers = read_catalog(settings).catalog.callers
    wanted = {digest("the-key-of-a-in-the-file"): "a", digest("the-key-of-b-outside-it"): "b"}
    assert {key.hex(): caller.name for key, caller in callers.items()} == wanted
    assert watched(settings)[:2] == (file, tmp_path / "secrets.env")
