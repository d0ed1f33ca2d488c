"""A gateway's part in admitting, for tests: its line, admission and count of guesses, and its place in the fleet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from parley.catalog import Budget, Limits
from parley.errors import LimitReached, StateUnavailable
from parley.sealed import Secret
from parley.state.admission import Admission
from parley.state.asked import Admitted
from parley.state.fleet import Fleet, process_name
from parley.state.guesses import Guesses
from parley.state.line import Line
from parley.state.terms import Terms
from parley.state.vault import Vault
from tests.shared.state.conftest import PATIENT, SEAL

KEY = "key:mine"


def money(amount: int, period: Any = "month") -> Limits:
    return Limits(budgets=(Budget("money", amount, period),))


@dataclass
class Gate:
    line: Line
    admission: Admission
    guesses: Guesses
    fleet: Fleet

    async def admit(self, limits: Limits, tokens: int = 1, cost: int = 0, scope: str = KEY) -> Admitted:
        return await self.admission.admit([(scope, limits)], tokens=tokens, cost=cost)

    async def admits(self, limits: Limits, **facts: Any) -> bool:
        try:
            await self.admit(limits, **facts)
        except (LimitReached, StateUnavailable):
            return False
        return True

    async def fill(self, limits: Limits, **facts: Any) -> list[Admitted]:
        """Admit until there is no room."""
        found = []
        try:
            while True:
                found.append(await self.admit(limits, **facts))
        except LimitReached:
            return found


@asynccontextmanager
async def gate(
    url: str, *, terms: Terms | None = None, limit: float = PATIENT, beat: bool = False
) -> AsyncIterator[Gate]:
    async with AsyncExitStack() as stack:
        line = Line(Secret(url), process_name("gateway"), limit=limit)
        stack.push_async_callback(line.close)
        await line.open()
        admission, guesses = Admission(line, terms=terms), Guesses(line)
        admission.open()
        stack.push_async_callback(admission.close)
        made = Gate(line, admission, guesses, Fleet(line, Vault(line, SEAL, terms=terms), others=[admission, guesses]))
        if beat:
            await made.fleet.open()
            stack.push_async_callback(made.fleet.close)
        yield made
