"""Settlement: Redis is told what became of every admitted request, until it says that it knows. Nobody waits for that.

What is told may be told again after a line that broke, and is counted once: a request has an id, Redis a record of each
that is under way, and of one of which its process is not sure, Redis remembers for an hour that it is over.
"""

from __future__ import annotations

import logging
from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

from parley.clock import monotonic, sleep
from parley.errors import StateUnavailable
from parley.state import keys, script
from parley.state.errands import Errands
from parley.state.line import Line
from parley.state.scopes import NOTHING, Amounts, Scope, facts
from parley.state.shares import Part
from parley.state.terms import Terms, ms
from parley.state.wire import Argument

_HOUR: Final = 3_600_000
_BATCH: Final = 500
_AT_ONCE: Final = 50
"""So many are told of before Redis is asked for anything else: it answers others in good time all the same."""
_MOST_UNTOLD: Final = 10_000
"""Of more than these the oldest stay counted as they were reserved."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Request:
    """A request that Redis knows of, or must be told of."""

    id: str
    scopes: Sequence[Scope] = ()
    """None of one that did not go on, while Redis may have counted it."""
    amounts: Amounts = NOTHING
    """What it may take at worst."""
    at: float = 0.0
    parts: Sequence[Part] = ()
    sure: bool = False
    """Whether Redis said that it counted it."""
    end: tuple[Amounts, int] | None = None
    """What it took, and whether it counts as a request (1|0); None while it is under way."""
    repeated: bool = False
    """That it is over was said before, and may have been heard."""


class Settlement:
    """The requests of this process: those under way, and those that Redis does not know the end of."""

    def __init__(self, line: Line, terms: Terms) -> None:
        self._line = line
        self._terms = terms
        self._life, self._minute = ms(terms.lease), ms(terms.window)
        self._running: dict[str, Request] = {}
        self._untold: dict[str, Request] = {}
        self._errands = Errands()
        line.on_up.append(self._catch_up)

    def open(self) -> None:
        """Keep places from now on."""
        self._errands.run(self._keep_for_ever())

    async def close(self) -> None:
        """Stop. Places that are still taken end by themselves."""
        await self._errands.close()

    @property
    def running(self) -> int:
        """Requests under way in this process."""
        return len(self._running)

    def told(self, request: Request) -> list[Argument]:
        """The request as the scripts read it (`lua/_scopes.lua`)."""
        told: list[Argument] = [request.id, *request.amounts, self._life, _HOUR, self._minute]
        for name, limits in request.scopes:
            told.append(name)
            told += facts(limits)
        return told

    def began(self, request: Request) -> None:
        """It was admitted."""
        self._running[request.id] = request
        if not request.sure:
            self._tell(request)

    def over(self, request: str, took: Amounts) -> Request | None:
        """It is over, and took so much. Returns nothing if that was said before."""
        found = self._running.pop(request, None)
        if found is not None:
            found.end = (took, 1)
            self._tell(found)
        return found

    def void(self, request: str) -> None:
        """Redis may have counted it, or may still do so, and it did not go on."""
        self._tell(Request(request, end=(NOTHING, 0)))

    # --- telling ------------------------------------------------------------------------------------------------------

    def _tell(self, request: Request) -> Future[Any] | None:
        if not self._line.up:
            self._remember(request)
            return None
        said: Future[Any] | None = None
        if request.scopes and not request.sure:
            ago = ms(monotonic() - request.at)
            said = self._line.run(script.READMIT, keys.LIMITS, ago, *self.told(request))
            said.add_done_callback(partial(self._heard, request, False))
        if request.end is not None:
            (took, counts), remember = request.end, 0 if request.sure else _HOUR
            said = self._line.run(script.SETTLE, keys.LIMITS, request.id, *took, counts, self._minute, remember)
            said.add_done_callback(partial(self._heard, request, True))
        return said

    def _heard(self, request: Request, over: bool, said: Future[Any]) -> None:
        if said.cancelled():
            return
        problem = said.exception()
        if isinstance(problem, StateUnavailable):
            request.repeated = request.repeated or over
            self._remember(request)
        elif problem is not None:
            log.error("Redis refused to hear of a request: %s", problem)
        elif not over:
            request.sure = request.sure or request.end is None
        elif said.result() == 0 and request.sure and not request.repeated:
            request.sure, request.repeated = False, True  # Redis forgot that it counted it: it lost its last moments
            self._tell(request)

    def _remember(self, request: Request) -> None:
        self._untold[request.id] = request
        if len(self._untold) > _MOST_UNTOLD:
            del self._untold[next(iter(self._untold))]

    def _catch_up(self) -> None:
        """Redis is back: first of all it is told what happened."""
        self._tell_rest()
        self._keep()

    def _tell_rest(self) -> None:
        last: Future[Any] | None = None
        for request in list(islice(self._untold.values(), _AT_ONCE)):
            del self._untold[request.id]
            last = self._tell(request)
        if last is not None and self._untold:
            last.add_done_callback(self._tell_more)

    def _tell_more(self, said: Future[Any]) -> None:
        if not said.cancelled() and said.exception() is None:
            self._tell_rest()

    # --- keeping ------------------------------------------------------------------------------------------------------

    async def _keep_for_ever(self) -> None:
        while True:
            await sleep(self._terms.renew_every)
            if self._line.up:
                self._catch_up()

    def _keep(self) -> None:
        ours = [request.id for request in self._running.values() if request.sure]
        for start in range(0, len(ours), _BATCH):
            said = self._line.run(script.KEEP, keys.LIMITS, self._life, _HOUR, *ours[start : start + _BATCH])
            said.add_done_callback(self._kept)

    def _kept(self, said: Future[Any]) -> None:
        if said.cancelled() or said.exception() is not None:
            return  # the next time
        for name in said.result():
            request = self._running.get(name.decode())
            if request is not None:  # Redis lost its last moments
                request.sure = False
                self._tell(request)
