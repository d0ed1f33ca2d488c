"""The editor: reads the configuration as it is, and puts changes of it in force.

A change is made on the newest revision, checked whole (the catalog that comes of it, and who would speak to its
upstreams) and written only if that revision still is the newest; it is told when this process has it in force.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from console.refusals import NotNow, Refused, Stale, Unusable
from parley.catalog import Catalog
from parley.configuration import Configured, read_catalog
from parley.configuration.editing.addresses import check_addresses
from parley.configuration.editing.edits import Changes
from parley.configuration.editing.masks import Masks
from parley.configuration.editing.overlay import View
from parley.configuration.editing.places import Place, written
from parley.configuration.editing.sources import Sources, read_sources
from parley.configuration.families import Environment
from parley.configuration.live import Live
from parley.providers import make_provider
from parley.sealed import Seal
from parley.settings import ConfigurationError
from parley.state.records import LostKey
from parley.state.revisions import Conflict, Revision, Revisions
from parley.transports import Net

PATIENCE: Final = 3.0
"""Seconds to wait until a change is in force here."""
_ATTEMPTS: Final = 10
"""Changes upon whatever is there (`If-Match: *`) are made again when somebody else was faster, so many times."""
_PLACE: Final = re.compile(
    r"(?:upstreams|credentials|routes|keys|limits|prices|default_model|archive)(?:[.\[]\S*)?(?=[:\s])"
)

T = TypeVar("T")

Edit = Callable[[View], Changes]


@dataclass(frozen=True, slots=True)
class Seen:
    """The configuration at one revision."""

    revision: int
    view: View

    @property
    def etag(self) -> str:
        """The revision as an entity tag."""
        return etag(self.revision)


def etag(revision: int) -> str:
    """A revision as an entity tag: `"r17"`."""
    return f'"r{revision}"'


class Editor:
    """Of one console."""

    def __init__(self, settings: Environment, revisions: Revisions, live: Live, seal: Seal, net: Net) -> None:
        self.seal = seal
        self.masks = Masks(seal)
        self._settings = settings
        self._revisions = revisions
        self._live = live
        self._net = net

    async def seen(self) -> Seen:
        """The configuration as it is now. Raises Unusable, StateUnavailable."""
        number, changes = await self._opened(self._revisions.current())
        return Seen(number, View(await self._sources(), changes))

    async def past(self, number: int) -> Seen:
        """What a revision that is kept makes of today's environment and files. Raises Unusable, Forgotten,
        StateUnavailable."""
        return Seen(number, View(await self._sources(), await self._opened(self._revisions.past(number))))

    async def log(self) -> list[Revision]:
        """The kept revisions, the newest first. Raises StateUnavailable."""
        return await self._revisions.log()

    async def change(self, edit: Edit, wanted: frozenset[int] | None, place: Place, *, who: str, what: str) -> Seen:
        """Put an edit in force, upon one of the `wanted` revisions (None: upon any). What changes nothing makes no
        revision. Raises Refused, Stale, NotNow, Unusable, StateUnavailable, and what the edit raises."""
        for _ in range(_ATTEMPTS):
            seen = await self.seen()
            if wanted is not None and seen.revision not in wanted:
                raise self._stale(seen, place)
            changes = await self.tried(seen.view, edit, place)
            if changes == seen.view.changes:
                return seen
            try:
                number = await self._revisions.write(changes, upon=seen.revision, who=who, what=what)
            except Conflict:
                continue
            await self._live.reach(number, PATIENCE)  # where it cannot be in force, `problem` says why
            return Seen(number, View(seen.view.sources, changes))
        raise NotNow("Others change the configuration without pause; ask again.")

    async def tried(self, view: View, edit: Edit, place: Place) -> Changes:
        """What an edit makes, checked whole. Raises Refused, and what the edit raises."""
        try:
            changes = edit(view)
            await self._check(changes)
        except ConfigurationError as problem:
            raise refused(problem, place) from None
        return changes

    async def advice(self, view: View) -> tuple[str, ...]:
        """What an operator should be told about the configuration; why it cannot be used, if it cannot."""
        try:
            return (await self._read(dict(view.changes))).advice
        except ConfigurationError as problem:
            return (str(problem),)

    @property
    def problem(self) -> str:
        """Why the newest revision is not in force here; empty when it is."""
        return self._live.problem

    async def _check(self, changes: Changes) -> None:
        try:
            msgspec.json.encode(changes)
        except (ValueError, OverflowError):  # half a character, or a number that no 64 bits hold
            raise ConfigurationError("What was sent holds a text or a number that cannot be kept.") from None
        catalog: Catalog = (await self._read(changes)).catalog
        for name, upstream in catalog.upstreams.items():
            if self._live.catalog.upstreams.get(name) != upstream:
                check_addresses(upstream)
                make_provider(upstream, self._net)

    async def _read(self, changes: Changes) -> Configured:
        return await asyncio.to_thread(read_catalog, self._settings, changes)

    async def _sources(self) -> Sources:
        try:
            return await asyncio.to_thread(read_sources, self._settings)
        except ConfigurationError as problem:
            raise Unusable(f"Environment and files cannot be used: {problem}") from None

    async def _opened(self, found: Awaitable[T]) -> T:
        try:
            return await found
        except LostKey as lost:
            raise Unusable(str(lost)) from None

    def _stale(self, seen: Seen, place: Place) -> Stale:
        stale = Stale(
            f"The configuration is at revision {seen.revision} by now; look at what is in force, and send your change "
            f"with If-Match: {seen.etag}."
        )
        now = self.masks.entry(place, seen.view.entry(place)) if place and seen.view.has(place) else None
        stale.details = {"revision": seen.revision, "in_force": now}
        return stale


def refused(problem: ConfigurationError, place: Place = ()) -> Refused:
    """What is wrong with the configuration, and where; below `place` by the names of the entry's members."""
    text = str(problem)
    found = _PLACE.match(text)
    where = found[0].rstrip(".:") if found else written(place)
    below = where.removeprefix(f"{written(place)}.") if place else where
    return Refused(text, param=below or None)
