"""The process's one line to Redis: pipelined, in order, and never waited for.

* Every command of the process goes over one connection; what is asked in one turn of the event loop is written at once.
* A call that is not answered within the limit (50 ms) fails, and so does everything behind it: the line is down. While
  it is down, calls fail at once. A PING in the background finds out when Redis answers in time again; a line that stays
  silent, or breaks, is dialled anew.
* A call that failed in this way may still have been done. Its reply, if it comes, is shown to the caller's `late`, who
  can undo it; if it never comes, the deadline of the lease is the net under it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import Any, Final, Literal

from redis.exceptions import RedisError

from parley.clock import monotonic, now, sleep
from parley.errors import StateUnavailable
from parley.sealed import Secret
from parley.state.address import dialer
from parley.state.script import ALL, Script
from parley.state.wire import Argument, Call, Late, Wire

Condition = Literal["ok", "slow", "gone"]

_NOT_NOW: Final = (
    "LOADING",
    "BUSY",
    "READONLY",
    "MASTERDOWN",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "TRYAGAIN",
    "CLUSTERDOWN",
)
"""Error replies that say: not now. All others are mistakes of ours."""
_STEP_SECONDS: Final = 2.0
_DIAL_SECONDS: Final = 5.0
_SILENCE_SECONDS: Final = 5.0
"""A line that is silent for so long is dialled anew: a frozen Redis thaws, a cut cable does not."""
_CONFIRM_SECONDS: Final = 0.005
_BACKOFF: Final = (0.05, 1.0)

log = logging.getLogger(__name__)


class Line:
    """One pipelined connection, kept up in the background from `open` to `close`."""

    def __init__(self, url: Secret, name: str, *, limit: float = 0.05, backlog: int = 10_000) -> None:
        self.name = name
        self.limit = limit
        self.on_up: list[Callable[[], None]] = []
        """Called whenever the line comes up, before anybody else uses it again."""
        self._dial = dialer(url, name, _STEP_SECONDS)
        self._backlog = backlog
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._up = False
        self._since = now()
        self._timer: asyncio.TimerHandle | None = None
        self._suspect: Call | None = None
        self._good = asyncio.Event()
        self._trouble = asyncio.Event()
        self._tending: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether Redis answers in time."""
        return self._up

    @property
    def condition(self) -> Condition:
        """How Redis is: slow means connected, and not answering in time."""
        if self._up:
            return "ok"
        return "gone" if self._wire is None else "slow"

    @property
    def since(self) -> float:
        """Since when (seconds since the epoch) it is up, or not."""
        return self._since

    async def open(self, patience: float = 3.0) -> bool:
        """Start; return whether Redis answered within `patience` seconds. If not, the line keeps trying."""
        self._tending = asyncio.create_task(self._tend(), name="line to Redis")
        return await self.ready(patience)

    async def ready(self, patience: float) -> bool:
        """Wait until the line is up, at most so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not self._up:
                    self._good.clear()
                    await self._good.wait()
        return self._up

    async def close(self) -> None:
        """Hang up, after what was said is answered (or the limit is over)."""
        if self._up:
            with contextlib.suppress(StateUnavailable, RedisError):
                await self.call("PING")
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)
        self._up = False
        await self._drop("we hung up")

    def call(self, *command: Argument, late: Late | None = None) -> asyncio.Future[Any]:
        """Send a command; the future has its reply, or StateUnavailable."""
        return self._ask(command, late, None)

    def run(self, script: Script, *command: Argument, late: Late | None = None) -> asyncio.Future[Any]:
        """Run a script on one key (the first of `command`) and arguments; as `call`."""
        return self._ask((b"EVALSHA", script.sha, 1, *command), late, script)

    def send(self, script: Script, *command: Argument) -> bool:
        """Run a script and do not wait for it; False when it could not be sent."""
        wire = self._wire
        if not self._up or wire is None or len(wire.under_way) >= self._backlog:
            return False
        self._put(wire, Call((b"EVALSHA", script.sha, 1, *command), self.limit, script=script))
        return True

    def _ask(self, command: tuple[Argument, ...], late: Late | None, script: Script | None) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        wire = self._wire
        if not self._up or wire is None:
            future.set_exception(_unavailable())
        elif len(wire.under_way) >= self._backlog:
            future.set_exception(StateUnavailable("Too many commands wait for Redis.", retry_after=1.0))
        else:
            self._put(wire, Call(command, self.limit, future, late, script))
        return future

    def _put(self, wire: Wire, call: Call) -> None:
        wire.put(call)
        if self._timer is None:
            self._look_at(self._loop.time() + self.limit)

    # --- replies ------------------------------------------------------------------------------------------------------

    def _settle(self, call: Call, reply: Any) -> None:
        future = call.future
        if isinstance(reply, RedisError):
            self._refused(call, reply)
        elif future is None:
            pass
        elif not future.done():
            future.set_result(reply)
        elif call.late is not None:
            call.late(call.command, reply)

    def _refused(self, call: Call, error: RedisError) -> None:
        wire, future, problem = self._wire, call.future, str(error)
        if call.script is not None and problem.startswith("NOSCRIPT") and wire is not None:
            if future is None or not future.done():  # nothing ran yet: a caller who is gone wants nothing any more
                wire.put(Call((b"EVAL", call.script.text, *call.command[2:]), call.limit, future, call.late))
            return
        not_now = problem.startswith(_NOT_NOW)
        if not_now:
            self._fall(f"it says {problem.partition(' ')[0]}")
            if problem.startswith("READONLY") and wire is not None:
                wire.abort()  # it is not the master any more
        if future is None:
            log.error("Redis refused a command that nobody waits for: %s", problem)
        elif not future.done():
            future.set_exception(_unavailable() if not_now else error)

    # --- time ---------------------------------------------------------------------------------------------------------

    def _look_at(self, when: float) -> None:
        self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        """The one timer of all calls: it fires at most once per limit, and looks at the oldest."""
        timer, self._timer = self._timer, None
        oldest = next((call for call in self._wire.under_way if call.limit), None) if self._wire else None
        time = self._loop.time()
        if oldest is None:
            self._suspect = None
        elif not oldest.due or time < oldest.due:
            self._look_at(oldest.due or time + self.limit)
        elif self._suspect is not oldest:
            # Read first, judge then: if it was this process that had no time, the reply may be in the socket already.
            # And where we were late ourselves, Redis may have had to wait for a processor as long as we had.
            self._suspect = oldest
            late = time - timer.when() if timer else 0.0
            self._look_at(time + min(max(late, _CONFIRM_SECONDS), self.limit))
        else:
            self._fall("no answer in time")

    def _fall(self, why: str) -> None:
        """The line is down: everybody is told at once, nobody waits."""
        if self._up:
            self._up = False
            self._since = now()
            log.warning("Redis is not available: %s", why)
        for call in self._wire.under_way if self._wire else ():
            call.limit = call.due = 0.0
            if call.future is not None and not call.future.done():
                call.future.set_exception(_unavailable())
        self._trouble.set()

    # --- the background ----------------------------------------------------------------------------------------------

    async def _tend(self) -> None:
        pause, longest = _BACKOFF
        told = ""
        while True:
            try:
                wire = self._wire = await Wire.connect(self._dial, _DIAL_SECONDS, self._settle, self._lost)
            except (RedisError, OSError, TimeoutError) as problem:
                if (trouble := type(problem).__name__) != told:  # once, not at every turn
                    log.warning("cannot connect to Redis: %s", trouble)
                    told = trouble
            else:
                told = ""
                for script in ALL:
                    wire.put(Call((b"SCRIPT", b"LOAD", script.text)))
                while self._wire is wire:
                    self._trouble.clear()
                    if await self._answers(wire):
                        pause = _BACKOFF[0]
                        self._rise()
                        await self._trouble.wait()
                await wire.hang_up()
            await sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
            pause = min(2 * pause, longest)

    async def _answers(self, wire: Wire) -> bool:
        """Whether a PING is answered in time. A wire that stays silent is broken."""
        pong: asyncio.Future[Any] = self._loop.create_future()
        sent = monotonic()
        wire.put(Call((b"PING",), future=pong))
        broken = asyncio.create_task(self._trouble.wait())
        try:
            await asyncio.wait({pong, broken}, timeout=_SILENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pong.cancel()  # nobody will ask what became of it
            raise
        finally:
            broken.cancel()
        took = monotonic() - sent
        if not pong.done():
            pong.cancel()
            if self._wire is wire:
                await self._drop("it is silent")
            return False
        if pong.exception() is not None:  # LOADING, for one: it will answer in good time
            await sleep(_BACKOFF[0])
            return False
        return self._wire is wire and took <= self.limit

    def _rise(self) -> None:
        self._up = True
        self._since = now()
        log.info("Redis is available")
        for tell in self.on_up:
            tell()
        self._good.set()

    def _lost(self, wire: Wire) -> None:
        if self._wire is wire:
            self._fall("the connection broke")
            self._wire = None

    async def _drop(self, why: str) -> None:
        self._fall(why)
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.hang_up()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _unavailable() -> StateUnavailable:
    return StateUnavailable("Redis does not answer in time.", retry_after=1.0)
