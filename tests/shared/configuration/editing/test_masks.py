"""Nobody is shown a secret, and what was shown can be sent back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from parley.configuration.editing import edits
from parley.configuration.editing.archive import Archive, archived, changes_of
from parley.configuration.editing.differences import differences
from parley.configuration.editing.issuing import issued
from parley.configuration.editing.masks import MASK, Masks
from parley.configuration.editing.overlay import View
from parley.configuration.keys import digest
from parley.sealed import Seal
from parley.settings import ConfigurationError

Seen = Callable[..., View]

CANARY = "canary"
CHANGES: dict[str, Any] = {
    "upstreams": {
        "west": {
            "provider": "openai",
            "base_url": "https://me:canary-1-in-url@127.0.0.1:9/v1?sig=canary-2-in-query",
            "proxy": "socks5://canary-3:canary-3@127.0.0.1:1",
            "options": {
                "headers": {"x-anything": "canary-4-header", "Authorization": "canary-5"},
                "organization": "shown-organization",
                "nested": [{"api_key": "canary-6-nested", "site_url": "http://canary-7@127.0.0.1"}],
            },
            "defaults": {"user": "shown-user", "access_token": "canary-8-default", "max_tokens": 5},
        }
    },
    "credentials": {
        "west": {
            "a": {
                "value": "canary-9-value",
                "proxy": "http://canary-10@127.0.0.1:1",
                "base_url": "http://canary-11@h/v1",
            },
            "b": {"app_id": "canary-12", "secret_key": "canary-13", "timeouts": {"total": 5.0}, "disabled": True},
            "c": None,
        }
    },
    "keys": {
        "bob": {
            "prefix": "sk-parley-shownpre",
            "hash": digest("canary"),
            "previous": {"hash": digest("canary-2"), "until": 5.0},
            "created": 1.0,
            "notes": "shown-notes",
        }
    },
    "routes": {"r": {"model": "r", "targets": ["west/shown-model"]}},
}


def test_a_shown_document_has_no_secret_and_all_the_rest(masks: Masks) -> None:
    shown = json.dumps(masks.document(CHANGES))
    assert CANARY not in shown and digest("canary") not in shown and digest("canary-2") not in shown
    for text in ("organization", "user", "notes", "model"):
        assert f"shown-{text}" in shown
    assert '"max_tokens": 5' in shown and '"total": 5.0' in shown and "127.0.0.1:9/v1" in shown
    assert shown.count("masked:") == 15


def test_the_sources_hold_no_secret_either(masks: Masks, view: Seen) -> None:
    shown = json.dumps(masks.document(view().document))
    for secret in (
        "east-secret",
        "east-proxy-pass",
        "openai-secret",
        "alices-own",
        "old-file",
        digest("alices-own-key"),
    ):
        assert secret not in shown


def test_a_mask_tells_secrets_apart_and_needs_the_seal(masks: Masks) -> None:
    assert masks.mask("one") == masks.mask("one") != masks.mask("two")
    assert MASK.fullmatch(masks.mask("one")) and masks.mask("") == ""
    assert Masks(Seal(b"another installation")).mask("one") != masks.mask("one")


def test_what_was_shown_can_be_sent_back(masks: Masks) -> None:
    shown = masks.document(CHANGES)
    assert masks.taken_off_all(shown, CHANGES) == CHANGES
    shown["credentials"]["west"]["a"]["value"] = "a-new-secret"
    taken = masks.taken_off_all(shown, CHANGES)
    assert taken["credentials"]["west"]["a"]["value"] == "a-new-secret"
    assert taken["credentials"]["west"]["a"]["proxy"] == "http://canary-10@127.0.0.1:1"


@pytest.mark.parametrize(
    "entry",
    [
        {"value": "masked:000000000000"},
        {"value": "http://masked:000000000000@127.0.0.1"},
        {"proxy": "masked:000000000000"},
    ],
)
def test_a_mask_of_nothing_is_refused_with_its_place(masks: Masks, entry: dict[str, str]) -> None:
    (member,) = entry
    with pytest.raises(ConfigurationError, match=rf"credentials\.west\.a\.{member}: this mask stands for no secret"):
        masks.taken_off(("credentials", "west", "a"), entry, CHANGES["credentials"]["west"]["a"])


def test_a_mask_means_nothing_at_another_place(masks: Masks) -> None:
    stolen = masks.entry(("credentials", "west", "a"), CHANGES["credentials"]["west"]["a"])
    with pytest.raises(ConfigurationError):
        masks.taken_off(("credentials", "other", "a"), stolen, None)


def test_differences_are_told_entry_by_entry_without_secrets(masks: Masks, view: Seen) -> None:
    before = view({"credentials": {"east": {"spare": {"value": "canary-before"}}}})
    changes = edits.put_credential(before, "east", "spare", {"value": "canary-after", "disabled": True})
    changes = edits.removed(view(changes), ("routes", "smart"))
    changes = issued(view(changes), "bob", {}, now=1.0).changes
    found = list(differences(masks.document(before.document), masks.document(view(changes).document)))
    assert [(one.place, one.change, one.members) for one in found] == [
        (("routes", "smart"), "removed", []),
        (("credentials", "east", "spare"), "changed", ["proxy", "value", "disabled"]),
        (("keys", "bob"), "added", []),
    ]
    assert CANARY not in repr(found)


@pytest.mark.parametrize("way", ["left-out", "passphrase", "parley-secret"])
def test_an_archive_brings_the_changes_back(masks: Masks, way: str) -> None:
    seal = Seal(b"an installation's own secret")
    passphrase = "correct horse battery" if way == "passphrase" else None
    made = archived(
        CHANGES, masks, revision=3, exported=1.0, seal=seal if way == "parley-secret" else None, passphrase=passphrase
    )
    text = made.model_dump_json()
    assert CANARY not in text
    read = changes_of(Archive.model_validate_json(text), seal=seal, passphrase=passphrase)
    assert (read if way != "left-out" else masks.taken_off_all(read, CHANGES)) == CHANGES


def test_a_sealed_archive_opens_only_with_what_sealed_it(masks: Masks) -> None:
    seal, other = Seal(b"an installation's own secret"), Seal(b"another")
    locked = archived(CHANGES, masks, revision=1, exported=1.0, seal=None, passphrase="correct horse battery")
    for passphrase, told in [("wrong horse battery", "another passphrase"), (None, "say which")]:
        with pytest.raises(ConfigurationError, match=told):
            changes_of(locked, seal=seal, passphrase=passphrase)
    own = archived(CHANGES, masks, revision=1, exported=1.0, seal=seal, passphrase=None)
    with pytest.raises(ConfigurationError, match="another PARLEY_SECRET"):
        changes_of(own, seal=other, passphrase=None)
    with pytest.raises(ConfigurationError, match=r"archive\.salt"):
        changes_of(locked.model_copy(update={"salt": "#"}), seal=seal, passphrase="correct horse battery")
