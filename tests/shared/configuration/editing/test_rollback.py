"""Going back brings back what was configured, and no key that was given up since."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from parley.configuration import read_catalog
from parley.configuration.editing import edits
from parley.configuration.editing.issuing import Issued, changed_key, issued, rotated
from parley.configuration.editing.overlay import View
from parley.configuration.editing.rollback import Kept, went_back
from parley.configuration.families import Environment
from parley.configuration.keys import digest

Seen = Callable[..., View]
Good = Callable[[dict[str, Any], str], bool]
NOW = 1_800_000_000.0
EARLIER, LATER = "2026-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
OF_THE_FILE = "alices-own-key-of-the-file"
OF_THE_OLD_FILE = "a-token-of-the-old-file"


@pytest.fixture
def good(settings: Environment) -> Good:
    """Whether a key opens anything, with these changes."""

    def known(changes: dict[str, Any], key: str) -> bool:
        caller = read_catalog(settings, changes).catalog.callers.get(bytes.fromhex(digest(key)))
        return caller is not None and not caller.disabled and (caller.expires or NOW + 1) > NOW

    return known


@pytest.fixture
def bob(view: Seen) -> Issued:
    """A key that was made, with a limit, and the changes that made it."""
    return issued(view(), "bob", {"limits": {"requests_per_minute": 60}, "expires": LATER}, now=NOW)


def test_what_is_configured_comes_back_and_a_key_as_it_was_decided(view: Seen, bob: Issued) -> None:
    newer = changed_key(view(bob.changes), "bob", {"limits": {"requests_per_minute": 5}}, now=NOW)
    newer = edits.put(view(newer), ("routes", "new"), {"targets": ["east/big"]})
    assert went_back(view(newer), bob.changes, now=NOW) == (bob.changes, ())
    assert went_back(view(bob.changes), {}, now=NOW) == ({}, ()), "a key that came since goes"


def test_a_deleted_key_stays_deleted(view: Seen, bob: Issued, good: Good) -> None:
    newer = edits.removed(view(bob.changes), ("keys", "bob"))
    back = went_back(view(newer), bob.changes, now=NOW)
    assert back.kept == (Kept("bob", "deleted"),)
    assert good(bob.changes, bob.key.reveal()) and not good(back.changes, bob.key.reveal())
    assert view(back.changes).changes["keys"] == {}, "where keys were issued one is asked for"


@pytest.mark.parametrize(("name", "key"), [("alice", OF_THE_FILE), (None, OF_THE_OLD_FILE)])
def test_a_deleted_key_of_a_file_stays_deleted(view: Seen, good: Good, name: str | None, key: str) -> None:
    name = name or next(name for name, entry in view().document["keys"].items() if entry.get("bound"))
    newer = edits.removed(view(), ("keys", name))
    back = went_back(view(newer), {}, now=NOW)
    assert back.kept == (Kept(name, "deleted"),)
    assert good({}, key) and not good(back.changes, key)


def test_a_rotated_key_is_the_new_one_with_what_was_decided_then(view: Seen, bob: Issued, good: Good) -> None:
    newer = rotated(view(bob.changes), "bob", grace=0, now=NOW)
    changes = changed_key(view(newer.changes), "bob", {"limits": {"requests_per_minute": 5}}, now=NOW)
    back = went_back(view(changes), bob.changes, now=NOW)
    assert back.kept == (Kept("bob", "rotated"),)
    assert good(back.changes, newer.key.reveal()) and not good(back.changes, bob.key.reveal())
    assert view(back.changes).entry(("keys", "bob"))["limits"] == {"requests_per_minute": 60}


def test_the_key_before_a_rotation_gets_no_grace_again(view: Seen, bob: Issued, good: Good) -> None:
    graceful = rotated(view(bob.changes), "bob", grace=3600, now=NOW)
    leaked = rotated(view(graceful.changes), "bob", grace=0, now=NOW)
    back = went_back(view(leaked.changes), graceful.changes, now=NOW).changes
    assert good(back, leaked.key.reveal())
    assert not good(back, bob.key.reveal()) and not good(back, graceful.key.reveal())


def test_a_rotated_key_of_the_file_is_the_new_one(view: Seen, good: Good) -> None:
    newer = rotated(view(), "alice", grace=0, now=NOW)
    back = went_back(view(newer.changes), {}, now=NOW)
    assert back.kept == (Kept("alice", "rotated"),)
    assert good(back.changes, newer.key.reveal()) and not good(back.changes, OF_THE_FILE)
    assert view(back.changes).entry(("keys", "alice"))["owner"] == "Alice"


def test_a_key_that_the_file_has_again_is_that_of_the_file(view: Seen, good: Good) -> None:
    rotation = rotated(view(), "alice", grace=0, now=NOW)
    restored = edits.restored(view(rotation.changes), ("keys", "alice"))
    back = went_back(view(restored), rotation.changes, now=NOW).changes
    assert good(back, OF_THE_FILE) and not good(back, rotation.key.reveal())


@pytest.mark.parametrize(
    ("patch", "because"),
    [({"disabled": True}, "disabled"), ({"expires": EARLIER}, "expired")],
)
def test_a_key_that_is_refused_by_now_stays_refused(
    view: Seen, bob: Issued, good: Good, patch: dict[str, Any], because: Any
) -> None:
    newer = changed_key(view(bob.changes), "bob", {**patch, "limits": None}, now=NOW)
    back = went_back(view(newer), bob.changes, now=NOW)
    assert back.kept == (Kept("bob", because),)
    assert not good(back.changes, bob.key.reveal())
    assert view(back.changes).entry(("keys", "bob"))["limits"] == {"requests_per_minute": 60}
    assert went_back(view(back.changes), back.changes, now=NOW) == (back.changes, ()), "nothing more to be kept"
