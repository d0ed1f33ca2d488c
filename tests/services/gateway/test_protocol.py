"""What the gateway's HTTP hands to the kernel, piece by piece: a head never goes alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from gateway.delivery import PUT
from gateway.protocol import GatewayProtocol

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
SIZED: Message = {**START, "headers": [(b"content-length", b"5")]}
PLAIN = "GET / HTTP/1.1\r\nhost: parley\r\n\r\n"


class Wire(asyncio.Transport):
    """A connection that keeps what each call gave it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def writelines(self, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(pieces))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def told(*messages: Message, asked: str = PLAIN, hears: bool = False) -> Wire:
    """What is on the wire when an application answers these messages to a request."""

    async def application(_: Scope, receive: Receive, send: Send) -> None:
        if hears:
            await receive()
        for message in messages:
            await send(message)

    async def converse() -> Wire:
        wire, state = Wire(), ServerState()
        config = uvicorn.Config(application, http=GatewayProtocol, lifespan="off", log_config=None)
        config.load()
        protocol = GatewayProtocol(config, state, {})
        protocol.connection_made(wire)
        protocol.data_received(asked.encode())
        while state.tasks:
            await asyncio.gather(*state.tasks, return_exceptions=True)
        protocol.connection_lost(None)
        return wire

    return asyncio.run(converse())


def body(piece: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": piece, "more_body": more}


def test_an_answer_is_written_in_one_piece() -> None:
    [piece] = told(SIZED, body(b"hello")).written
    head, _, rest = piece.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 5" in head
    assert rest == b"hello"


def test_a_streams_head_goes_with_its_first_piece_and_the_others_as_they_come() -> None:
    first, second, last = told(START, body(b"one", more=True), body(b"two", more=True), body(b"")).written
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert first.endswith(b"\r\n\r\n3\r\none\r\n")
    assert (second, last) == (b"3\r\ntwo\r\n", b"0\r\n\r\n")


def test_an_answer_without_a_body_is_written_too() -> None:
    [piece] = told({**START, "status": 204}, body(b"")).written
    assert piece.startswith(b"HTTP/1.1 204")
    [piece] = told(SIZED, body(b"hello"), asked="HEAD / HTTP/1.1\r\nhost: parley\r\n\r\n").written
    assert piece.endswith(b"content-length: 5\r\n\r\n")


def test_a_head_whose_body_never_comes_is_not_written() -> None:
    """The connection breaks before the first byte, and nginx may ask somebody else."""
    wire = told(SIZED)
    assert (wire.written, wire.closed) == ([], True)


def test_permission_to_send_a_body_is_given_at_once() -> None:
    asked = "POST / HTTP/1.1\r\nhost: parley\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    permission, answer = told(SIZED, body(b"hello"), asked=f"{asked}{{}}", hears=True).written
    assert permission == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.endswith(b"\r\n\r\nhello")


def test_each_of_several_answers_on_a_connection_is_one_piece() -> None:
    first, second = told(SIZED, body(b"hello"), asked=PLAIN * 2).written
    assert first == second


def put(*pieces: bytes, before: Callable[[GatewayProtocol], None] = lambda _: None, start: Message = START) -> Wire:
    """What is on the wire when pieces are put there at once after one that was sent; `no` where one was not taken."""
    wire = Wire()

    async def application(scope: Scope, _: Receive, send: Send) -> None:
        await send(start)
        await send(body(b"first", more=True))
        before(made[0])
        for piece in pieces:
            if not scope["state"][PUT](piece):
                wire.write(b"no")

    async def converse() -> None:
        state = ServerState()
        config = uvicorn.Config(application, http=GatewayProtocol, lifespan="off", log_config=None)
        config.load()
        protocol = GatewayProtocol(config, state, {})
        made.append(protocol)
        protocol.connection_made(wire)
        protocol.data_received(PLAIN.replace("GET", "POST").encode())
        await asyncio.gather(*state.tasks, return_exceptions=True)

    made: list[GatewayProtocol] = []
    asyncio.run(converse())
    return wire


def test_a_piece_that_is_put_reads_like_one_that_is_sent() -> None:
    assert put(b"two", b"", b"x" * 20).written[1:] == [b"3\r\ntwo\r\n", b"14\r\n" + b"x" * 20 + b"\r\n"]


def test_nothing_is_put_where_it_would_have_to_wait_or_nobody_listens() -> None:
    assert put(b"two", before=lambda protocol: protocol.pause_writing()).written[1:] == [b"no"]
    assert put(b"two", before=lambda protocol: protocol.connection_lost(None)).written[1:] == [b"no"]


def test_nothing_is_put_into_a_body_of_a_stated_length() -> None:
    assert put(b"two", start={**START, "headers": [(b"content-length", b"8")]}).written[1:] == [b"no"]
