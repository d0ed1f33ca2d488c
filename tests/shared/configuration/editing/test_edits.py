"""Edits make new changes of old ones, and leave the old ones as they are."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from parley.catalog import Catalog
from parley.configuration import read_catalog
from parley.configuration.editing import edits
from parley.configuration.editing.issuing import NameTaken, changed_key, issued, rotated
from parley.configuration.editing.overlay import View
from parley.configuration.families import Environment
from parley.configuration.keys import digest
from parley.settings import ConfigurationError

Seen = Callable[..., View]


@pytest.fixture
def after(settings: Environment) -> Callable[[dict[str, Any]], Catalog]:
    return lambda changes: read_catalog(settings, changes).catalog


def test_an_entry_is_put_patched_taken_away_and_given_back(view: Seen, after: Callable[..., Catalog]) -> None:
    place = ("upstreams", "door")
    changes = edits.patched(view(), place, {"base_url": "http://127.0.0.1:7/v1", "timeouts": {"connect": 1}})
    door = after(changes).upstreams["door"]
    assert (door.base_url, door.timeouts.connect, door.timeouts.total) == ("http://127.0.0.1:7/v1", 1, 60)
    changes = edits.patched(view(changes), place, {"timeouts": None, "base_url": "http://127.0.0.1:8/v1"})
    assert after(changes).upstreams["door"].timeouts.total == 1200
    before = deepcopy(changes)
    gone = edits.removed(view(changes), ("routes", "smart"))
    gone = edits.removed(view(gone), place)
    assert gone == {"upstreams": {"door": None}, "routes": {"smart": None}} and changes == before
    back = edits.restored(view(gone), place)
    assert after(back).upstreams["door"].base_url == "http://127.0.0.1:2/v1"
    assert edits.restored(view(back), ("routes", "smart")) == {}


def test_what_only_the_changes_have_is_simply_gone(view: Seen) -> None:
    changes = edits.put(view(), ("routes", "clever"), {"targets": ["east/big"]})
    assert changes["routes"]["clever"] == {"model": "clever", "targets": ["east/big"]}
    assert edits.removed(view(changes), ("routes", "clever")) == {}


def test_what_is_built_in_cannot_be_taken_away(view: Seen) -> None:
    with pytest.raises(ConfigurationError, match=r"upstreams\.echo is built in"):
        edits.removed(view(), ("upstreams", "echo"))


def test_a_credential_is_replaced_changed_and_taken_away(view: Seen, after: Callable[..., Catalog]) -> None:
    changes = edits.put_credential(view(), "east", "spare", {"value": "rolled-secret"})
    east = {plan.alias: plan for plan in after(changes).upstreams["east"].credentials}
    assert east["spare"].parts["value"].reveal() == "rolled-secret" and east["spare"].proxy is None
    changes = edits.patch_credential(view(changes), "east", "spare", {"disabled": True, "proxy": "http://127.0.0.1:1"})
    changes = edits.patch_credential(view(changes), "east", "spare", {"disabled": False, "limits": {"concurrency": 2}})
    spare = after(changes).upstreams["east"].credentials[1]
    assert spare.parts["value"].reveal() == "rolled-secret" and spare.proxy is not None and not spare.disabled
    assert spare.limits is not None and spare.limits.concurrency == 2
    changes = edits.patch_credential(view(changes), "east", "spare", {"limits": None, "proxy": None, "token": "other"})
    spare = after(changes).upstreams["east"].credentials[1]
    assert {name: part.reveal() for name, part in spare.parts.items()} == {"token": "other"}
    assert spare.limits is None and spare.proxy is None
    changes = edits.removed(view(changes), ("credentials", "east", "spare"))
    assert [plan.alias for plan in after(changes).upstreams["east"].credentials] == ["east-1"]


def test_a_credential_needs_a_secret(view: Seen) -> None:
    with pytest.raises(ConfigurationError, match=r"credentials\.east\.spare has no value"):
        edits.put_credential(view(), "east", "spare", {"proxy": "http://127.0.0.1:1"})


def test_an_upstream_comes_with_its_credentials_and_has_no_others(view: Seen, after: Callable[..., Catalog]) -> None:
    facts = {"provider": "openai", "base_url": "http://127.0.0.1:9/v1", "models": ["big"]}
    changes = edits.put_upstream(view(), "west", facts, {"a": {"value": "west-secret"}, "b": {"value": "west-two"}})
    changes = edits.put_upstream(view(changes), "west", facts, {"b": {"value": "west-three"}})
    assert [plan.alias for plan in after(changes).upstreams["west"].credentials] == ["b"]
    changes = edits.put_upstream(view(changes), "east", facts, {"mine": {"value": "mine-alone"}})
    assert [plan.alias for plan in after(changes).upstreams["east"].credentials] == ["mine"]
    changes = edits.put_upstream(view(changes), "door", facts, None)
    assert [plan.alias for plan in after(changes).upstreams["door"].credentials] == ["open"]
    with pytest.raises(ConfigurationError, match="its last credential cannot be taken away"):
        after(edits.put_upstream(view(), "east", facts, {}))


def test_a_credential_that_was_taken_away_stays_away_with_its_upstream(
    view: Seen, after: Callable[..., Catalog]
) -> None:
    changes = edits.removed(view(), ("credentials", "east", "spare"))
    changes = edits.put_credential(view(changes), "east", "new", {"value": "new-secret"})
    changes = edits.removed(view(edits.removed(view(changes), ("routes", "smart"))), ("upstreams", "east"))
    assert "east" not in after(changes).upstreams
    changes = edits.put(
        view(changes), ("upstreams", "east"), {"provider": "openai", "base_url": "http://127.0.0.1:1/v1"}
    )
    assert [plan.alias for plan in after(changes).upstreams["east"].credentials] == ["east-1"]


def test_a_key_is_issued_changed_and_rotated(view: Seen, after: Callable[..., Catalog]) -> None:
    first = issued(view(), "bob", {"models": ["big"], "owner": "Bob"}, now=100.0)
    entry = first.changes["keys"]["bob"]
    assert entry == {
        "models": ["big"],
        "owner": "Bob",
        "prefix": first.key.reveal()[:18],
        "hash": digest(first.key.reveal()),
        "created": 100.0,
    }
    changes = changed_key(view(first.changes), "bob", {"models": None, "disabled": True}, now=1.0)
    assert after(changes).callers[bytes.fromhex(entry["hash"])].disabled
    assert changes["keys"]["bob"]["created"] == 100.0 and "models" not in changes["keys"]["bob"]
    second = rotated(view(first.changes), "bob", grace=60.0, now=200.0)
    callers = after(second.changes).callers
    assert callers[bytes.fromhex(entry["hash"])].expires == 260.0
    assert callers[bytes.fromhex(digest(second.key.reveal()))].expires is None
    third = rotated(view(second.changes), "bob", grace=0, now=300.0)
    assert {caller.name for caller in after(third.changes).callers.values()} >= {"bob"}
    assert bytes.fromhex(entry["hash"]) not in after(third.changes).callers
    assert third.changes["keys"]["bob"]["previous"] is None


def test_a_key_of_the_file_is_changed_and_rotated_as_well(view: Seen, after: Callable[..., Catalog]) -> None:
    changes = changed_key(view(), "alice", {"disabled": True}, now=5.0)
    alice = after(changes).callers[bytes.fromhex(digest("alices-own-key-of-the-file"))]
    assert alice.disabled and alice.models == ("smart",)
    new = rotated(view(), "alice", grace=10, now=5.0)
    assert after(new.changes).callers[bytes.fromhex(digest("alices-own-key-of-the-file"))].expires == 15.0


def test_what_cannot_be_done_with_keys(view: Seen) -> None:
    with pytest.raises(NameTaken):
        issued(view(), "alice", {}, now=1.0)
    with pytest.raises(ConfigurationError, match="means somebody else"):
        issued(view(), "master", {}, now=1.0)
    (bound,) = [name for name, key in view().document["keys"].items() if key.get("bound")]
    for attempt in (
        lambda: changed_key(view(), bound, {"disabled": True}, now=1.0),
        lambda: rotated(view(), bound, grace=1, now=1.0),
    ):
        with pytest.raises(ConfigurationError, match="token of the model-config file"):
            attempt()
    with pytest.raises(KeyError):
        rotated(view(), "nobody", grace=1, now=1.0)


def test_everything_can_be_said_as_changes(
    settings: Environment, view: Seen, after: Callable[..., Catalog], tmp_path: Any
) -> None:
    changes = edits.everything(view({"routes": {"clever": {"model": "clever", "targets": ["east/big"]}}}))
    empty = settings.model_copy(
        update={
            "parley_config": tmp_path / "none",
            "parley_model_config": tmp_path / "none",
            "openai_api_key": None,
            "default_model": None,
        }
    )
    there, here = read_catalog(empty, changes).catalog, after({"routes": {"clever": changes["routes"]["clever"]}})
    assert there.upstreams == here.upstreams and there.routes == here.routes
    assert there.model_limits.limits == here.model_limits.limits and there.prices == here.prices
    assert {caller.name for caller in there.callers.values()} == {"alice"}


def test_an_import_replaces_or_is_laid_over(view: Seen) -> None:
    now = {
        "routes": {"a": {"model": "a", "targets": ["east/big"]}},
        "credentials": {"east": {"x": {"value": "xxx"}}},
        "default_model": "a",
    }
    new = {"routes": {"b": {"model": "b", "targets": ["east/big"]}}, "credentials": {"east": {"y": {"value": "yyy"}}}}
    assert edits.imported(view(now), new, merge=False) == new
    merged = edits.imported(view(now), {**new, "prices": {"models": []}}, merge=True)
    assert merged == {
        "routes": {**now["routes"], **new["routes"]},  # type: ignore[dict-item]
        "credentials": {"east": {"x": {"value": "xxx"}, "y": {"value": "yyy"}}},
        "default_model": "a",
        "prices": {"models": []},
    }
