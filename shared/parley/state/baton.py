"""The baton: of any number of keepers the one that holds it works; if it dies another has it within seconds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from parley.clock import monotonic, sleep
from parley.errors import StateUnavailable
from parley.state import keys, script
from parley.state.line import Line
from parley.state.terms import ms

_HOLD: Final = 3.0

log = logging.getLogger(__name__)


class Baton:
    """Tries to take the baton, keeps it while it can, drops it at the end."""

    def __init__(self, line: Line, *, hold: float = _HOLD) -> None:
        self._line = line
        self._hold = hold
        self._until = 0.0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def held(self) -> bool:
        """Whether it is ours now. Ends by itself, by our own clock, when Redis cannot be told in time."""
        return monotonic() < self._until

    async def open(self) -> None:
        """Take part from now on."""
        self._task = asyncio.create_task(self._keep(), name="baton")

    async def close(self) -> None:
        """Drop it, so that another has it at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.held:
            self._until = 0.0
            with contextlib.suppress(StateUnavailable):
                await self._line.run(script.BATON, keys.BATON, self._line.name, 0)

    async def wait(self) -> None:
        """Return when it is ours."""
        while not self.held:
            self._changed.clear()
            await self._changed.wait()

    async def _keep(self) -> None:
        while True:
            had, asked = self.held, monotonic()
            try:
                ours = await self._line.run(script.BATON, keys.BATON, self._line.name, ms(self._hold))
            except StateUnavailable:
                pass
            else:
                self._until = asked + self._hold if ours else 0.0
            if self.held:
                self._changed.set()
            if self.held != had:
                log.info("the baton is %s", "ours" if self.held else "not ours any more")
            await sleep(self._hold / 3)
