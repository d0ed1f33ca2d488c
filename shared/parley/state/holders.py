"""Who holds what: the leases on an upstream's credentials, each with the process that has it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from parley.state import keys
from parley.state.line import Line


@dataclass(frozen=True, slots=True)
class Held:
    """One lease that is out."""

    credential: str
    lease: str
    process: str
    seconds: float
    """Until it ends, unless its process says before that it still uses it."""
    session: str
    """The session that goes with it; empty where there is none."""


class Holders:
    """Reads leases. Raises StateUnavailable."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def of(self, upstream: str, credentials: Iterable[str]) -> list[Held]:
        """The leases on these credentials (ids), the one that ends first before the others."""
        prefix, wanted = keys.prefix(upstream), list(credentials)
        asked = [self._line.call("ZRANGE", f"{prefix}held:{each}", 0, -1, "WITHSCORES") for each in wanted]
        clock, lent, *found = await asyncio.gather(
            self._line.call("TIME"), self._line.call("HGETALL", f"{prefix}lent"), *asked
        )
        moment = int(clock[0]) * 1000 + int(clock[1]) // 1000
        sessions = {lease.decode(): session.decode() for lease, session in zip(lent[::2], lent[1::2], strict=True)}
        held = [
            _held(credential, lease.decode(), (int(float(over)) - moment) / 1000, sessions)
            for credential, leases in zip(wanted, found, strict=True)
            for lease, over in zip(leases[::2], leases[1::2], strict=True)
        ]
        return sorted((one for one in held if one.seconds > 0), key=lambda one: one.seconds)

    async def sessions(self, upstream: str) -> int:
        """How many sessions are lent."""
        return int(await self._line.call("HLEN", f"{keys.prefix(upstream)}lent"))


def _held(credential: str, lease: str, seconds: float, sessions: dict[str, str]) -> Held:
    """A lease has its process in its name (`Vault.lend`)."""
    session = sessions.get(lease, "").partition(":")[2].partition(":")[2]
    return Held(credential, lease, lease.rpartition("-")[0], seconds, session)
