"""Keys: they are made here, shown once by whoever called, and kept as a hash with a public prefix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from parley.configuration.editing.edits import Changes, merge_patched
from parley.configuration.editing.overlay import View
from parley.configuration.editing.places import with_entry
from parley.configuration.keys import PREFIX_LETTERS, digest, new_key, refuse_reserved
from parley.sealed import Secret
from parley.settings import ConfigurationError

KEPT: tuple[str, ...] = ("prefix", "hash", "previous", "created", "rotated", "bound")
"""What is kept of a key beside what an operator decides about it."""


class Issued(NamedTuple):
    """A new key, and the changes that make it one."""

    key: Secret
    changes: Changes


class NameTaken(Exception):
    """There is a key of that name."""


def issued(view: View, name: str, facts: Mapping[str, Any], *, now: float) -> Issued:
    """A key for a name that nobody has. Raises NameTaken, ConfigurationError."""
    refuse_reserved(name, f"keys.{name}")
    if view.has(("keys", name)):
        raise NameTaken(name)
    key = new_key()
    return Issued(Secret(key), with_entry(view.changes, ("keys", name), {**facts, **_kept(key), "created": now}))


def changed_key(view: View, name: str, patch: Mapping[str, Any], *, now: float) -> Changes:
    """What an operator decided about a key, with what a patch (RFC 7396) says. Raises KeyError, ConfigurationError."""
    entry = _changeable(view, name, now)
    kept = {member: entry[member] for member in KEPT if member in entry}
    facts = {member: said for member, said in entry.items() if member not in KEPT}
    return with_entry(view.changes, ("keys", name), {**merge_patched(facts, patch), **kept})


def rotated(view: View, name: str, *, grace: float, now: float) -> Issued:
    """Another key for the same name; the old one is valid for `grace` seconds more, the one before it no longer.

    Raises KeyError, ConfigurationError.
    """
    entry, key = _changeable(view, name, now), new_key()
    previous = {"hash": entry["hash"], "until": now + grace} if grace > 0 else None
    said = {**entry, **_kept(key), "previous": previous, "rotated": now}
    return Issued(Secret(key), with_entry(view.changes, ("keys", name), said))


def _changeable(view: View, name: str, now: float) -> dict[str, Any]:
    """The key as changes would have it. One of the file may be changed: then the changes have it."""
    entry: dict[str, Any] = view.entry(("keys", name))
    if entry.get("bound"):
        raise ConfigurationError(
            f"keys.{name} is a token of the model-config file, which says where it leads: it can be taken away here, "
            "but not changed."
        )
    return {"prefix": "", "created": now, **entry}


def _kept(key: str) -> dict[str, Any]:
    return {"prefix": key[:PREFIX_LETTERS], "hash": digest(key)}
