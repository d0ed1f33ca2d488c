"""What one gateway process is made of: built by `gateway.app` when it starts, handed to every request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.accounting import Tally
from gateway.auth import WrongKey
from gateway.books import Books
from gateway.current import Current, Snapshot
from gateway.delivery import Pulse
from gateway.health import Health
from gateway.routing import Directory
from parley.catalog import Caller
from parley.chat.answer import Answer
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.journal import Journal
from parley.settings import Settings
from parley.state.guesses import Guesses
from parley.visitors import Visitors


@dataclass(frozen=True, slots=True)
class Parts:
    """The lifespan's state, under the name `parts`."""

    settings: Settings
    visitors: Visitors
    current: Current
    guesses: Guesses
    converse: Callable[[Directory, Prompt, Caller, Tally, Answer], Events]
    pulse: Pulse
    journal: Journal
    books: Books
    health: Health

    async def enter(self, headers: Sequence[tuple[bytes, bytes]], address: str) -> tuple[Snapshot, Caller]:
        """Who calls, and what is in force for him from now on. Raises Unauthenticated, NotFromHere, StateUnavailable;
        OverLimit after too many wrong keys from that address."""
        snapshot = self.current.snapshot
        try:
            return snapshot, snapshot.doorkeeper.admit(headers, address)
        except WrongKey:
            if address:
                await self.guesses.failed(address)
            raise
