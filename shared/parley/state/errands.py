"""Errands: tasks that outlive whoever asked for them, ended together at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from parley.errors import Failure

T = TypeVar("T")

log = logging.getLogger(__name__)


class Errands:
    """Keeps hold of tasks, so that none is lost or forgotten."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def run(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task. A Failure is for whoever awaits it; any other exception is logged at least."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def close(self) -> None:
        """Cancel what still runs, and wait for its end."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) and not isinstance(problem, Failure):
            log.error("an errand failed", exc_info=problem)
