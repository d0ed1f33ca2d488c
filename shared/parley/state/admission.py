"""The admission decides, before anything is asked of an upstream, whether a request stays within all of its limits.

* A request counts for scopes (its key, its model): it is admitted to all of them, or to none, by one script in Redis.
  What it may take at worst is reserved; when it is over, `settle` puts what it took in its place.
* `settle` and `release` only say so: they are synchronous, may be called twice, never fail, and are not awaited.
* Places of answers under way are renewed in one batch per process, so that those of a killed one come back within the
  life of a lease. What it had reserved stays counted: nobody knows how much of it was taken.
* While Redis does not answer, `Shares` admits this process's share; Redis is told when it is back (`Settlement`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from parley.catalog import Budget
from parley.clock import monotonic
from parley.errors import OverLimit, StateUnavailable
from parley.state import keys, script
from parley.state.line import Line
from parley.state.overrun import overrun
from parley.state.scopes import REQUESTS, TOKENS, Amounts, Fullness, Room, Scope, effective, read_fullness, room
from parley.state.settlement import Request, Settlement
from parley.state.shares import Shares
from parley.state.terms import Terms, ms

_UNKNOWN_WAIT: Final = 1.0
_PAGE: Final = 100
_MOST_PAGES: Final = 50
_COLUMNS: Final = {
    "requests_per_minute": 0,
    "tokens_per_minute": 1,
    "requests_per_day": 3,
    "tokens_per_day": 4,
    "concurrency": 6,
}
"""Where in a row is how much of a limit is used; from 7 on, of each budget its period's number and what is spent."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may go on. It is to be settled or released."""

    id: str
    requests: Room | None
    """What the tightest limit of requests leaves; None where there is none."""
    tokens: Room | None
    """The same of tokens."""
    shared: bool = True
    """False when it was admitted by this process's share."""


class Admission:
    """Admits requests within their limits. One per process."""

    def __init__(self, line: Line, *, terms: Terms | None = None) -> None:
        terms = terms or Terms()
        self._line = line
        self._minute = ms(terms.window)
        self._shares = Shares(terms.window)
        self._settlement = Settlement(line, terms)
        self._name, self._count = secrets.token_hex(4), count(1)
        self._seen = 0

    def open(self) -> None:
        """Keep the places of requests under way, from now on."""
        self._settlement.open()

    async def close(self) -> None:
        """Stop keeping them. Those that are still taken end by themselves."""
        await self._settlement.close()

    @property
    def running(self) -> int:
        """Requests under way in this process, of those that are limited."""
        return self._settlement.running

    # --- one request --------------------------------------------------------------------------------------------------

    async def admit(self, scopes: Iterable[Scope], *, tokens: int, cost: int) -> Admitted:
        """Admit a request that may take so many tokens, and cost so much (millionths), at worst.

        Each scope is named once. One round trip, or none where nothing is limited. Raises OverLimit (a LimitReached),
        which knows when there is room in all; StateUnavailable where nobody knows what is left.
        """
        identity = f"{self._name}-{next(self._count):x}"
        limited = [(name, found) for name, limits in scopes if (found := effective(limits))]
        if not limited:
            return Admitted(identity, None, None)
        request = Request(identity, limited, Amounts(tokens, cost), monotonic())
        asked = self._line.up
        try:
            reply = await self._line.run(script.ADMIT, keys.LIMITS, *self._settlement.told(request))
        except StateUnavailable:
            return self._by_share(request, asked)
        except BaseException:  # the caller is gone
            self._settlement.void(identity)
            raise
        if reply[0] != b"admitted":
            raise _refusal(request, reply)
        request.sure = True
        request.parts = self._shares.admitted(limited, request.amounts, reply[1])
        self._settlement.began(request)
        return Admitted(identity, room(limited, reply[1], REQUESTS), room(limited, reply[1], TOKENS))

    def settle(self, admitted: Admitted, tokens: int, cost: int) -> None:
        """The request is over, and took so much: more or less than was reserved."""
        request = self._settlement.over(admitted.id, Amounts(tokens, cost))
        if request is not None:
            worst = request.amounts
            self._shares.leave(request.parts, Amounts(tokens - worst.tokens, cost - worst.cost))

    def release(self, admitted: Admitted) -> None:
        """The request took nothing: no tokens, no money. It still was a request."""
        self.settle(admitted, 0, 0)

    # --- the whole ----------------------------------------------------------------------------------------------------

    async def look(self, living: int, place: int) -> None:
        """See what changed, and prepare for Redis going away: know our share. Raises StateUnavailable."""
        self._shares.fleet(living, place)
        for _ in range(_MOST_PAGES):
            at, self._seen, *rows = await self._line.run(script.FULLNESS, keys.LIMITS, self._minute, self._seen, _PAGE)
            self._shares.saw(at, rows, whole=len(rows) < _PAGE)
            if len(rows) < _PAGE:
                break

    async def fullness(self, scopes: Sequence[str]) -> dict[str, Fullness]:
        """How full these scopes are. Raises StateUnavailable."""
        if not scopes:
            return {}
        _, _, *rows = await self._line.run(script.FULLNESS, keys.LIMITS, self._minute, 0, 0, *scopes)
        return dict(map(read_fullness, rows))

    async def forget(self, scope: str) -> None:
        """A scope is no more (its key was deleted), or begins anew. Raises StateUnavailable."""
        await self._line.run(script.FORGET, keys.LIMITS, scope)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _by_share(self, request: Request, asked: bool) -> Admitted:
        """Redis does not answer. If it was asked, it may count the request all the same, now or when it wakes up."""
        try:
            request.parts, requests, tokens = self._shares.admit(request.scopes, request.amounts)
        except (OverLimit, StateUnavailable):
            if asked:
                self._settlement.void(request.id)
            raise
        self._settlement.began(request)
        return Admitted(request.id, requests, tokens, shared=False)


def _refusal(request: Request, reply: Sequence[Any]) -> OverLimit | StateUnavailable:
    if reply[0] != b"refused":
        return StateUnavailable("The request was given up before Redis came to it.", retry_after=_UNKNOWN_WAIT)
    _, wait, nth, limit, which, rows = reply
    name, limits = request.scopes[nth]
    row, what = rows[nth], limit.decode()
    retry_after = None if wait < 0 else wait / 1000 or _UNKNOWN_WAIT
    if what == "budget":
        budget: Budget = limits.budgets[which]
        wanted, used = request.amounts.of(budget.unit), row[8 + 2 * which]
        refusal = overrun(name, budget, budget.amount, wanted=wanted, retry_after=retry_after, used=used)
    else:
        wanted, used = request.amounts.tokens if what.startswith("tokens") else 1, row[_COLUMNS[what]]
        refusal = overrun(name, what, getattr(limits, what), wanted=wanted, retry_after=retry_after, used=used)
    refusal.requests = room(request.scopes, rows, REQUESTS)
    refusal.tokens = room(request.scopes, rows, TOKENS)
    return refusal
