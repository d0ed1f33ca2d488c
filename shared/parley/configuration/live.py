"""The configuration in force: environment and files, and the changes that everybody agrees on.

Every process asks Redis for the number of the revision four times a second, which costs a few bytes on a connection
that is there anyway, and reads the changes when it has grown; so all agree within a second (promise 13). Why nothing
is pushed: docs/decisions/0008-revisions-are-asked-for.md. It looks at the files as often.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from os import stat_result
from pathlib import Path
from typing import Any, Final

from parley.catalog import Catalog
from parley.clock import monotonic, sleep
from parley.configuration import Configured
from parley.errors import StateUnavailable
from parley.settings import ConfigurationError
from parley.state.records import LostKey
from parley.state.revisions import Changes, Revisions

EVERY: Final = 0.25
"""Seconds between two looks."""

Listener = Callable[[Catalog], Awaitable[None]]

log = logging.getLogger(__name__)


class Live:
    """The catalog of this process, kept up to date from `open` to `close`.

    `read` makes a catalog of the environment, the `files` and the given changes. What this process cannot use (its
    environment may differ from that of the process that took the changes) leaves its catalog as it is, and is told.
    """

    def __init__(self, read: Callable[[Changes], Configured], revisions: Revisions, files: Sequence[Path] = ()) -> None:
        self._read = read
        self._revisions = revisions
        self._files = files
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._stamps = self._stamped()
        self._changes: Changes = {}
        self.catalog = read({}).catalog
        self.revision = 0
        """The revision that `catalog` shows."""
        self.confirmed = -math.inf
        """When (monotonic) Redis last said that there is none newer; never, at first."""
        self.problem = ""
        """Why the newest revision is not in force here; empty when it is."""
        self.listeners: list[Listener] = []
        """Told of each new catalog, one after the other, before the next look."""

    async def open(self) -> None:
        """Look once, so that nobody begins with what is out of date, and go on looking. Without Redis, go on only."""
        await self._try_look()
        self._task = asyncio.create_task(self._look_for_ever(), name="configuration")

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> None:
        """See whether there is something newer, and put it in force. Raises StateUnavailable, LostKey."""
        async with self._turn:
            if (stamps := self._stamped()) != self._stamps:
                self._stamps = stamps
                await self._take("the changed file")
            if await self._revisions.number() != self.revision:
                self.revision, self._changes = await self._revisions.current()
                await self._take(f"revision {self.revision}")
            self.confirmed = monotonic()

    async def reach(self, revision: int, patience: float) -> None:
        """Do not wait for the next look, but have a revision in force at once; try for `patience` seconds at most."""
        over = monotonic() + patience
        await self._try_look()
        while self.revision < revision and monotonic() < over:
            await sleep(EVERY / 5)
            await self._try_look()

    def status(self) -> dict[str, Any]:
        """For pages about how this process is; safe to show."""
        return {"revision": self.revision, "problem": self.problem or None}

    async def _take(self, news: str) -> None:
        try:
            self.catalog = self._read(self._changes).catalog
        except ConfigurationError as problem:
            self.problem = str(problem)
            log.error("%s of the configuration cannot be used here: %s", news, problem)  # noqa: TRY400
            return
        self.problem = ""
        log.info("%s of the configuration is in force", news)
        for tell in self.listeners:
            await tell(self.catalog)

    def _stamped(self) -> list[tuple[int, int] | None]:
        """What tells one state of a file from another: when it was written, and its length."""
        return [(found.st_mtime_ns, found.st_size) if (found := _found(path)) else None for path in self._files]

    async def _look_for_ever(self) -> None:
        while True:
            await sleep(EVERY)
            await self._try_look()

    async def _try_look(self) -> None:
        try:
            await self.look()
        except StateUnavailable:
            pass  # the line says so itself, once
        except LostKey as lost:
            log.critical("%s", lost)
        except Exception:  # a listener's bug must not end the looking
            log.exception("a change of the configuration was not taken everywhere")


def _found(path: Path) -> stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
