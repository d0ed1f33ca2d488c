"""HTTP to upstreams: what each way of answering, not answering and being left comes to."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from collections.abc import AsyncIterator

import pytest

from parley import errors
from parley.catalog import Timeouts
from parley.transports import http as transport
from parley.transports.http import HTTP

from .peer import Peer, Scene, playing

PATIENCE = Timeouts(connect=2.0, first_token=5.0, between_tokens=5.0, total=5.0)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
HELLO = b"5\r\nhello\r\n"
END = b"0\r\n\r\n"


@pytest.fixture
async def http() -> AsyncIterator[HTTP]:
    made = HTTP()
    yield made
    await made.aclose()


async def got(http: HTTP, url: str, *, patience: Timeouts = PATIENCE, proxy: str | None = None) -> bytes:
    """The whole body of a POST, as it was sent."""
    async with http.stream("POST", url, headers={}, content=b"{}", timeouts=patience, proxy=proxy) as response:
        return b"".join([chunk async for chunk in http.chunks(response)])


def saying(*pieces: bytes, then: str = "left") -> Scene:
    async def scene(peer: Peer) -> None:
        await peer.asked()
        await peer.say(*pieces)
        if then == "reset":
            peer.reset()
        elif then == "left":
            await peer.left()
        else:
            assert then == "end"

    return scene


@pytest.mark.parametrize(
    ("pieces", "then"),
    [
        ((CHUNKED, HELLO, END), "left"),
        ((CHUNKED, b"3;note=1\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"), "left"),
        ((HEAD + b"Content-Length: 5\r\n\r\n", b"he", b"llo"), "left"),
        ((HEAD + b"\r\n", b"he", b"llo"), "end"),
        ((b"HTTP/1.0 200 OK\r\n\r\nhello",), "end"),
        (
            (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED, HELLO, END),
            "left",
        ),
        ((HEAD + b"X-Long: " + b"x" * 100_000 + b"\r\nContent-Length: 5\r\n\r\nhello",), "left"),
        (tuple(bytes([byte]) for byte in CHUNKED + HELLO + END), "left"),
    ],
)
async def test_an_answer_arrives_whole(http: HTTP, pieces: tuple[bytes, ...], then: str):
    async with playing(saying(*pieces, then=then)) as stage:
        assert await got(http, stage.url) == b"hello"


async def test_what_is_sent_is_what_was_asked_for(http: HTTP):
    async with playing(saying(HEAD + b"Content-Length: 0\r\n\r\n")) as stage:
        headers = {"authorization": "Bearer sk-1", "x-name": "Grüße"}
        url = f"{stage.url}/a%20b/c?d=e%2Ff&g=ü"
        async with http.stream("POST", url, headers=headers, content=b"{}", timeouts=PATIENCE):
            pass
        head, body = stage.requests[0].split(b"\r\n\r\n")
        assert body == b"{}"
        first, *lines = head.split(b"\r\n")
        assert first == b"POST /a%20b/c?d=e%2Ff&g=%C3%BC HTTP/1.1"
        assert set(lines) == {
            b"host: " + stage.url.removeprefix("http://").encode(),
            b"accept-encoding: identity",
            b"authorization: Bearer sk-1",
            "x-name: Grüße".encode(),
            b"content-length: 2",
        }


@pytest.mark.parametrize("value", ["a\r\nx-injected: 1", "a\nb", "a\rb", "a\0b"])
async def test_a_header_cannot_become_two_and_is_not_repeated_in_the_error(http: HTTP, value: str):
    with pytest.raises(ValueError, match="line end") as refused:
        async with http.stream("GET", "http://127.0.0.1:1/", headers={"x": value}, timeouts=PATIENCE):
            pass
    assert value not in str(refused.value)


async def test_status_and_headers_come_before_the_body_and_redirects_are_not_followed(http: HTTP):
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
    async with playing(saying(moved + b"Content-Length: 0\r\n\r\n")) as stage:
        response = await http.request("GET", stage.url, headers={}, timeouts=PATIENCE)
        assert response.status_code == 302
        assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
        assert len(stage.requests) == 1


@pytest.mark.parametrize(
    ("pieces", "then"),
    [
        ((CHUNKED, HELLO), "end"),
        ((CHUNKED, HELLO), "reset"),
        ((CHUNKED, HELLO, b"5\r\nhel"), "end"),
        ((HEAD + b"Content-Length: 50\r\n\r\nhello",), "end"),
        ((HEAD + b"\r\nhello",), "reset"),
    ],
)
async def test_a_body_that_breaks_off_is_truncated_after_what_came(http: HTTP, pieces: tuple[bytes, ...], then: str):
    async with playing(saying(*pieces, then=then)) as stage:
        heard = b""
        with pytest.raises(errors.UpstreamTruncated):
            async with http.stream("POST", stage.url, headers={}, timeouts=PATIENCE) as response:
                async for chunk in http.chunks(response):
                    heard += chunk
        assert heard.startswith(b"hel")


@pytest.mark.parametrize("piece", [b"", b"HTTP/1.1 200 OK\r\nContent-Ty"])
@pytest.mark.parametrize("then", ["end", "reset"])
async def test_a_connection_closed_before_the_answer_is_a_broken_upstream(http: HTTP, piece: bytes, then: str):
    async with playing(saying(piece, then=then)) as stage:
        with pytest.raises(errors.UpstreamBroken):
            await got(http, stage.url)
        assert stage.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + b"X: " + b"x" * 300_000,
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        CHUNKED + b"nothing",
    ],
)
async def test_what_is_not_http_is_malformed(http: HTTP, answer: bytes):
    async with playing(saying(answer)) as stage:
        with pytest.raises(errors.UpstreamMalformed):
            await got(http, stage.url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "https://127.0.0.1:1/",
        "http://nowhere.invalid/",
        "ftp://127.0.0.1/",
        "http://[::1",
        "nonsense",
        "http://",
    ],
)
async def test_a_place_or_proxy_that_does_not_exist_is_unreachable(http: HTTP, url: str):
    with pytest.raises(errors.Unreachable):
        await got(http, url)
    with pytest.raises(errors.Unreachable):
        await got(http, "http://127.0.0.1:1/", proxy=url)


async def test_a_port_that_cannot_be_is_unreachable(http: HTTP):
    with pytest.raises(errors.Unreachable):
        await got(http, "http://127.0.0.1:99999/")


async def test_who_must_be_on_the_public_internet_and_is_not_is_sent_nothing(http: HTTP):
    async with playing(_many) as stage:
        assert await got(http, stage.url) == b"hello"
        for url in (stage.url, stage.url.replace("127.0.0.1", "localhost")):
            with pytest.raises(errors.Unreachable, match="public internet"):
                await http.request("GET", url, headers={}, timeouts=PATIENCE, public=True)
        assert len(stage.requests) == 1
        assert await got(http, stage.url) == b"hello"  # an upstream may be anywhere


async def test_silence_before_the_answer_and_in_it_ends(http: HTTP):
    short = Timeouts(connect=1.0, first_token=0.2, between_tokens=0.2, total=5.0)
    async with playing(saying()) as stage:
        with pytest.raises(errors.FirstTokenTimeout):
            await got(http, stage.url, patience=short)
        await stage.left
    async with playing(saying(CHUNKED, HELLO)) as stage:
        with pytest.raises(errors.UpstreamStalled):
            await got(http, stage.url, patience=short)
        await stage.left


async def test_a_whole_exchange_has_a_limit_too(http: HTTP):
    async def dripping(peer: Peer) -> None:
        await peer.asked()
        await peer.say(CHUNKED, *[HELLO] * 1000)

    async with playing(dripping) as stage:
        with pytest.raises(errors.FirstTokenTimeout):
            await http.request("GET", stage.url, headers={}, timeouts=Timeouts(total=0.3))


async def test_leaving_before_the_answer_closes_the_connection_at_once(http: HTTP):
    async with playing(saying()) as stage:
        task = asyncio.ensure_future(got(http, stage.url))
        while not stage.requests:
            await asyncio.sleep(0.005)
        begun = time.monotonic()
        task.cancel()
        assert await stage.left - begun < 0.1


async def test_leaving_within_the_answer_closes_the_connection_at_once(http: HTTP):
    async with playing(saying(CHUNKED, HELLO)) as stage:
        async with http.stream("POST", stage.url, headers={}, timeouts=PATIENCE) as response:
            await anext(http.chunks(response))
            begun = time.monotonic()
        assert await stage.left - begun < 0.1


async def test_leaving_while_the_question_is_still_being_sent_closes_the_connection_at_once(http: HTTP):
    async def deaf(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        begun.set()
        await asyncio.sleep(0.2)
        await peer.left()

    begun = asyncio.Event()
    async with playing(deaf) as stage:
        task = asyncio.ensure_future(
            http.request("POST", stage.url, headers={}, content=b"x" * 20_000_000, timeouts=PATIENCE)
        )
        await begun.wait()
        task.cancel()
        await asyncio.wait_for(stage.left, 3.0)


async def _many(peer: Peer) -> None:
    """One answer after another on one connection."""
    while await peer.asked():
        await peer.say(CHUNKED + HELLO + END)


async def test_connections_are_used_again_and_many_at_a_time(http: HTTP):
    async with playing(_many) as stage:
        for _ in range(3):
            assert await got(http, stage.url) == b"hello"
        assert stage.connections == 1
        assert set(await asyncio.gather(*[got(http, stage.url) for _ in range(150)])) == {b"hello"}
        assert 100 < stage.connections <= 150


async def test_an_answer_read_only_to_its_last_word_leaves_its_connection_usable(http: HTTP):
    async with playing(_many) as stage:
        for _ in range(3):
            async with http.stream("POST", stage.url, headers={}, timeouts=PATIENCE) as response:
                assert await anext(http.chunks(response)) == b"hello"
        assert stage.connections == 1


@pytest.mark.parametrize("head", [HEAD + b"Connection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
async def test_a_connection_that_the_upstream_will_close_is_not_used_again(http: HTTP, head: bytes):
    async with playing(saying(head + b"Content-Length: 5\r\n\r\nhello")) as stage:
        for n in (1, 2):
            stage.left = asyncio.get_running_loop().create_future()
            assert await got(http, stage.url) == b"hello"
            await stage.left
            assert stage.connections == n


async def test_bytes_that_nobody_asked_for_end_a_connection(http: HTTP):
    async with playing(saying(CHUNKED + HELLO + END, CHUNKED + HELLO)) as stage:
        assert await got(http, stage.url) == b"hello"
        await stage.left
    async with playing(saying(CHUNKED + HELLO + END + CHUNKED + HELLO)) as stage:
        assert await got(http, stage.url) == b"hello"
        await stage.left


@pytest.mark.parametrize("farewell", ["end", "reset"])
async def test_a_question_that_meets_the_end_of_a_kept_connection_is_asked_again(http: HTTP, farewell: str):
    async def once(peer: Peer) -> None:
        await peer.asked()
        await peer.say(CHUNKED + HELLO + END)
        await peer.asked()
        if farewell == "reset":
            peer.reset()

    async with playing(once) as stage:
        for _ in range(3):
            assert await got(http, stage.url) == b"hello"
        assert stage.connections == 3
        assert len(stage.requests) == 5


async def test_a_question_whose_answer_began_is_never_asked_again(http: HTTP):
    async def once(peer: Peer) -> None:
        await peer.asked()
        await peer.say(CHUNKED + HELLO + END)
        await peer.asked()
        await peer.say(b"HTTP/1.1 2")

    async with playing(once) as stage:
        assert await got(http, stage.url) == b"hello"
        with pytest.raises(errors.UpstreamBroken):
            await got(http, stage.url)
        assert len(stage.requests) == 2


async def test_a_slow_reader_holds_the_upstream_back(http: HTTP):
    sent = 0

    async def flood(peer: Peer) -> None:
        nonlocal sent
        await peer.asked()
        await peer.say(CHUNKED)
        for _ in range(400):
            peer.writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await peer.writer.drain()
            sent += 65536
        await peer.say(END)

    async with playing(flood) as stage:
        async with http.stream("POST", stage.url, headers={}, timeouts=PATIENCE) as response:
            parts = http.chunks(response)
            first = await anext(parts)
            await asyncio.sleep(0.3)
            assert sent < 20 * 2**20
            rest = [len(part) async for part in parts]
        assert len(first) + sum(rest) == 400 * 65536


async def test_a_compressed_answer_is_read(http: HTTP):
    body = gzip.compress(b"hello")
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with playing(saying(head + body)) as stage:
        response = await http.request("GET", stage.url, headers={}, timeouts=PATIENCE)
        assert response.content == b"hello"
    async with playing(saying(head + body)) as stage:
        assert await got(http, stage.url) == b"hello"
    async with playing(saying(head + bytes(len(body)))) as stage:
        with pytest.raises(errors.UpstreamMalformed):
            await http.request("GET", stage.url, headers={}, timeouts=PATIENCE)


@pytest.mark.parametrize("compressed", [True, False])
async def test_an_answer_too_large_to_be_read_whole_is_refused(http: HTTP, compressed: bool):
    body = bytes(transport.LARGEST_BODY + 1)
    more = b""
    if compressed:
        body, more = gzip.compress(body), b"Content-Encoding: gzip\r\n"
    async with playing(saying(HEAD + more + b"Content-Length: %d\r\n\r\n" % len(body) + body)) as stage:
        with pytest.raises(errors.UpstreamMalformed, match="too large"):
            await http.request("GET", stage.url, headers={}, timeouts=PATIENCE)


async def test_closing_lets_go_of_kept_connections(http: HTTP):
    async def once(peer: Peer) -> None:
        await peer.asked()
        await peer.say(CHUNKED + HELLO + END)
        await peer.left()

    async with playing(once) as stage:
        assert await got(http, stage.url) == b"hello"
        await http.aclose()
        await asyncio.wait_for(stage.left, 1.0)


async def test_a_proxy_is_asked_instead_with_its_password(http: HTTP):
    async with playing(saying(CHUNKED + HELLO + END)) as stage:
        proxy = stage.url.replace("http://", "http://user:pass@")
        assert await got(http, "http://upstream.invalid/v1", proxy=proxy) == b"hello"
        request = stage.requests[0]
        assert request.startswith(b"POST http://upstream.invalid/v1 HTTP/1.1\r\n")
        assert b"proxy-authorization: basic dxnlcjpwyxnz" in request.lower()


async def test_the_way_to_a_proxy_may_be_encrypted(http: HTTP, certified: ssl.SSLContext):
    async with playing(saying(CHUNKED + HELLO + END), certified) as stage:
        assert stage.url.startswith("https://")
        assert await got(http, "http://upstream.invalid/v1", proxy=stage.url) == b"hello"
        assert stage.requests[0].startswith(b"POST http://upstream.invalid/v1 HTTP/1.1\r\n")


async def test_a_proxy_that_nobody_vouches_for_is_told_nothing(
    http: HTTP, certified: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("SSL_CERT_FILE")
    async with playing(saying(CHUNKED + HELLO + END), certified) as stage:
        with pytest.raises(errors.Unreachable):
            await got(http, "http://upstream.invalid/v1", proxy=stage.url)
        assert stage.requests == []


@pytest.mark.parametrize("pieces", [(), (CHUNKED, HELLO)])
async def test_leaving_an_answer_through_a_proxy_closes_the_connection_at_once(http: HTTP, pieces: tuple[bytes, ...]):
    async with playing(saying(*pieces)) as stage:
        task = asyncio.ensure_future(got(http, "http://upstream.invalid/", proxy=stage.url))
        while not stage.requests:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        task.cancel()
        assert await stage.left - begun < 0.1


@pytest.mark.parametrize(
    ("pieces", "then", "kind"),
    [
        ((CHUNKED, HELLO), "end", errors.UpstreamTruncated),
        ((HEAD + b"Content-Length: 50\r\n\r\nhello",), "end", errors.UpstreamTruncated),
        ((), "end", errors.UpstreamBroken),
        ((), "reset", errors.UpstreamBroken),
    ],
)
async def test_what_breaks_through_a_proxy_breaks_alike(
    http: HTTP, pieces: tuple[bytes, ...], then: str, kind: type[errors.Failure]
):
    async with playing(saying(*pieces, then=then)) as stage:
        with pytest.raises(kind):
            await got(http, "http://upstream.invalid/", proxy=stage.url)


async def test_an_encrypted_answer_is_read_and_left_at_once(http: HTTP, certified: ssl.SSLContext):
    async with playing(saying(CHUNKED, HELLO), certified) as stage:
        async with http.stream("POST", stage.url, headers={}, timeouts=PATIENCE) as response:
            assert await anext(http.chunks(response)) == b"hello"
            begun = time.monotonic()
        assert await stage.left - begun < 0.1
    async with playing(_many, certified) as stage:
        for _ in range(3):
            assert await got(http, stage.url) == b"hello"
        assert stage.connections == 1


async def test_an_encrypted_body_that_breaks_off_is_truncated(http: HTTP, certified: ssl.SSLContext):
    async with playing(saying(CHUNKED, HELLO, then="reset"), certified) as stage:
        with pytest.raises(errors.UpstreamTruncated):
            await got(http, stage.url)


async def test_an_upstream_that_nobody_vouches_for_is_unreachable(
    http: HTTP, certified: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("SSL_CERT_FILE")
    async with playing(saying(CHUNKED, HELLO, END), certified) as stage:
        with pytest.raises(errors.Unreachable):
            await got(http, stage.url)
        assert stage.requests == []
