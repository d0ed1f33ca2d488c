"""Edits: new changes from what there is (a `View`) and what somebody wants. None of them checks what it makes: whoever
writes it reads the catalog of it first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from parley.configuration.editing.overlay import View, laid_over
from parley.configuration.editing.places import Place, says, with_entry, without_entry, written
from parley.settings import ConfigurationError

Changes = dict[str, Any]

_EMPTY: Final[Mapping[str, Any]] = {"proxy": "", "base_url": "", "timeouts": {}, "limits": None, "disabled": False}
"""What takes away what a credential of environment or file has beside its secret."""
_BESIDE: Final = frozenset({*_EMPTY, "alias"})


def put(view: View, place: Place, entry: Any) -> Changes:
    """The entry, whatever was there."""
    return with_entry(view.changes, place, _named(place, entry))


def patched(view: View, place: Place, patch: Mapping[str, Any]) -> Changes:
    """The entry that is there, with what a patch (RFC 7396) says. Raises KeyError."""
    return put(view, place, merge_patched(view.entry(place), patch))


def merge_patched(before: Any, patch: Any) -> Any:
    """JSON merge patch: a null takes a member away, objects are merged, everything else is replaced (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return patch
    after = dict(before) if isinstance(before, Mapping) else {}
    for name, said in patch.items():
        if said is None:
            after.pop(name, None)
        else:
            after[name] = merge_patched(after.get(name), said)
    return after


def removed(view: View, place: Place) -> Changes:
    """Without the entry, also if environment or file have it. Raises ConfigurationError for what is built in."""
    if view.source(place) == "built-in":
        raise ConfigurationError(f"{written(place)} is built in, and cannot be taken away.")
    changes = without_entry(view.changes, place)
    if place[0] == "upstreams":
        changes = _without_credentials(changes, place[1])
    return with_entry(changes, place, None) if says(laid_over(view.sources.document, changes), place) else changes


def restored(view: View, place: Place) -> Changes:
    """Without what the changes say at a place, so that environment and file count there again."""
    changes = without_entry(view.changes, place)
    return without_entry(changes, ("credentials", place[1])) if place[0] == "upstreams" else changes


def put_upstream(view: View, name: str, facts: Mapping[str, Any], items: Mapping[str, Any] | None) -> Changes:
    """An upstream, and all of its credentials where they are given: then it has no others."""
    changes = put(view, ("upstreams", name), facts)
    if items is None:
        return changes
    for alias in view.document["credentials"].get(name, {}):
        if alias not in items:
            changes = without_entry(changes, ("credentials", name, alias))
    for alias, item in items.items():
        changes = put_credential(View(view.sources, changes), name, alias, item)
    for alias, item in laid_over(view.sources.document, changes)["credentials"][name].items():
        if alias not in items and item and not item.get("guest"):
            changes = with_entry(changes, ("credentials", name, alias), None)
    return changes


def put_credential(view: View, upstream: str, alias: str, item: Mapping[str, Any]) -> Changes:
    """A credential as the item says, and nothing else. Raises ConfigurationError for one without a secret."""
    place = ("credentials", upstream, alias)
    if not item.keys() - _BESIDE:
        raise ConfigurationError(f"{written(place)} has no value.")
    before = view.sources.document["credentials"].get(upstream, {}).get(alias, {})
    gone = {name: empty for name, empty in _EMPTY.items() if name in before and name not in item}
    return with_entry(view.changes, place, {**item, **gone})


def patch_credential(view: View, upstream: str, alias: str, patch: Mapping[str, Any]) -> Changes:
    """A credential with what the patch says; the parts of its secret change all together, a null takes away."""
    place = ("credentials", upstream, alias)
    said: Mapping[str, Any] = view.changes.get("credentials", {}).get(upstream, {}).get(alias) or {}
    patch = {name: _EMPTY.get(name, "") if value is None else value for name, value in patch.items()}
    parts = patch.keys() - _BESIDE
    kept = {name: value for name, value in said.items() if name in _BESIDE or not parts}
    return with_entry(view.changes, place, {**kept, **patch})


def imported(view: View, changes: Mapping[str, Any], *, merge: bool) -> Changes:
    """The changes of an archive: instead of those that there are, or entry by entry over them."""
    if not merge:
        return dict(changes)
    merged: Changes = {**view.changes}
    for kind, said in changes.items():
        if kind == "credentials":
            known = merged.get(kind, {})
            merged[kind] = {**known, **{name: {**known.get(name, {}), **items} for name, items in said.items()}}
        else:
            merged[kind] = {**merged.get(kind, {}), **said} if isinstance(said, dict) and kind != "prices" else said
    return merged


def everything(view: View) -> Changes:
    """All that there is, as changes that need neither environment nor file; keys of the model-config file are not
    among them, since what they are bound to cannot be written so."""
    document = view.document
    said: Changes = {
        "upstreams": {
            name: facts
            for name, facts in document["upstreams"].items()
            if view.source(("upstreams", name)) != "built-in"
        },
        "credentials": {
            name: own
            for name, items in document["credentials"].items()
            if (own := {alias: item for alias, item in items.items() if item and not item.get("guest")})
        },
        "routes": {model: {"model": model, **route} for model, route in document["routes"].items()},
        "keys": {
            name: {"prefix": "", "created": 0.0, **key}
            for name, key in document["keys"].items()
            if not key.get("bound")
        },
        "limits": document["limits"],
        **{kind: document[kind] for kind in ("prices", "default_model") if kind in document},
    }
    return {kind: entry for kind, entry in said.items() if entry}


def _named(place: Place, entry: Any) -> Any:
    """A route has its name inside, too."""
    return {"model": place[1], **entry} if place[0] == "routes" else entry


def _without_credentials(changes: Changes, upstream: str) -> Changes:
    """What was taken away stays so, should an upstream of that name come back."""
    said: Mapping[str, Any] = changes.get("credentials", {}).get(upstream, {})
    for alias, item in said.items():
        if item is not None:
            changes = without_entry(changes, ("credentials", upstream, alias))
    return changes
