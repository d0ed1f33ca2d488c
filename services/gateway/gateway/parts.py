"""What one gateway process is made of: built by `gateway.app` when it starts, handed to every request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.accounting import Tally
from gateway.auth import Doorkeeper
from gateway.books import Books
from gateway.delivery import Pulse
from gateway.health import Health
from gateway.routing import Directory
from parley.catalog import Caller
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.journal import Journal
from parley.settings import Settings
from parley.visitors import Visitors


@dataclass(frozen=True, slots=True)
class Parts:
    """The lifespan's state, under the name `parts`."""

    settings: Settings
    visitors: Visitors
    doorkeeper: Doorkeeper
    directory: Directory
    converse: Callable[[Prompt, Caller, Tally], Events]
    pulse: Pulse
    journal: Journal
    books: Books
    health: Health
