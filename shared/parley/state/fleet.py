"""The fleet: which processes live, and how everything stands. Each process says so every second.

What it sees is what it acts on while Redis is away (its share of each limit), and what `/health` tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import secrets
import socket
from collections.abc import Sequence
from typing import Any, Final, Protocol

from redis.exceptions import RedisError

from parley.clock import monotonic, now, sleep
from parley.errors import Failure, StateUnavailable
from parley.state import keys, script
from parley.state.line import Line
from parley.state.model_lists import ModelLists
from parley.state.records import LostKey
from parley.state.standing import Standing
from parley.state.terms import ms
from parley.state.vault import Vault

_LISTS_EVERY: Final = 5
"""Beats between two looks at the model lists."""

log = logging.getLogger(__name__)


def process_name(role: str) -> str:
    """A name for this process that no other has, also in Redis' list of clients: gateway-HOST-PID-a1b2."""
    host = re.sub(r"[^A-Za-z0-9.]+", "", socket.gethostname())[:32] or "host"
    return f"{role}-{host}-{os.getpid()}-{secrets.token_hex(2)}"


async def heard_of(line: Line) -> dict[str, float]:
    """Every process that is alive, with the seconds since it last said so. Raises StateUnavailable."""
    clock, known = await asyncio.gather(line.call("TIME"), line.call("ZRANGE", keys.PROCESSES, 0, -1, "WITHSCORES"))
    moment = int(clock[0]) + int(clock[1]) / 1e6
    return {
        name.decode(): round(max(moment - float(at) / 1000, 0.0), 3)
        for name, at in zip(known[::2], known[1::2], strict=True)
    }


class Looks(Protocol):
    """Whoever prepares for Redis going away, once a second."""

    async def look(self, living: int, place: int) -> None:
        """So many processes live, and this one has that place among them. Raises StateUnavailable."""


class Fleet:
    """This process's place among the living; the line's name is the process's. `others` look around with the vault.

    Only processes of one kind share: keepers and consoles lend and admit nothing, and take nothing off the gateways.
    """

    def __init__(
        self, line: Line, vault: Vault, model_lists: ModelLists | None = None, others: Sequence[Looks] = ()
    ) -> None:
        self._line = line
        self._vault = vault
        self._model_lists = model_lists
        self._others = others
        self._living: tuple[str, ...] = ()
        self.peers, self.place = 1, 0
        """How many processes of this kind lived at the last look, and this one's place among them."""
        self._beats = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def living(self) -> tuple[str, ...]:
        """The processes that were alive at the last look, in the order of their names."""
        return self._living

    async def open(self) -> None:
        """Be seen, look around once, and go on with both."""
        await self._try_beat()
        self._task = asyncio.create_task(self._beat_for_ever(), name="heartbeat")

    async def close(self) -> None:
        """Say goodbye, so that the others share among themselves at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(StateUnavailable):
            await self._line.run(script.HEARTBEAT, keys.PROCESSES, self._line.name, self._silence, 1)

    async def beat(self) -> None:
        """One sign of life and one look around. Raises StateUnavailable."""
        living = await self._line.run(script.HEARTBEAT, keys.PROCESSES, self._line.name, self._silence, 0)
        self._living = tuple(name.decode() for name in living)
        role = self._line.name.partition("-")[0] + "-"
        peers = [name for name in self._living if name.startswith(role)]
        place = peers.index(self._line.name) if self._line.name in peers else len(peers)
        self.peers, self.place = max(len(peers), 1), place
        for other in self._others:  # before the vault: what it finds wrong with a credential is none of their business
            await other.look(len(peers), place)
        await self._vault.look(len(peers), place)
        if self._model_lists is not None and self._beats % _LISTS_EVERY == 0:
            await self._model_lists.refresh(list(self._vault.standings))
        self._beats += 1

    def status(self) -> dict[str, Any]:
        """How Redis, the fleet and every upstream stand; safe to show, and made without asking anybody."""
        return {
            "redis": {"status": self._line.condition, "since": round(self._line.since, 3)},
            "processes": list(self._living),
            "leases": self._vault.out,
            "upstreams": {
                name: _told(standing) if standing else None for name, standing in self._vault.standings.items()
            },
        }

    @property
    def _silence(self) -> int:
        return ms(self._vault.terms.silence)

    async def _beat_for_ever(self) -> None:
        while True:
            await sleep(self._vault.terms.heartbeat)
            await self._try_beat()

    async def _try_beat(self) -> None:
        try:
            await self.beat()
        except StateUnavailable:
            pass  # the line says so itself, once
        except (Failure, RedisError, LostKey) as problem:
            log.error("the look around failed: %s", problem)  # noqa: TRY400  # these say enough by themselves


def _told(standing: Standing) -> dict[str, Any]:
    return {
        "resting": {"reason": standing.reason, "seconds": round(standing.rests, 1)} if standing.rests else None,
        "waiting": standing.waiting,
        "leases": standing.held,
        "sessions": {"ready": sum(row.ready for row in standing.credentials), "to_close": standing.doomed},
        "counts": {
            "taken": standing.taken,
            "returned": standing.returned,
            "expired": standing.expired,
            "late": standing.late,
        },
        "credentials": [
            {
                "alias": row.alias,
                "state": row.state if row.state != "ok" else "resting" if row.rests else "ok",
                "resting": {"reason": row.reason, "seconds": round(row.rests, 1)} if row.rests else None,
                "leases": row.held,
                "sessions": row.ready,
                "served": row.served,
                "failed": row.failed,
                "last_ok": _ago(row.last_ok),
                "last_failed": _ago(row.last_failed),
                "last_failure": row.last_failure or None,
            }
            for row in standing.credentials
        ],
        "seconds_ago": round(monotonic() - standing.seen, 1),
    }


def _ago(moment: float | None) -> float | None:
    return None if moment is None else round(max(now() - moment, 0.0), 1)
