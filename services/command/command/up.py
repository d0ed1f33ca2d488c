"""`parley up`: the real stack on this machine, in the foreground. Nothing of it outlives this process."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from command.greeting import greeting
from command.parts import CannotStart, Part, Running, say
from command.plan import Plan, Wishes, draw
from command.programs import ProgramMissing
from command.surroundings import surroundings

_FIRST_PAUSE, _LONGEST_PAUSE, _LONG_LIFE = 0.5, 30.0, 60.0  # seconds


def up(wishes: Wishes) -> int:
    """Start everything, stay until told to end; the exit code."""
    try:
        settings = surroundings(Path.cwd())
        state = (wishes.state or Path(settings.get("PARLEY_STATE_DIR", ".parley"))).resolve()
        plan = draw(settings, wishes, state, _take(state))
        return asyncio.run(_Stack(plan, wishes, state).run())
    except (CannotStart, ProgramMissing) as problem:
        say(str(problem))
        return 2


class _Stack:
    """The running parts, in the order of their start; they are ended in the opposite order."""

    def __init__(self, plan: Plan, wishes: Wishes, state: Path) -> None:
        self._plan = plan
        self._wishes = wishes
        self._state = state
        self._rows = [[self._running(part) for part in row] for row in plan.rows]
        self._over = asyncio.Event()
        self._again = asyncio.Event()
        self._exit_code = 0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGUSR1, self._again.set)
        if self._wishes.json and stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
            # The program that started us is gone when nobody can read what we say. (A pipe's writing end is "readable"
            # only then.)
            loop.add_reader(sys.stdout, self._orphaned)
        watchers: list[asyncio.Task[None]] = []
        try:
            for row in self._rows:
                await self._start(row)
                watchers += [asyncio.create_task(self._watch(running)) for running in row]
            if not self._over.is_set():
                self._announce()
                watchers.append(asyncio.create_task(self._revive()))
            await self._over.wait()
        finally:
            for watcher in watchers:
                watcher.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*watchers, return_exceptions=True)
            for row in reversed(self._rows):
                await asyncio.gather(*(running.stop() for running in row))
        return self._exit_code

    async def _start(self, row: list[Running]) -> None:
        """Start a row of parts side by side; return when all answer, or when we are told to end meanwhile."""
        for running in row:
            await running.start()
        over = asyncio.create_task(self._over.wait())
        readiness = asyncio.create_task(_all_ready(row))
        await asyncio.wait([readiness, over], return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if readiness.done():
            readiness.result()
        else:
            readiness.cancel()

    async def _watch(self, running: Running) -> None:
        """Report the end of a part; start it again after a pause that grows, or end everything with it."""
        pause = _FIRST_PAUSE
        while True:
            born = asyncio.get_running_loop().time()
            how = await running.ended()
            running.kill()
            if not self._wishes.restart:
                say(f"{running.part.name} {how}")
                return
            if not running.part.revivable:
                say(f"{running.part.name} {how}; nothing works without it, so all ends")
                self._exit_code = 1
                self._over.set()
                return
            if asyncio.get_running_loop().time() - born > _LONG_LIFE:
                pause = _FIRST_PAUSE
            say(f"{running.part.name} {how}; it is started again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            await running.start()

    async def _revive(self) -> None:
        """On SIGUSR1, where nothing is restarted by itself: start what is dead, and announce the stack anew."""
        while True:
            await self._again.wait()
            self._again.clear()
            if self._wishes.restart:
                continue
            for row in self._rows:
                dead = [running for running in row if not running.alive]
                try:
                    await self._start(dead)
                except CannotStart as problem:
                    say(str(problem))
            self._announce()

    def _announce(self) -> None:
        parts = [running for row in self._rows for running in row]
        if self._wishes.json:
            print(json.dumps(self._description(parts)), flush=True)
        else:
            with suppress(OSError):
                print(greeting(self._plan, parts), flush=True)

    def _description(self, parts: list[Running]) -> dict[str, Any]:
        def described(running: Running) -> dict[str, Any]:
            address = running.part.address
            return {
                "name": running.part.name,
                "pid": running.pid,
                "port": address and address[1],
                "url": address and f"http://{address[0]}:{address[1]}",
                "log": str(running.log),
            }

        def named(kind: str) -> list[dict[str, Any]]:
            return [described(running) for running in parts if running.part.name.split("-")[0] == kind]

        own_redis = next(iter(named("redis")), None)
        return {
            "pid": os.getpid(),
            "url": self._plan.url,
            "port": self._plan.port,
            "state_dir": str(self._state),
            # An operator's own address may hold a password, and whoever gave it knows it.
            "redis_url": self._plan.redis_url if own_redis else None,
            "redis": own_redis,
            "nginx": named("nginx")[0],
            "gateways": named("gateway"),
            "keepers": named("keeper"),
            "consoles": named("console"),
        }

    def _orphaned(self) -> None:
        asyncio.get_running_loop().remove_reader(sys.stdout)
        self._over.set()

    def _end(self) -> None:
        if self._over.is_set():  # asked twice: no more patience
            for running in (running for row in self._rows for running in row):
                running.kill()
        elif not self._wishes.json:
            with suppress(OSError):
                print("\nparley: ending; once more to end at once", file=sys.stderr, flush=True)
        self._over.set()

    def _running(self, part: Part) -> Running:
        if not self._wishes.json:
            return Running(part, None)
        folder = self._state / "logs"
        folder.mkdir(exist_ok=True)
        return Running(part, folder / f"{part.name}.log")


async def _all_ready(row: list[Running]) -> None:
    await asyncio.gather(*(running.ready() for running in row))


def _take(state: Path) -> int:
    """Make the state folder and hold it: two stacks on one would write one Redis file together."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as taken:
        raise CannotStart(f"another `parley up` uses {state}; end it, or give this one its own --state-dir.") from taken
    except OSError as problem:
        raise CannotStart(f"{state} cannot be written ({problem.strerror}).") from problem
    return lock
