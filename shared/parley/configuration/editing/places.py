"""Places: where an entry of the configuration lives, and how a document keeps it there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final, Literal

Place = tuple[str, ...]
Kind = Literal["upstreams", "credentials", "routes", "keys", "limits", "prices", "default_model"]
Described = dict[str, Any]
"""A document as the changes are, but complete: nothing is taken away in it, and nothing is said in part."""

NAMED: Final = ("upstreams", "routes", "keys", "limits")
SINGLE: Final = ("prices", "default_model")


def written(place: Place) -> str:
    """A place as people read it: `credentials.east.spare`."""
    return ".".join(place)


def entry_at(document: Mapping[str, Any], place: Place) -> Any:
    """What a document says at a place. Raises KeyError."""
    found: Any = document
    for name in place:
        found = found[name]
    return found


def says(document: Mapping[str, Any], place: Place) -> bool:
    """Whether a document says anything at a place, and be it that it is taken away."""
    try:
        entry_at(document, place)
    except KeyError:
        return False
    return True


def with_entry(document: Mapping[str, Any], place: Place, entry: Any) -> dict[str, Any]:
    """The document with an entry at a place."""
    changed = deepcopy(dict(document))
    at = changed
    for name in place[:-1]:
        at = at.setdefault(name, {})
    at[place[-1]] = deepcopy(entry)
    return changed


def without_entry(document: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The document that says nothing at a place; what is empty then goes, too.

    But for keys: where some were issued a key is asked for, also when the last one is gone.
    """
    changed = deepcopy(dict(document))
    if not says(changed, place):
        return changed
    del entry_at(changed, place[:-1])[place[-1]]
    for length in range(len(place) - 1, 0, -1):
        if not entry_at(changed, place[:length]) and place[:length] != ("keys",):
            del entry_at(changed, place[: length - 1])[place[length - 1]]
    return changed


def entries(document: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    """Every entry with its place, in the document's order."""
    for kind, said in document.items():
        if kind == "credentials":
            yield from (
                ((kind, upstream, alias), item) for upstream, items in said.items() for alias, item in items.items()
            )
        elif kind in NAMED:
            yield from (((kind, name), entry) for name, entry in said.items())
        else:
            yield (kind,), said
