"""Guesses: wrong keys from one client's address. So many a minute are answered as such, whichever process hears them.

Nobody asks here about a valid key, so that whoever shares an address with a guesser still gets in, and who has a key
never waits for Redis because of this. An address of IPv6 stands for its /64, which is what one client has. While Redis
does not answer, each process counts on its own, up to its share (and one at least).
"""

from __future__ import annotations

from collections import deque
from ipaddress import IPv6Address, ip_address
from typing import Final, TypeVar

from parley.clock import monotonic
from parley.errors import OverLimit, StateUnavailable
from parley.state import keys, script
from parley.state.line import Line
from parley.state.terms import ms

T = TypeVar("T")

_MOST: Final = 10_000
"""Addresses kept in mind."""


class Guesses:
    """Counts wrong keys: `limit` in any `window` seconds."""

    def __init__(self, line: Line, *, limit: int = 10, window: float = 60.0) -> None:
        self._line = line
        self._limit = limit
        self._window = window
        self._blocked: dict[str, float] = {}
        self._alone: dict[str, deque[float]] = {}
        self._share = 1

    async def look(self, living: int, place: int) -> None:
        """So many processes count, and this one has that place among them."""
        self._share = max(self._limit // living + (place < self._limit % living), 1) if living else 1

    def blocked(self, address: str) -> float:
        """Seconds until another wrong key from there is answered as such, as far as this process knows; asks nobody."""
        return max(self._blocked.get(_client(address), 0.0) - monotonic(), 0.0)

    async def failed(self, address: str) -> None:
        """A key from there was wrong. Raises OverLimit if there were too many; then this one is not counted."""
        client = _client(address)
        if (wait := self.blocked(address)) == 0:
            try:
                wait = await self._line.run(script.GUESS, keys.LIMITS, client, self._limit, ms(self._window)) / 1000
            except StateUnavailable:
                wait = self._counted(client)
        if wait > 0:
            _remember(self._blocked, client, monotonic() + wait)
            raise OverLimit(
                f"Too many wrong keys from your address. Please try again in {wait:.3g}s.",
                scope=f"address:{client}",
                limit="wrong_keys_per_minute",
                retry_after=wait,
            )

    def _counted(self, client: str) -> float:
        """Counts it for this process alone; returns seconds until another one will be."""
        moment = monotonic()
        guesses = self._alone.get(client, deque())
        _remember(self._alone, client, guesses)
        while guesses and guesses[0] <= moment - self._window:
            guesses.popleft()
        if len(guesses) >= self._share:
            return guesses[0] + self._window - moment
        guesses.append(moment)
        return 0.0


def _client(address: str) -> str:
    """What one client has: an address, or a network of IPv6."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped or IPv6Address(int(found) >> 64 << 64))
    return str(found)


def _remember(kept: dict[str, T], client: str, what: T) -> None:
    """The latest come last, and only so many are kept."""
    kept.pop(client, None)
    kept[client] = what
    if len(kept) > _MOST:
        del kept[next(iter(kept))]
