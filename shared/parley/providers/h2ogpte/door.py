"""A door of h2oGPTe: how one credential signs its calls, and which calls its side of the service knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from parley.errors import Failure


class Door(Protocol):
    """One credential at one place. Every call raises Failure when the service does not do what it is asked."""

    @property
    def handshake(self) -> Mapping[str, str]:
        """Headers that open the chat socket."""
        ...

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        """What an answer without success means for this credential."""
        ...

    async def create(self) -> str:
        """Open a chat session, set it up, and tell its id."""
        ...

    async def delete(self, sessions: list[str]) -> None:
        """Delete chat sessions; return when they are gone."""
        ...

    async def recent(self) -> list[str]:
        """Ids of this credential's chat sessions."""
        ...

    async def messages(self, session: str) -> Any:
        """The last stored messages of a session, newest first."""
        ...

    async def statistics(self, answer: str) -> Any:
        """The `usage_stats` that are stored with an answer."""
        ...

    async def stop(self, question: str) -> None:
        """End the answer to this question."""
        ...

    async def probe(self) -> None:
        """Return when the credential works."""
        ...

    async def models(self) -> list[str]:
        """Model ids."""
        ...
