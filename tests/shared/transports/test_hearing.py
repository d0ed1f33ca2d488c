"""Two ways from bytes to their reader, one order: whatever the ear takes, nothing is lost and nothing overtaken."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.catalog import Timeouts, Upstream
from parley.chat.events import Event, Text
from parley.errors import UpstreamMalformed, UpstreamTruncated
from parley.leases import Credential, Lease
from parley.transports.connection import Connection, Exchange
from parley.transports.framing import Lines
from parley.transports.hearing import Hearing

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Socket(asyncio.Transport):
    """A connection on which nothing is sent."""

    paused = closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return 0


class Words:
    """A body of lines. `end` is its end, `bad` cannot be read."""

    def __init__(self) -> None:
        self._lines = Lines()
        self.done = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        for line in self._lines.feed(chunk):
            if self.done:
                return
            if line == b"bad":
                raise UpstreamMalformed("bad")
            if line == b"end":
                self.done = True
            else:
                yield Text(line.decode())


class Scene:
    """An upstream that says what it is told to, and a reader who listens."""

    def __init__(self, takes: Callable[[str], bool]) -> None:
        loop = asyncio.get_running_loop()
        self.socket, self.said, self.read, self.ears = Socket(), list[str](), list[str](), list[int]()
        self.connection = Connection(loop, lambda _: None)
        self.connection.connection_made(self.socket)
        self.exchange: Exchange = self.connection.ask(b"", Timeouts())
        self.lease = Lease("1", Upstream("one", "echo"), Credential("1", "first", {}))
        self.hearing = Hearing(self.exchange, Words(), self.lease)

        def ear(events: list[Event]) -> int:
            heard = [event.text for event in events if isinstance(event, Text)]
            assert len(heard) == len(events) > 0
            taken = list(itertools.takewhile(takes, heard))
            self.said += taken
            self.ears.append(len(taken))
            return len(taken)

        self.lease.ear = ear
        self.connection.data_received(HEAD)
        self.reader = loop.create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self.hearing:
            assert isinstance(event, Text)
            self.said.append(event.text)
            self.read.append(event.text)

    def says(self, piece: bytes) -> None:
        if piece:
            self.connection.data_received(b"%x\r\n%b\r\n" % (len(piece), piece))

    async def ends(self) -> None:
        if not self.exchange.complete and not self.socket.closed:
            self.connection.data_received(b"0\r\n\r\n")
        await self.reader


def scene(takes: Callable[[str], bool], pieces: Iterable[tuple[bytes, int]]) -> tuple[Scene, BaseException | None]:
    """Play pieces, each with the turns of the loop that pass after it."""

    async def play() -> tuple[Scene, BaseException | None]:
        played = Scene(takes)
        for piece, turns in pieces:
            played.says(piece)
            for _ in range(turns):
                await asyncio.sleep(0)
        try:
            await played.ends()
        except (UpstreamMalformed, UpstreamTruncated) as problem:
            return played, problem
        return played, None

    return asyncio.run(play())


words = st.lists(st.sampled_from(["a", "bc", "déf", "end", "bad", "ü" * 40]), max_size=12)


@given(words, st.lists(st.integers(0, 200), max_size=12), st.lists(st.integers(0, 3), min_size=13, max_size=13),
       st.integers(0, 2**12))  # fmt: skip
def test_however_bytes_are_cut_and_whatever_the_ear_takes_the_order_is_one(
    lines: list[str], cuts: list[int], turns: list[int], taken: int
) -> None:
    text = "".join(f"{line}\n" for line in lines).encode()
    marks = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in itertools.pairwise(marks)]
    asked: list[str] = []

    def takes(line: str) -> bool:
        asked.append(line)
        return bool(taken >> len(asked) % 12 & 1)

    played, problem = scene(takes, zip(pieces, turns * 20, strict=False))
    ending = min((lines.index(word) for word in ("end", "bad") if word in lines), default=len(lines))
    assert played.said == lines[:ending]
    assert isinstance(problem, UpstreamMalformed) == (lines[ending : ending + 1] == ["bad"])


def test_what_comes_while_the_reader_waits_does_not_wake_him() -> None:
    played, problem = scene(lambda _: True, [(b"", 2), (b"one\n", 2), (b"two\nthree\n", 2), (b"fo", 2), (b"ur\n", 2)])
    assert (played.said, played.read, problem) == (["one", "two", "three", "four"], [], None)


def test_what_came_before_the_reader_waits_is_offered_when_he_asks_for_it() -> None:
    offered: list[str] = []

    def takes(line: str) -> bool:
        offered.append(line)
        return line != "one"

    played, _ = scene(takes, [(b"one\ntwo\n", 0), (b"three\n", 2)])
    assert (played.said, played.read) == (["one", "two", "three"], ["one"])
    assert offered == ["one", "two", "three"]


def test_an_ear_that_takes_nothing_for_a_while_is_asked_again() -> None:
    played, _ = scene(lambda line: line != "slow", [(b"", 2), (b"one\n", 2), (b"slow\nafter\n", 4), (b"two\n", 2)])
    assert (played.said, played.read) == (["one", "slow", "after", "two"], ["slow"])


def test_an_ear_that_takes_nothing_lets_the_upstream_be_held_back() -> None:
    async def play() -> None:
        played = Scene(lambda _: False)
        await asyncio.sleep(0)
        for _ in range(40):
            played.says(b"x" * 10_000 + b"\n")
        assert played.socket.paused
        await asyncio.sleep(0.01)
        assert not played.socket.paused
        await played.ends()
        assert len(played.read) == 40

    asyncio.run(play())


@pytest.mark.parametrize("abandoned", [False, True])
def test_after_its_end_nothing_refers_to_anything_any_more(abandoned: bool) -> None:
    async def play() -> Any:
        played = Scene(lambda _: True)
        await asyncio.sleep(0)
        played.says(b"one\n")
        if abandoned:
            played.exchange.abandon()
            with pytest.raises(UpstreamTruncated):
                await played.reader
        else:
            await played.ends()
        return played.exchange._taker

    assert asyncio.run(play()) is None


def test_whoever_comes_after_the_end_is_not_kept() -> None:
    async def play() -> Any:
        played = Scene(lambda _: True)
        played.says(b"one\n")
        await played.ends()
        Hearing(played.exchange, Words(), played.lease)
        return played.exchange._taker

    assert asyncio.run(play()) is None


def test_a_fault_of_the_ear_is_the_readers_to_see() -> None:
    def fault(_: str) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        scene(fault, [(b"", 2), (b"one\n", 2)])


def test_what_came_in_one_read_is_heard_at_once() -> None:
    async def play() -> Scene:
        played = Scene(lambda _: True)
        await asyncio.sleep(0)
        played.connection.data_received(b"4\r\none\n\r\n4\r\ntwo\n\r\n6\r\nthree\n\r\n")
        await played.ends()
        return played

    played = asyncio.run(play())
    assert (played.said, played.ears) == (["one", "two", "three"], [3])
