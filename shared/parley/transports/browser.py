"""HTTP that looks like a browser's: cloudscraper, for upstreams whose front door asks for one.

cloudscraper is synchronous, so each answer runs in one of a few threads behind a bounded queue; this is the only file
that may block, and it blocks those threads only. Rules kept here: no session is shared between two answers, so no
cookie wanders from one credential to another; redirects are not followed; challenges are not solved unless the operator
let the library do what it does by itself; leaving a stream early shuts the socket down from the loop's side, at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import cloudscraper
import requests
import urllib3

from parley.catalog import Timeouts
from parley.errors import FirstTokenTimeout, Unreachable, UpstreamBroken, UpstreamOverloaded, UpstreamTruncated

_PIECES_AHEAD: Final = 64
"""Pieces a thread may read ahead of a slow caller before it waits."""


class Page:
    """An answer under way: its status and headers are known, its bytes come as they arrive."""

    def __init__(self, status: int, headers: list[tuple[str, str]], pieces: Pieces) -> None:
        self.status = status
        self.headers = requests.structures.CaseInsensitiveDict(headers)
        self.set_cookies = [value for name, value in headers if name.lower() == "set-cookie"]
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises UpstreamTruncated when the body breaks off, FirstTokenTimeout when it falls silent."""
        return self._pieces.__aiter__()


class Pieces:
    """Bytes handed from a thread to the loop; at most so many wait, then the thread does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue()
        self._room = threading.Semaphore(_PIECES_AHEAD)
        self.left = threading.Event()

    def put(self, piece: bytes | BaseException | None) -> None:
        """From the thread: hand over a piece, an end (None) or a failure."""
        while not self._room.acquire(timeout=0.5):
            if self.left.is_set():
                return
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._queue.put_nowait, piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._queue.get()) is not None:
            self._room.release()
            if isinstance(piece, BaseException):
                raise piece
            yield piece


class _Visit:
    """One request in its thread, which the loop can cut short at any moment."""

    def __init__(self, scraper: requests.Session) -> None:
        self.scraper = scraper
        self.left = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def watch(self, connection: Any) -> None:
        """From the thread: this is the connection in use."""
        with self._lock:
            self._socket = getattr(connection, "sock", None)
            if self.left.is_set():
                self._shut()

    def leave(self) -> None:
        """From the loop: nobody wants the answer any more."""
        with self._lock:
            self.left.set()
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


_here = threading.local()
"""`visit`: the request that this thread works on; a connection tells it of its socket before anything is sent."""


class _Plain(urllib3.connection.HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _here.visit.watch(self)


class _Encrypted(urllib3.connection.HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _here.visit.watch(self)


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _EncryptedPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Encrypted


_POOLS: Final = {"http": _PlainPool, "https": _EncryptedPool}


class Browser:
    """The browser-like transport of one process: `threads` answers at a time, `waiting` more in line."""

    def __init__(self, threads: int = 64, waiting: int = 256) -> None:
        self._threads = threads
        self._most = threads + waiting
        self._busy = 0
        self._pool: ThreadPoolExecutor | None = None

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeouts: Timeouts,
        proxy: str | None = None,
        challenges: bool = False,
    ) -> AsyncIterator[Page]:
        """Send a request; yields the page as soon as its headers are there.

        Raises UpstreamOverloaded (our own line is full), Unreachable, UpstreamBroken, FirstTokenTimeout.
        """
        if self._busy >= self._most:
            raise UpstreamOverloaded("Too many browser-like requests are under way in this gateway.")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="browser")
        loop = asyncio.get_running_loop()
        head: asyncio.Future[tuple[int, list[tuple[str, str]]]] = loop.create_future()
        pieces = Pieces(loop)
        visit = _Visit(_scraper(challenges))
        ask = _Ask(method, url, dict(headers), content, timeouts, proxy)
        self._busy += 1
        work = loop.run_in_executor(self._pool, _run, visit, ask, _answer(loop, head), pieces)
        work.add_done_callback(self._done)
        try:
            status, received = await head
            yield Page(status, received, pieces)
        finally:
            pieces.left.set()
            visit.leave()
            work.cancel()  # if it still waits in line

    async def aclose(self) -> None:
        """Let no new thread start; those under way end with their answers."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, work: asyncio.Future[None]) -> None:
        self._busy -= 1
        if not work.cancelled() and (problem := work.exception()) is not None:
            raise problem


@dataclass(frozen=True, slots=True)
class _Ask:
    """What to send."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes
    timeouts: Timeouts
    proxy: str | None


Head = tuple[int, list[tuple[str, str]]]


def _answer(loop: asyncio.AbstractEventLoop, head: asyncio.Future[Head]) -> Callable[[Head | BaseException], None]:
    """A function for the thread that settles `head` on the loop, unless nobody waits for it any more."""

    def settle(result: Head | BaseException) -> None:
        if head.done():
            return
        if isinstance(result, BaseException):
            head.set_exception(result)
        else:
            head.set_result(result)

    def from_thread(result: Head | BaseException) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, result)

    return from_thread


def _scraper(challenges: bool) -> requests.Session:
    """A session for one answer, with a browser's TLS and headers."""
    scraper: requests.Session = cloudscraper.create_scraper(
        browser={"browser": "chrome", "platform": "windows", "mobile": False},
        disableCloudflareV1=not challenges,
    )
    scraper.trust_env = False  # proxies come with the credential, never from the process's environment
    scraper.cookies.set_policy(_Nothing())
    return scraper


class _Nothing(requests.cookies.cookielib.DefaultCookiePolicy):  # type: ignore[misc,name-defined]  # untyped re-export
    """Takes no cookies: the Cookie header is the credential's, and stays so."""

    def __init__(self) -> None:
        super().__init__(allowed_domains=[])


def _run(visit: _Visit, ask: _Ask, answer: Callable[[Head | BaseException], None], pieces: Pieces) -> None:
    """In a thread: the whole exchange. Every end is handed over; nothing is raised here."""
    try:
        with visit.scraper as scraper:
            if visit.left.is_set():
                return
            _here.visit = visit
            adapter: Any = scraper.get_adapter(ask.url)  # requests types its base only
            manager = adapter.proxy_manager_for(ask.proxy) if ask.proxy else adapter.poolmanager
            if "socks" not in (ask.proxy or ""):
                manager.pool_classes_by_scheme = _POOLS
            silent = max(ask.timeouts.first_token, ask.timeouts.between_tokens)
            response = scraper.request(
                ask.method,
                ask.url,
                headers=ask.headers,
                data=ask.content,
                stream=True,
                allow_redirects=False,
                timeout=(ask.timeouts.connect, silent),
                proxies={"http": ask.proxy, "https": ask.proxy} if ask.proxy else None,
                hooks=None,
            )
            with response:
                raw = response.raw
                answer((response.status_code, list(raw.headers.items())))
                # read1 returns what has arrived: a coarser read would hold small pieces back.
                while not visit.left.is_set() and (piece := raw.read1(2**16, decode_content=True)):
                    pieces.put(piece)
                pieces.put(None)
    except requests.exceptions.ConnectTimeout as problem:
        _fail(answer, pieces, Unreachable("The upstream cannot be reached."), problem)
    except (requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError, TimeoutError) as problem:
        _fail(answer, pieces, FirstTokenTimeout("The upstream fell silent."), problem)
    except requests.exceptions.ConnectionError as problem:
        reached = "RemoteDisconnected" in repr(problem) or "reset" in repr(problem).lower()
        failure = UpstreamBroken("The upstream closed the connection before it answered.") if reached else None
        _fail(answer, pieces, failure or Unreachable("The upstream cannot be reached."), problem)
    except Exception as problem:  # noqa: BLE001  # a thread's exception would otherwise be nobody's
        _fail(answer, pieces, UpstreamTruncated("The upstream's answer broke off."), problem)


def _fail(
    answer: Callable[[Head | BaseException], None], pieces: Pieces, failure: Exception, cause: BaseException
) -> None:
    failure.__cause__ = cause
    answer(failure)
    pieces.put(failure)
