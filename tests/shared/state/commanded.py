"""A replica in a process of its own that does what it is told: a JSON list on each line of its standard input, the
name of a command and what it needs; and answers with a line each.

`Crew` starts some and commands them: what is said to all of them they do at the same time.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

from parley.catalog import Budget, Limits, PoolPlan, Upstream
from parley.errors import LimitReached, QueueFull
from parley.leases import Lease, Session
from parley.state.asked import Admitted
from parley.state.scopes import Amounts
from parley.state.terms import Terms
from tests.shared.state.conftest import Replica, replica, upstream
from tests.upstreams.running import ROOT

PATIENT = Terms(lease=600.0, renew_every=60.0)
"""Nothing runs out while a test looks on."""


def limits_of(facts: dict[str, Any]) -> Limits:
    return Limits(**{**facts, "budgets": tuple(Budget(*budget) for budget in facts.get("budgets", ()))})


class Commanded:
    """What one process does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stack = AsyncExitStack()
        self._one: Replica
        self._up: Upstream
        self._admitted: dict[str, Admitted] = {}
        self._leases: dict[str, Lease] = {}

    async def __call__(self, command: list[Any]) -> Any:
        name, *facts = command
        return await getattr(self, f"do_{name}")(*facts)

    async def do_begin(self, facts: dict[str, Any]) -> dict[str, str]:
        """With an upstream, and nothing of before. Replies which credential is called what."""
        limits = limits_of(facts.pop("limits", {}))
        self._up = upstream(facts.pop("credentials"), **facts, limits=limits, pool=PoolPlan(age=3600.0))
        await self.do_end()
        self._one = await self._stack.enter_async_context(replica(self._url, self._up, terms=PATIENT, limit=20.0))
        standing = await self._one.vault.snapshot(self._up)
        return {row.alias: row.id for row in standing.credentials}

    async def do_end(self) -> None:
        await self._stack.aclose()
        self._admitted.clear()
        self._leases.clear()

    async def do_together(self, commands: list[list[Any]]) -> list[Any]:
        """All of them at once."""
        return await asyncio.gather(*map(self, commands))

    # --- limits

    async def do_admit(self, scopes: list[Any], tokens: int, cost: int, number: int) -> list[str]:
        """So many requests at once; replies the ids of those that are admitted."""
        limited = [(name, limits_of(limits)) for name, limits in scopes]

        async def ask() -> str | None:
            try:
                admitted = await self._one.admission.admit(limited, tokens=tokens, cost=cost)
            except LimitReached:
                return None
            self._admitted[admitted.id] = admitted
            return admitted.id

        return [found for found in await asyncio.gather(*(ask() for _ in range(number))) if found]

    async def do_settle(self, ends: list[tuple[str, int, int]]) -> None:
        """Requests are over, and took so much."""
        for name, tokens, cost in ends:
            self._one.admission.settle(self._admitted.pop(name), tokens, cost)
        await self._one.line.call("PING")  # behind what was said

    async def do_full(self, names: list[str]) -> list[Any]:
        """Of each scope: requests and tokens of the day, answers under way, spent in all."""
        found = await self._one.admission.fullness(names)
        return [
            [*full.day, full.running, {unit: spent.amount for (unit, _), spent in full.spent.items()}]
            for full in map(found.__getitem__, names)
        ]

    # --- credentials and sessions

    async def do_lend(self, number: int, sessions: bool, tokens: int) -> list[tuple[str, str, str]]:
        """So many at once, without waiting; replies lease, alias and session of those that are lent."""

        async def lend() -> Lease | None:
            try:
                return await self._one.lend(self._up, sessions=sessions, reserve=Amounts(tokens, 0))
            except (QueueFull, LimitReached):
                return None

        found = [lease for lease in await asyncio.gather(*(lend() for _ in range(number))) if lease]
        self._leases |= {lease.id: lease for lease in found}
        return [(lease.id, lease.credential.alias, lease.session.id if lease.session else "") for lease in found]

    async def do_note(self, lease: str, session: str) -> None:
        """A session was opened for a lease that brought none."""
        found = self._leases[lease]
        self._one.vault.note_session(found, Session(session, found.credential.id, found.credential.epoch))
        await self._one.line.call("PING")

    async def do_give_back(self, ends: list[tuple[str, int]]) -> None:
        """Leases are over, and took so many tokens."""
        for name, tokens in ends:
            lease = self._leases.pop(name)
            self._one.vault.give_back(lease, None)
            self._one.admission.settle(lease, tokens, 0)
        await self._one.line.call("PING")

    async def do_warm(self, credential: str, sessions: list[str]) -> list[bool]:
        """Sessions were opened ahead of time."""
        made = (Session(name, credential, 1) for name in sessions)
        return await asyncio.gather(*(self._one.pool.add(self._up, session) for session in made))

    async def do_close(self, most: int, done: int) -> list[str]:
        """Close what is due, as far as it goes; the first `done` of them can be closed."""
        due = await self._one.pool.due(self._up, most, claim=600.0)
        await self._one.pool.done(self._up, due[:done])
        return [session.id for session in due]

    async def do_known(self, credential: str) -> list[str]:
        """Sessions of a credential that somebody answers for."""
        return sorted(name for name in await self._one.pool.known(self._up, credential))

    async def do_held(self) -> dict[str, int]:
        """Leases that are out, by alias; and how they are counted."""
        standing = await self._one.vault.snapshot(self._up)
        counted = {name: asdict(standing)[name] for name in ("taken", "returned", "late", "waiting", "doomed")}
        return {**Counter({row.alias: row.held for row in standing.credentials}), **counted}


class Crew:
    """Processes that do what they are told."""

    def __init__(self, url: str, number: int) -> None:
        command = [sys.executable, "-m", __name__, url]
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
            for _ in range(number)
        ]
        for process in self._processes:
            assert _heard(process) == "ready"

    def __len__(self) -> int:
        return len(self._processes)

    def all(self, *commands: Sequence[Any]) -> list[Any]:
        """A command to each, all at once; one alone is for everybody."""
        each = commands if len(commands) > 1 else commands * len(self)
        for process, command in zip(self._processes, each, strict=True):
            assert process.stdin is not None
            process.stdin.write(json.dumps(command) + "\n")
            process.stdin.flush()
        return [_heard(process) for process in self._processes]

    def close(self) -> None:
        """End them."""
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()


def _heard(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the process ended; what it says of that is on standard error"
    return json.loads(line)


async def main(url: str) -> None:
    """Do what standard input says, until it ends."""
    one = Commanded(url)
    print(json.dumps("ready"), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await one(json.loads(line))), flush=True)
    await one.do_end()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
