"""What differs between two documents, entry by entry. Masked documents go in, so that no secret comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from parley.configuration.editing.places import Described, Place, entries


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that is there in one of them only, or not the same."""

    place: Place
    change: Literal["added", "changed", "removed"]
    before: Any
    after: Any

    @property
    def members(self) -> list[str]:
        """Which members of the entry differ; none for an entry that has no members."""
        if not isinstance(self.before, dict) or not isinstance(self.after, dict):
            return []
        names = dict.fromkeys([*self.before, *self.after])
        return [name for name in names if self.before.get(name) != self.after.get(name)]


def differences(before: Described, after: Described) -> Iterator[Difference]:
    """In the order of `before`, then what is new."""
    old, new = dict(entries(before)), dict(entries(after))
    for place in dict.fromkeys([*old, *new]):
        if place not in new:
            yield Difference(place, "removed", old[place], None)
        elif place not in old:
            yield Difference(place, "added", None, new[place])
        elif old[place] != new[place]:
            yield Difference(place, "changed", old[place], new[place])
