"""The browser-like transport: threads that can be left at any moment, and nothing kept between two answers."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import threading
import time
from collections.abc import AsyncIterator, Mapping

import pytest

from parley import errors
from parley.catalog import Timeouts
from parley.transports.browser import Browser

from .peer import Peer, Scene, playing
from .socks import through_socks

PATIENCE = Timeouts(connect=2.0, first_token=5.0, between_tokens=5.0)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
HELLO = b"5\r\nhello\r\n"
END = b"0\r\n\r\n"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    made = Browser(threads=4, waiting=2)
    yield made
    await made.aclose()


async def got(
    browser: Browser,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    patience: Timeouts = PATIENCE,
    proxy: str | None = None,
) -> bytes:
    async with browser.stream(
        "POST", url, headers=headers or {}, content=b"{}", timeouts=patience, proxy=proxy
    ) as page:
        return b"".join([piece async for piece in page])


def saying(*pieces: bytes, then: str = "left") -> Scene:
    async def scene(peer: Peer) -> None:
        await peer.asked()
        await peer.say(*pieces)
        if then == "reset":
            peer.reset()
        elif then == "left":
            await peer.left()

    return scene


@pytest.mark.parametrize(
    ("pieces", "then"),
    [
        ((CHUNKED, HELLO, END), "left"),
        ((HEAD + b"Content-Length: 5\r\n\r\n", b"he", b"llo"), "left"),
        ((HEAD + b"\r\n", b"he", b"llo"), "end"),
        (tuple(bytes([byte]) for byte in CHUNKED + HELLO + END), "left"),
        ((HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"hello")), "end"),
    ],
)
async def test_an_answer_arrives_whole(browser: Browser, pieces: tuple[bytes, ...], then: str):
    async with playing(saying(*pieces, then=then)) as stage:
        assert await got(browser, stage.url) == b"hello"


async def test_pieces_arrive_as_they_are_sent(browser: Browser):
    arrived = asyncio.Semaphore(0)

    async def patient(peer: Peer) -> None:
        await peer.asked()
        await peer.say(CHUNKED)
        for letter in b"abcde":
            await peer.say(b"1\r\n%c\r\n" % letter)
            await arrived.acquire()  # nothing more is said before this was heard: who holds it back waits for ever
        await peer.say(END)

    heard = b""
    async with (
        playing(patient) as stage,
        browser.stream("GET", stage.url, headers={}, timeouts=PATIENCE) as page,
    ):
        async for piece in page:
            heard += piece
            arrived.release()
    assert heard == b"abcde"


async def test_it_looks_like_a_browser_and_says_what_it_is_told(browser: Browser):
    async with playing(saying(HEAD + b"Content-Length: 0\r\n\r\n")) as stage:
        await got(browser, stage.url + "/a?b=c", headers={"Cookie": "a=1; b=2", "Accept": "*/*"})
        lines = stage.requests[0].split(b"\r\n")
        assert lines[0] == b"POST /a?b=c HTTP/1.1"
        assert b"Cookie: a=1; b=2" in lines
        assert b"Accept: */*" in lines
        assert any(line.startswith(b"User-Agent: Mozilla/5.0 (Windows NT") for line in lines)


async def test_no_cookie_wanders_from_one_answer_to_the_next_and_redirects_are_not_followed(browser: Browser):
    moved = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\n"
    async with playing(saying(moved + b"Content-Length: 0\r\n\r\n")) as stage:
        for _ in range(6):
            stage.left = asyncio.get_running_loop().create_future()
            async with browser.stream("GET", stage.url, headers={}, timeouts=PATIENCE) as page:
                assert page.status == 302
                assert page.headers["LOCATION"] == "/elsewhere"
                assert page.set_cookies == ["a=1; Path=/", "b=2"]
        assert len(stage.requests) == 6
        assert not any(b"cookie" in request.lower() for request in stage.requests)


async def test_a_challenge_is_an_answer_like_any_other(browser: Browser):
    page = (
        b"<html><title>Just a moment...</title>"
        b"<form id='challenge-form' action='/cdn-cgi/l/chk_jschl?__cf_chl_jschl_tk__=1'>"
    )
    challenge = (
        b"HTTP/1.1 503 Service Unavailable\r\nServer: cloudflare\r\nContent-Type: text/html\r\n"
        b"Content-Length: %d\r\n\r\n" % len(page)
    )
    async with playing(saying(challenge + page)) as stage:
        assert await got(browser, stage.url) == page
        assert len(stage.requests) == 1


@pytest.mark.parametrize(
    ("pieces", "then", "kind"),
    [
        ((CHUNKED, HELLO), "end", errors.UpstreamTruncated),
        ((CHUNKED, HELLO), "reset", errors.UpstreamTruncated),
        ((HEAD + b"Content-Length: 50\r\n\r\nhello",), "end", errors.UpstreamTruncated),
        ((HEAD + b"\r\nhello",), "reset", errors.UpstreamTruncated),
        ((), "end", errors.UpstreamBroken),
        ((), "reset", errors.UpstreamBroken),
    ],
)
async def test_what_breaks_off(browser: Browser, pieces: tuple[bytes, ...], then: str, kind: type[errors.Failure]):
    async with playing(saying(*pieces, then=then)) as stage:
        with pytest.raises(kind):
            await got(browser, stage.url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "https://127.0.0.1:1/", "http://nowhere.invalid/", "ftp://x/", "nonsense"]
)
async def test_a_place_that_does_not_exist_is_unreachable(browser: Browser, url: str):
    with pytest.raises(errors.Unreachable):
        await got(browser, url)
    with pytest.raises(errors.Unreachable):
        await got(browser, "http://127.0.0.1:1/", proxy=url)


async def test_the_way_to_a_proxy_may_be_encrypted(browser: Browser, certified: ssl.SSLContext):
    async with playing(saying(CHUNKED + HELLO + END), certified) as stage:
        assert await got(browser, "http://upstream.invalid/v1", proxy=stage.url) == b"hello"
        assert stage.requests[0].startswith(b"POST http://upstream.invalid/v1 HTTP/1.1\r\n")


async def test_a_proxy_that_nobody_vouches_for_is_told_nothing(
    browser: Browser, certified: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("SSL_CERT_FILE")
    async with playing(saying(CHUNKED + HELLO + END), certified) as stage:
        with pytest.raises(errors.Unreachable):
            await got(browser, "http://upstream.invalid/v1", proxy=stage.url)
        assert stage.requests == []


async def test_silence_before_the_answer_and_in_it_ends(browser: Browser):
    short = Timeouts(connect=1.0, first_token=0.2, between_tokens=0.2)
    async with playing(saying()) as stage:
        with pytest.raises(errors.FirstTokenTimeout):
            await got(browser, stage.url, patience=short)
        await stage.left
    async with playing(saying(CHUNKED, HELLO)) as stage:
        with pytest.raises(errors.UpstreamStalled):
            await got(browser, stage.url, patience=short)
        await stage.left


async def _left_after(task: asyncio.Future[bytes], left: asyncio.Future[float]) -> float:
    begun = time.monotonic()
    task.cancel()
    return await left - begun


@pytest.mark.parametrize("pieces", [(), (CHUNKED,), (CHUNKED, HELLO)])
@pytest.mark.parametrize("way", ["direct", "encrypted", "proxy", "socks5"])
async def test_leaving_closes_the_connection_at_once(
    browser: Browser, certified: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, pieces: tuple[bytes, ...], way: str
):
    scene = through_socks(saying(*pieces)) if way == "socks5" else saying(*pieces)
    if way == "encrypted":
        monkeypatch.setattr("parley.transports.browser._model", lambda: (ssl.create_default_context(), "Mozilla/5.0"))
    async with playing(scene, certified if way == "encrypted" else None) as stage:
        if way in ("direct", "encrypted"):
            task = asyncio.ensure_future(got(browser, stage.url))
        else:
            proxy = stage.url if way == "proxy" else stage.url.replace("http", "socks5")
            task = asyncio.ensure_future(got(browser, "http://127.0.0.1:1/", proxy=proxy))
        while not stage.requests:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        assert await _left_after(task, stage.left) < 0.1


async def test_the_event_loop_goes_on_while_threads_work(browser: Browser):
    async with playing(saying(CHUNKED, HELLO)) as stage:
        task = asyncio.ensure_future(got(browser, stage.url))
        longest, last = 0.0, time.monotonic()
        for _ in range(100):
            await asyncio.sleep(0.002)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        assert longest < 0.05
        task.cancel()


async def test_answers_beyond_the_threads_wait_in_line_and_beyond_the_line_are_refused(browser: Browser):
    async with playing(saying(CHUNKED, HELLO)) as stage:
        tasks = [asyncio.ensure_future(got(browser, stage.url)) for _ in range(6)]
        while len(stage.requests) < 4:
            await asyncio.sleep(0.005)
        with pytest.raises(errors.UpstreamOverloaded):
            await got(browser, stage.url)
        await asyncio.sleep(0.1)
        assert stage.connections == 4
        tasks[5].cancel()  # one that waits in line: it is never sent
        tasks[0].cancel()
        while len(stage.requests) < 5:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        assert stage.connections == 5
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_slow_reader_holds_the_upstream_back(browser: Browser):
    sent = 0

    async def flood(peer: Peer) -> None:
        nonlocal sent
        await peer.asked()
        await peer.say(CHUNKED)
        for _ in range(800):
            peer.writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await peer.writer.drain()
            sent += 65536
        await peer.say(END)

    async with (
        playing(flood) as stage,
        browser.stream("POST", stage.url, headers={}, timeouts=PATIENCE) as page,
    ):
        pieces = aiter(page)
        first = await anext(pieces)
        await asyncio.sleep(0.5)
        assert sent < 25 * 2**20
        assert len(first) + sum([len(piece) async for piece in pieces]) == 800 * 65536


async def test_closing_ends_every_thread():
    browser = Browser(threads=2)
    async with playing(saying(CHUNKED, HELLO)) as stage:
        tasks = [asyncio.ensure_future(got(browser, stage.url)) for _ in range(2)]
        while len(stage.requests) < 2:
            await asyncio.sleep(0.005)
        await browser.aclose()
        await asyncio.gather(*tasks, return_exceptions=True)
        deadline = time.monotonic() + 2
        while any(thread.name.startswith("browser") for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
