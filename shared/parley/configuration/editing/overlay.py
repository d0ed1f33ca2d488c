"""Changes laid over what there is without them: the same as `parley.configuration.changes` does, but with entries as
they are written, so that it also works for changes that cannot be used any more. And of each entry, who says it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from parley.configuration.editing.places import NAMED, Described, Place, entry_at, says
from parley.configuration.editing.sources import Source, Sources

_OPEN: Final = "open"
_BESIDE: Final = frozenset({"proxy", "base_url", "timeouts", "limits", "disabled", "guest"})
"""Members of a credential that are no part of its secret."""


@dataclass(frozen=True)
class View:
    """What environment and files say, the changes of a revision, and both together."""

    sources: Sources
    changes: Mapping[str, Any]

    @cached_property
    def document(self) -> Described:
        """Everything that there is; what is built in comes last."""
        document = laid_over(self.sources.document, self.changes)
        upstreams = document["upstreams"]
        for name in [name for name in upstreams if self.source(("upstreams", name)) == "built-in"]:
            upstreams[name] = upstreams.pop(name)
        return document

    def entry(self, place: Place) -> Any:
        """What there is at a place. Raises KeyError."""
        return entry_at(self.document, place)

    def has(self, place: Place) -> bool:
        """Whether there is anything at a place."""
        return says(self.document, place)

    def source(self, place: Place) -> Source:
        """Who says what there is."""
        return "changes" if says(self.changes, place) else self.sources.origin.get(place, "changes")

    def overrides(self, place: Place) -> Source | None:
        """Who would say it without the changes; None when there are none here, or nobody would."""
        return self.sources.origin.get(place) if says(self.changes, place) else None

    def taken_away(self) -> list[tuple[Place, Source]]:
        """What environment and files have, and the changes take away."""
        origin = self.sources.origin.items()
        return [(place, source) for place, source in origin if says(self.changes, place) and not self.has(place)]


def laid_over(base: Described, changes: Mapping[str, Any]) -> Described:
    """The base with the changes; an upstream that is taken away has no credentials."""
    after: Described = {kind: _named(base.get(kind, {}), changes.get(kind, {})) for kind in NAMED}
    after["credentials"] = {
        name: _credentials(base, changes, name, facts) for name, facts in after["upstreams"].items()
    }
    prices = changes.get("prices")
    if (prices := base.get("prices") if prices is None else prices) is not None:
        after["prices"] = prices
    if (model := changes.get("default_model", base.get("default_model"))) is not None:
        after["default_model"] = model
    for model, route in after["routes"].items():
        after["routes"][model] = {name: said for name, said in route.items() if name != "model"}
    return deepcopy(after)


def merged_item(before: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """A credential with what an item says about it: the parts of its secret change all together."""
    parts = item.keys() - _BESIDE - {"alias"}
    kept = {name: said for name, said in before.items() if name in _BESIDE or not parts}
    merged = {**kept, **{name: said for name, said in item.items() if name != "alias"}}
    return {name: said for name, said in merged.items() if said not in ("", None, False, {}) or name not in _BESIDE}


def _named(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry for name, entry in {**base, **changes}.items() if entry is not None}


def _credentials(base: Described, changes: Mapping[str, Any], name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    items: dict[str, Any] = dict(base["credentials"].get(name, {}))
    if name in changes.get("upstreams", {}):
        items = _with_guests(items, int(facts.get("guests", 0)))
    said: Mapping[str, Any] = changes.get("credentials", {}).get(name, {})
    opened = set(items) == {_OPEN}
    for alias, item in said.items():
        if item is None:
            items.pop(alias, None)
        else:
            items[alias] = merged_item(items.get(alias, {}), item)
    if opened and len(items) > 1 and not items.get(_OPEN, {}).keys() - _BESIDE:
        items.pop(_OPEN, None)
    return items


def _with_guests(items: dict[str, Any], wanted: int) -> dict[str, Any]:
    """As `upstream_of`: those guests that there are, then new ones."""
    guests = {alias: item for alias, item in items.items() if item.get("guest")}
    kept = dict(list(guests.items())[:wanted])
    new = {f"guest-{number + 1}": {"guest": True} for number in range(len(kept), wanted)}
    own = {alias: item for alias, item in items.items() if alias not in guests}
    return {**own, **kept, **new} or {_OPEN: {}}
