"""One part of the stack: how it is started, known to be ready, and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from parley.tether import tethered

READY_WITHIN = 60.0


class CannotStart(Exception):
    """Something stands in the way of the stack; the sentence says what."""


@dataclass(frozen=True)
class Part:
    """What a part is; `Running` is a process of it."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """What it gets beyond our own environment."""
    address: tuple[str, int] | None = None
    is_ready: Callable[[], Awaitable[bool]] | None = None
    goodbye: signal.Signals = signal.SIGTERM
    patience: float = 10.0
    """Seconds between `goodbye` and SIGKILL."""
    orphaned: signal.Signals = signal.SIGKILL
    """What the kernel sends it when we die without a word."""
    revivable: bool = True
    """Whether the stack lives on without it, and starts it again."""
    keep_open: tuple[int, ...] = ()
    gives_way: bool = False
    """Whether being woken is no reason to interrupt who runs on its core (SCHED_BATCH; Linux)."""


class Running:
    """A part and its process, in a process group of its own, so that Ctrl-C reaches only us."""

    def __init__(self, part: Part, log: Path | None) -> None:
        self.part = part
        self.log = log
        self._process: asyncio.subprocess.Process | None = None
        self._pump: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process id, of the last process when it is dead."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the process. Call from the main thread (see `parley.tether`)."""
        output = self.log.open("ab") if self.log else await self._shown()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.part.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.part.environment},
                start_new_session=True,
                preexec_fn=self._prepared(),
                pass_fds=self.part.keep_open,
            )
        finally:
            output.close()

    def _prepared(self) -> Callable[[], None]:
        """What the child does between fork and exec: a system call or two, prepared before the fork."""
        tie = tethered(self.part.orphaned)
        if not self.part.gives_way or sys.platform != "linux":
            return tie
        batch, plain = os.SCHED_BATCH, os.sched_param(0)

        def prepare() -> None:
            tie()
            with suppress(OSError):  # where it is not allowed it only costs a little more
                os.sched_setscheduler(0, batch, plain)

        return prepare

    async def _shown(self) -> IO[bytes]:
        """A pipe of our own. With asyncio's, `wait` would last until every heir of it is gone: orphaned workers too."""
        reading, writing = os.pipe()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(reading, "rb", 0))
        self._pump = asyncio.create_task(_prefixed(self.part.name, reader))
        return os.fdopen(writing, "wb", 0)

    async def ready(self) -> None:
        """Wait until it answers; CannotStart when it ends first or takes too long."""
        deadline = asyncio.get_running_loop().time() + READY_WITHIN
        while self.alive:
            if self.part.is_ready is None or await self.part.is_ready():
                return
            if asyncio.get_running_loop().time() > deadline:
                raise CannotStart(f"{self.part.name} does not answer after {READY_WITHIN:.0f} s{self._where()}.")
            await asyncio.sleep(0.05)
        raise CannotStart(f"{self.part.name} {await self.ended()} before it was ready{self._where()}.")

    async def ended(self) -> str:
        """Wait for its end and say how it was."""
        assert self._process  # noqa: S101  # nobody waits for a part that was never started
        code = await self._process.wait()
        if self._pump:
            await asyncio.wait([self._pump], timeout=1)  # its last words, before ours
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    async def stop(self) -> None:
        """Ask it to end, wait, then end its whole group. Safe to call on what is dead."""
        if self._process is None:
            return
        if self.alive:
            self._process.send_signal(self.part.goodbye)
            try:
                await asyncio.wait_for(self._process.wait(), self.part.patience)
            except TimeoutError:
                say(f"{self.part.name} did not end within {self.part.patience:.0f} s and is killed")
        self.kill()
        await self._process.wait()

    def kill(self) -> None:
        """End its whole process group at once: also the workers of a master that died."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # nobody is left (macOS says the latter of a zombie)
            return

    def _where(self) -> str:
        return f" (see {self.log})" if self.log else ""


def say(sentence: str) -> None:
    """A line of ours on standard error."""
    print(f"parley: {sentence}", file=sys.stderr, flush=True)


async def _prefixed(name: str, output: asyncio.StreamReader) -> None:
    """Show what a part writes, each line with its name in front. A line of any length will do."""
    prefix = f"{name:<9} | ".encode()
    rest = b""
    while piece := await output.read(65536):
        *lines, rest = (rest + piece).split(b"\n")
        _show(b"".join(prefix + line + b"\n" for line in lines))
    if rest:
        _show(prefix + rest + b"\n")


def _show(text: bytes) -> None:
    try:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
    except OSError:
        return  # nobody reads any more (`parley up | head`); the parts must not stop for that
