"""Asked: a request whose admission was asked for, and may still be on its way. Any number of tasks may wait for it."""

from __future__ import annotations

import asyncio
from asyncio import Future
from dataclasses import dataclass
from typing import Any

from parley.state.scopes import Room


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may go on. It is to be settled or released."""

    id: str
    """Empty where nothing is limited."""
    requests: Room | None
    """What the tightest limit of requests leaves; None where there is none."""
    tokens: Room | None
    """The same of tokens."""
    shared: bool = True
    """False when it was admitted by this process's share."""


class Asked:
    """What will be decided about a request. It is to be settled, released or voided, once it was granted."""

    __slots__ = ("_decision", "request", "said")

    def __init__(self, request: str, said: Future[Any] | None = None) -> None:
        self.request = request
        """Its name in Redis; empty where nothing is limited."""
        self.said = said
        """What Redis will say."""
        self._decision: Future[Admitted] = asyncio.get_running_loop().create_future()

    @property
    def id(self) -> str:
        """For `Vault.lend`: what must be on record for it to lend. Empty where nothing is left to be found out."""
        return "" if self._decision.done() else self.request

    @property
    def decided(self) -> bool:
        """Whether nobody has to wait for it any more. It is decided before anything is that was asked after it."""
        return self._decision.done()

    async def granted(self) -> Admitted:
        """Wait until it is admitted. Raises OverLimit or StateUnavailable. Whoever is cancelled while waiting voids
        nothing: others may wait too."""
        if self._decision.done():
            return self._decision.result()
        return await asyncio.shield(self._decision)

    # --- for the admission --------------------------------------------------------------------------------------------

    @property
    def admitted(self) -> Admitted | None:
        """What it was granted, if it is by now."""
        decision = self._decision
        return decision.result() if decision.done() and not decision.cancelled() and not decision.exception() else None

    def grant(self, admitted: Admitted) -> None:
        """It may go on."""
        self._decision.set_result(admitted)

    def refuse(self, problem: BaseException) -> None:
        """It may not."""
        self._decision.set_exception(problem)
        self._decision.exception()  # it is no mistake if nobody asks for it

    def withdraw(self) -> bool:
        """Nobody waits for it any more. False where it was decided before."""
        return self._decision.cancel()
