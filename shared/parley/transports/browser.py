"""HTTP that looks like a browser's: cloudscraper, for upstreams whose front door asks for one.

cloudscraper is synchronous, so each answer runs in one of a few threads behind a bounded queue; this is the only file
that may block, and it blocks those threads only. Rules kept here: no session is shared between two answers, so no
cookie wanders from one credential to another; redirects are not followed; challenges are not solved unless the operator
let the library do what it does by itself; leaving a stream early shuts the socket down from the loop's side, at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

import cloudscraper
import requests
import urllib3
from urllib3.contrib import socks

from parley.catalog import Timeouts
from parley.errors import (
    Failure,
    FirstTokenTimeout,
    Unreachable,
    UpstreamBroken,
    UpstreamOverloaded,
    UpstreamStalled,
    UpstreamTruncated,
)

_PIECES_AHEAD: Final = 64
"""Pieces a thread may read ahead of a slow caller before it waits."""

Head = tuple[int, list[tuple[str, str]]]


class Page:
    """An answer under way: its status and headers are known, its bytes come as they arrive."""

    def __init__(self, status: int, headers: list[tuple[str, str]], pieces: Pieces) -> None:
        self.status = status
        self.headers = requests.structures.CaseInsensitiveDict(headers)
        self.set_cookies = [value for name, value in headers if name.lower() == "set-cookie"]
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises UpstreamTruncated when the body breaks off, UpstreamStalled when it falls silent."""
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

    def __init__(self) -> None:
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


class _Watched:
    """A connection that tells the visit of its socket as soon as there is one."""

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]  # of the connection class beside this one
        _here.visit.watch(self)


class _Plain(_Watched, urllib3.connection.HTTPConnection):
    pass


class _Encrypted(_Watched, urllib3.connection.HTTPSConnection):
    pass


class _PlainThroughSocks(_Watched, socks.SOCKSConnection):
    pass


class _EncryptedThroughSocks(_Watched, socks.SOCKSHTTPSConnection):
    pass


def _pool(kind: type[Any], connection: type[Any]) -> type[Any]:
    return type(f"_{kind.__name__}", (kind,), {"ConnectionCls": connection})


_POOLS: Final = {
    "http": _pool(urllib3.HTTPConnectionPool, _Plain),
    "https": _pool(urllib3.HTTPSConnectionPool, _Encrypted),
}
_POOLS_THROUGH_SOCKS: Final = {
    "http": _pool(socks.SOCKSHTTPConnectionPool, _PlainThroughSocks),
    "https": _pool(socks.SOCKSHTTPSConnectionPool, _EncryptedThroughSocks),
}


class Browser:
    """The browser-like transport of one process: `threads` answers at a time, `waiting` more in line."""

    def __init__(self, threads: int = 64, waiting: int = 256) -> None:
        self._threads = threads
        self._most = threads + waiting
        self._visits: set[_Visit] = set()
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

        Raises UpstreamOverloaded (our own line is full), Unreachable, UpstreamBroken, FirstTokenTimeout; then
        UpstreamTruncated, UpstreamStalled.
        """
        if len(self._visits) >= self._most:
            raise UpstreamOverloaded("Too many browser-like requests are under way in this gateway.")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="browser")
        loop = asyncio.get_running_loop()
        head: asyncio.Future[Head] = loop.create_future()
        pieces = Pieces(loop)
        visit = _Visit()
        ask = _Ask(method, url, dict(headers), content, timeouts, proxy, challenges)
        self._visits.add(visit)
        work = self._pool.submit(_run, visit, ask, _Answer(loop, head, pieces))
        work.add_done_callback(lambda _: self._visits.discard(visit))  # one set operation: safe from any thread
        try:
            status, received = await head
            yield Page(status, received, pieces)
        finally:
            pieces.left.set()
            visit.leave()
            work.cancel()  # if it still waits in line

    async def aclose(self) -> None:
        """End every answer, so that no thread keeps the process from ending."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        for visit in list(self._visits):
            visit.leave()


@dataclass(frozen=True, slots=True)
class _Ask:
    """What to send."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes
    timeouts: Timeouts
    proxy: str | None
    challenges: bool


class _Answer:
    """What a thread has to say to the loop: the head, pieces, and the end or a failure."""

    def __init__(self, loop: asyncio.AbstractEventLoop, head: asyncio.Future[Head], pieces: Pieces) -> None:
        self._loop = loop
        self._head = head
        self._pieces = pieces
        self.begun = False

    def head(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Status and headers."""
        self.begun = True
        self._tell(self._head.set_result, (status, headers))

    def piece(self, piece: bytes | None) -> None:
        """The next piece of the body, or its proper end."""
        self._pieces.put(piece)

    def fail(self, failure: Failure, cause: BaseException) -> None:
        """There will be no answer, or no more of it."""
        failure.__cause__ = cause
        if self.begun:
            self._pieces.put(failure)
        else:
            self._tell(self._head.set_exception, failure)

    def _tell(self, settle: Callable[[Any], None], result: Any) -> None:
        def on_loop() -> None:
            if not self._head.done():  # else nobody waits for it any more
                settle(result)

        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(on_loop)


class _Nothing(requests.cookies.cookielib.DefaultCookiePolicy):  # type: ignore[misc,name-defined]  # untyped re-export
    """Takes no cookies: the Cookie header is the credential's, and stays so."""

    def __init__(self) -> None:
        super().__init__(allowed_domains=[])


_BROWSER: Final = {"browser": "chrome", "platform": "windows", "mobile": False}


@cache
def _model() -> tuple[Any, str]:
    """The TLS settings and the name of the browser that this process looks like; the first take 30 ms to make."""
    scraper = cloudscraper.create_scraper(browser=_BROWSER)
    return scraper.get_adapter("https://").ssl_context, scraper.headers["User-Agent"]


def _scraper(challenges: bool) -> requests.Session:
    """A session for one answer, with a browser's TLS and headers."""
    context, agent = _model()
    scraper: requests.Session = cloudscraper.create_scraper(
        browser=_BROWSER, ssl_context=context, disableCloudflareV1=not challenges
    )
    scraper.headers["User-Agent"] = agent
    scraper.trust_env = False  # proxies come with the credential, never from the process's environment
    scraper.verify = os.environ.get("SSL_CERT_FILE") or True  # whom the operator trusts, as in the other transports
    if not challenges:  # the library remembers in a cookie that it did what was asked; the session ends with the answer
        scraper.cookies.set_policy(_Nothing())
    return scraper


def _run(visit: _Visit, ask: _Ask, answer: _Answer) -> None:
    """In a thread: the whole exchange. Every end is handed over; nothing is raised here."""
    try:
        with _scraper(ask.challenges) as scraper:
            if not visit.left.is_set():
                _here.visit = visit
                _exchange(scraper, visit, ask, answer)
    except (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError) as problem:
        kind = UpstreamStalled if answer.begun else FirstTokenTimeout
        answer.fail(kind("The upstream fell silent."), problem)
    except Exception as problem:  # noqa: BLE001  # a thread's exception would otherwise be nobody's
        if answer.begun:
            answer.fail(UpstreamTruncated("The upstream's answer broke off."), problem)
        elif isinstance(problem, requests.exceptions.ConnectionError) and _was_connected(problem):
            answer.fail(UpstreamBroken("The upstream closed the connection before it answered."), problem)
        else:
            answer.fail(Unreachable("The upstream cannot be reached."), problem)


def _exchange(scraper: requests.Session, visit: _Visit, ask: _Ask, answer: _Answer) -> None:
    adapter: Any = scraper.get_adapter(ask.url)  # requests types its base only
    if (ask.proxy or "").startswith("https:"):
        adapter.cert_verify = partial(_vouched_for, adapter.cert_verify)
    manager = adapter.proxy_manager_for(ask.proxy) if ask.proxy else adapter.poolmanager
    manager.pool_classes_by_scheme = _POOLS_THROUGH_SOCKS if (ask.proxy or "").startswith("socks") else _POOLS
    silent = max(ask.timeouts.first_token, ask.timeouts.between_tokens)
    with scraper.request(
        ask.method,
        ask.url,
        headers=ask.headers,
        data=ask.content,
        stream=True,
        allow_redirects=False,
        timeout=(ask.timeouts.connect, silent),
        proxies={"http": ask.proxy, "https": ask.proxy} if ask.proxy else None,
    ) as response:
        raw = response.raw
        answer.head(response.status_code, list(raw.headers.items()))
        # read1 returns what has arrived: a coarser read would hold small pieces back.
        while not visit.left.is_set() and (piece := raw.read1(2**16, decode_content=True)):
            answer.piece(piece)
        answer.piece(None)


def _vouched_for(check: Callable[..., None], connection: Any, _: str, *more: Any) -> None:
    """Check who a proxy is, whatever is asked through it: by itself requests would show the proxy's password to anybody
    where that is http."""
    check(connection, "https:", *more)


def _was_connected(problem: requests.exceptions.ConnectionError) -> bool:
    """Whether the connection was lost, rather than never made."""
    return bool(problem.args) and isinstance(problem.args[0], urllib3.exceptions.ProtocolError)
