"""The admission decides, before anything is asked of an upstream, whether a request stays within all of its limits.

* A request counts for scopes (its key, its model): it is admitted to all of them, or to none, by one script in Redis.
  What it may take at worst is reserved; when it is over, `settle` puts what it took in its place.
* `ask` sends that script at once and waits for nothing, so that a credential can be asked for in the same turn:
  `Vault.lend` is told `Asked.id`, and lends only if that request was admitted.
* `settle` and `release` only say so: they are synchronous, may be called twice, never fail, and are not awaited.
* Places of answers under way are renewed in one batch per process, so that those of a killed one come back within the
  life of a lease. What it had reserved stays counted: nobody knows how much of it was taken.
* While Redis does not answer, `Shares` admits this process's share; Redis is told when it is back (`Settlement`).
"""

from __future__ import annotations

import secrets
from asyncio import Future
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import count
from typing import Any, Final, Protocol

from parley.catalog import Budget
from parley.clock import monotonic
from parley.errors import OverLimit, StateUnavailable
from parley.state import keys, script
from parley.state.asked import Admitted, Asked
from parley.state.line import Line
from parley.state.overrun import overrun
from parley.state.scopes import REQUESTS, TOKENS, Amounts, Fullness, Scope, effective, read_fullness, room
from parley.state.settlement import Request, Settlement
from parley.state.shares import Shares
from parley.state.terms import Terms, ms
from parley.state.wire import Argument

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


class Reserved(Protocol):
    """What may have something reserved for it: a request that was admitted, or a lease."""

    @property
    def id(self) -> str:
        """By this it is known."""


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

    def ask(self, scopes: Iterable[Scope], *, tokens: int, cost: int) -> Asked:
        """Ask for a request that may take so many tokens, and cost so much (millionths), at worst; wait for nothing.

        Each scope is named once. Where nothing is limited, nobody is asked and it is granted at once. Whoever asked
        sees to it that the request ends: it is settled, released or voided.
        """
        limited = [(name, found) for name, limits in scopes if (found := effective(limits))]
        if not limited:
            asked = Asked("")
            asked.grant(Admitted("", None, None))
            return asked
        request = Request(f"{self._name}-{next(self._count):x}", limited, Amounts(tokens, cost), monotonic())
        heard = self._line.up  # else nobody was asked, and nothing is to be taken back
        said = self._line.run(script.ADMIT, keys.LIMITS, *self._settlement.told(request))
        asked = Asked(request.id, said)
        if said.done():
            self._decide(asked, request, heard, said)
        else:
            said.add_done_callback(partial(self._decide, asked, request, heard))
        return asked

    async def admit(self, scopes: Iterable[Scope], *, tokens: int, cost: int) -> Admitted:
        """Ask, and wait for it. Raises OverLimit, which knows when there is room in all; StateUnavailable where nobody
        knows what is left."""
        asked = self.ask(scopes, tokens=tokens, cost=cost)
        try:
            return await asked.granted()
        except BaseException:
            self.void(asked)
            raise

    def void(self, asked: Asked) -> None:
        """The caller is gone. What was not decided yet is taken back and was no request; what was granted is released.

        May be said at any time, also of a request that was refused or is over: then nothing happens.
        """
        if asked.withdraw():
            if asked.said is not None:
                asked.said.cancel()
            self._settlement.void(asked.request)
        elif (admitted := asked.admitted) is not None:
            self.release(admitted)

    def settle(self, admitted: Reserved, tokens: int, cost: int) -> None:
        """The request is over, or what was asked with a lease, and took so much: more or less than was reserved."""
        request = self._settlement.over(admitted.id, Amounts(tokens, cost))
        if request is not None:
            worst = request.amounts
            self._shares.leave(request.parts, Amounts(tokens - worst.tokens, cost - worst.cost))

    def release(self, admitted: Reserved) -> None:
        """The request took nothing: no tokens, no money. It still was a request."""
        self.settle(admitted, 0, 0)

    # --- leases, which the vault asks for -----------------------------------------------------------------------------

    def asking(self, lease: str, scopes: Sequence[Scope], reserve: Amounts) -> list[Argument]:
        """What `lease_take` is told of the limits of credentials."""
        return [keys.LIMITS, *self._settlement.told(Request(lease, scopes, reserve))]

    def lent(self, lease: str, scopes: Sequence[Scope], reserve: Amounts, full: Sequence[int]) -> None:
        """Redis lent it, and replied how full the credential's scope is now. It is to be settled or released."""
        request = Request(lease, scopes, reserve, monotonic(), sure=True)
        request.parts = self._shares.admitted(scopes, reserve, [full])
        self._settlement.began(request)

    def lent_by_share(self, lease: str, scopes: Sequence[Scope], reserve: Amounts) -> None:
        """Redis does not answer: lent within our share. Raises OverLimit or StateUnavailable."""
        request = Request(lease, scopes, reserve, monotonic())
        request.parts, _, _ = self._shares.admit(scopes, reserve)
        self._settlement.began(request)

    def never_used(self, lease: str) -> None:
        """Redis may have lent it, or may still do so, to a caller who is gone."""
        self._settlement.void(lease)

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

    def _decide(self, asked: Asked, request: Request, heard: bool, said: Future[Any]) -> None:
        if said.cancelled() or asked.decided:
            return  # the caller is gone
        problem = said.exception()
        try:
            admitted = self._by_share(request, problem) if problem else self._admitted(request, said.result())
        except Exception as refusal:  # noqa: BLE001  # a mistake of ours, too: whoever waits must hear of it
            if problem is not None and heard:  # it may be counted all the same, now or when Redis wakes up
                self._settlement.void(request.id)
            asked.refuse(refusal)
        else:
            asked.grant(admitted)

    def _admitted(self, request: Request, reply: Sequence[Any]) -> Admitted:
        if reply[0] == b"refused":
            self._shares.refused(request.scopes, reply[-1])
        if reply[0] != b"admitted":
            raise _refusal(request, reply)
        request.sure = True
        request.parts = self._shares.admitted(request.scopes, request.amounts, reply[1])
        self._settlement.began(request)
        return Admitted(request.id, room(request.scopes, reply[1], REQUESTS), room(request.scopes, reply[1], TOKENS))

    def _by_share(self, request: Request, problem: BaseException) -> Admitted:
        """Redis does not answer. Any other problem is a mistake of ours."""
        if not isinstance(problem, StateUnavailable):
            raise problem
        request.parts, requests, tokens = self._shares.admit(request.scopes, request.amounts)
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
