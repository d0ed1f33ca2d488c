"""WebSockets to upstreams: the handshake, the messages, and being left at once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
import time

import pytest

from parley import errors
from parley.catalog import Timeouts
from parley.transports.websocket import HandshakeRefused, WebSockets

from .peer import Peer, Scene, playing

PATIENCE = Timeouts(connect=2.0)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def shaken(peer: Peer) -> None:
    """The server's half of the handshake."""
    request = await peer.asked()
    key = next(line[19:] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: "))
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    await peer.say(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def frame(kind: int, payload: bytes) -> bytes:
    size = len(payload)
    return bytes([0x80 | kind]) + (bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2)) + payload


def saying(*pieces: bytes, then: str = "left") -> Scene:
    async def scene(peer: Peer) -> None:
        await shaken(peer)
        await peer.say(*pieces)
        if then == "reset":
            peer.reset()
        elif then == "left":
            await peer.left()

    return scene


def address(url: str) -> str:
    return url.replace("http://", "ws://")


TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
GOODBYE = frame(CLOSE, (1000).to_bytes(2))


async def heard(url: str) -> list[str]:
    async with WebSockets().connect(address(url), headers={}, timeouts=PATIENCE) as socket:
        return [message async for message in socket]


@pytest.mark.parametrize(
    ("pieces", "then"),
    [
        ((frame(TEXT, "ä".encode()), frame(TEXT, b"b"), GOODBYE), "left"),
        ((frame(TEXT, "ä".encode()) + frame(PING, b"?") + frame(BINARY, b"b") + GOODBYE,), "left"),
        (tuple(bytes([byte]) for byte in frame(TEXT, "ä".encode()) + frame(TEXT, b"b") + GOODBYE), "left"),
        ((frame(TEXT, "ä".encode()), frame(TEXT, b"b")), "end"),
        ((frame(TEXT, "ä".encode()), frame(TEXT, b"b")), "reset"),
    ],
)
async def test_messages_come_until_the_socket_closes_in_whatever_way(pieces: tuple[bytes, ...], then: str):
    async with playing(saying(*pieces, then=then)) as stage:
        assert await heard(stage.url) == ["ä", "b"]


async def test_what_is_said_arrives_and_the_headers_are_ours():
    async def listening(peer: Peer) -> None:
        await shaken(peer)
        await peer.say(frame(TEXT, b"%d" % len(await peer.reader.readexactly(6 + 5))), GOODBYE)

    async with playing(listening) as stage:
        headers = {"Cookie": "a=1", "User-Agent": "us", "Origin": "https://there", "x-csrf-token": "t"}
        async with WebSockets().connect(address(stage.url) + "/ws?q=1", headers=headers, timeouts=PATIENCE) as socket:
            await socket.send("hello")
            assert [message async for message in socket] == ["11"]
        lines = stage.requests[0].split(b"\r\n")
        assert lines[0] == b"GET /ws?q=1 HTTP/1.1"
        for line in (b"Cookie: a=1", b"User-Agent: us", b"Origin: https://there", b"x-csrf-token: t"):
            assert lines.count(line) == 1
        assert not any(line.lower().startswith(b"sec-websocket-extensions") for line in lines)


async def test_a_refused_handshake_says_how_and_redirects_are_not_followed():
    for status in (b"401 Unauthorized", b"302 Found", b"503 Service Unavailable", b"200 OK"):

        async def refusing(peer: Peer, status: bytes = status) -> None:
            await peer.asked()
            await peer.say(
                b"HTTP/1.1 " + status + b"\r\nLocation: ws://127.0.0.1:1/\r\nRetry-After: 3\r\n"
                b"Content-Length: 2\r\n\r\nno"
            )

        async with playing(refusing) as stage:
            with pytest.raises(HandshakeRefused) as refused:
                await heard(stage.url)
        assert refused.value.status == int(status[:3])
        assert refused.value.headers["retry-after"] == "3"
        assert refused.value.body == b"no"


@pytest.mark.parametrize("then", ["end", "reset", "silent", "garbage"])
async def test_a_handshake_without_an_answer_fails(then: str):
    async def mute(peer: Peer) -> None:
        await peer.asked()
        if then == "reset":
            peer.reset()
        elif then == "garbage":
            await peer.say(b"SSH-2.0-OpenSSH\r\n\r\n")
        elif then == "silent":
            await peer.left()

    async with playing(mute) as stage:
        kind = errors.FirstTokenTimeout if then == "silent" else errors.Unreachable
        with pytest.raises(kind):
            async with WebSockets().connect(address(stage.url), headers={}, timeouts=Timeouts(connect=0.3)):
                pass


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/", "ws://nowhere.invalid/", "http://127.0.0.1:1/", "nonsense"])
async def test_a_place_that_does_not_exist_is_unreachable(url: str):
    with pytest.raises(errors.Unreachable):
        async with WebSockets().connect(url, headers={}, timeouts=PATIENCE):
            pass


@pytest.mark.parametrize(
    "wrong", [frame(TEXT, b"\xff\xfe"), frame(BINARY, b"\xff"), frame(3, b"x"), b"\x81\x7f" + (2**40).to_bytes(8)]
)
async def test_messages_that_cannot_be_read_are_malformed(wrong: bytes):
    async with playing(saying(frame(TEXT, b"a"), wrong)) as stage:
        messages: list[str] = []
        with pytest.raises(errors.UpstreamMalformed):
            async with WebSockets().connect(address(stage.url), headers={}, timeouts=PATIENCE) as socket:
                async for message in socket:
                    messages.append(message)  # noqa: PERF401 - what came before counts
        assert messages == ["a"]


async def test_saying_something_to_a_closed_socket_fails():
    async with (
        playing(saying(GOODBYE)) as stage,
        WebSockets().connect(address(stage.url), headers={}, timeouts=PATIENCE) as socket,
    ):
        assert [message async for message in socket] == []
        with pytest.raises(errors.UpstreamTruncated):
            await socket.send("hello")


async def test_leaving_closes_the_socket_at_once_though_the_other_side_does_not_answer():
    async with playing(saying(frame(TEXT, b"a"))) as stage:
        async with WebSockets().connect(address(stage.url), headers={}, timeouts=PATIENCE) as socket:
            assert await anext(aiter(socket)) == "a"
            begun = time.monotonic()
        assert time.monotonic() - begun < 0.1
        assert await stage.left - begun < 0.1


async def test_a_cancelled_reader_closes_the_socket_at_once():
    async with playing(saying(frame(TEXT, b"a"))) as stage:
        task = asyncio.ensure_future(heard(stage.url))
        await asyncio.sleep(0.2)
        begun = time.monotonic()
        task.cancel()
        assert await stage.left - begun < 0.1


async def test_a_cancelled_handshake_closes_the_connection_at_once():
    async def mute(peer: Peer) -> None:
        await peer.asked()
        await peer.left()

    async with playing(mute) as stage:
        task = asyncio.ensure_future(heard(stage.url))
        while not stage.requests:
            await asyncio.sleep(0.005)
        begun = time.monotonic()
        task.cancel()
        assert await stage.left - begun < 0.1


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_is_asked_for_a_tunnel(certified: ssl.SSLContext, scheme: str):
    async def proxy(peer: Peer) -> None:
        head = await peer.asked()
        assert head.startswith(b"CONNECT upstream.invalid:80 HTTP/1.1\r\n")
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
        await saying(frame(TEXT, b"a"), GOODBYE)(peer)

    async with (
        playing(proxy, certified if scheme == "https" else None) as stage,
        WebSockets().connect("ws://upstream.invalid/ws", headers={}, timeouts=PATIENCE, proxy=stage.url) as socket,
    ):
        assert [message async for message in socket] == ["a"]


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "nonsense", "socks5://127.0.0.1:1"])
async def test_a_proxy_that_does_not_work_makes_the_upstream_unreachable(proxy: str):
    with pytest.raises(errors.Unreachable):
        async with WebSockets().connect("ws://upstream.invalid/", headers={}, timeouts=PATIENCE, proxy=proxy):
            pass
