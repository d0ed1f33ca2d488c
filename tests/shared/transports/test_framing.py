"""Frames do not depend on how the bytes were cut."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parley.errors import UpstreamMalformed
from parley.transports.framing import LONGEST_LINE, SSE, Lines, Utf8


def framed(kind: type[SSE] | type[Lines], chunks: Iterable[bytes]) -> list[bytes]:
    reader = kind()
    frames = [frame for chunk in chunks for frame in reader.feed(chunk)]
    return frames + reader.finish()


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\rdata: b\n\r\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a \n\n", [b" a "]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a\ndata\ndata:\ndata: b\n\n", [b"a\n\n\nb"]),
        (b": keep-alive\n\n: again\ndata: a\n: within\n\n", [b"a"]),
        (b"event: ping\nid: 7\nretry: 3\ndata: a\nid\n\n", [b"a"]),
        (b"event: ping\n\nretry: 3\n\ndata:\n\ndata\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\ndata: c\n\n", [b"a", b"c"]),
        (b"data: a", [b"a"]),
        (b"data: a\n", [b"a"]),
        (b"data: a\n\n\n\n\ndata: b\r", [b"a", b"b"]),
        (b"database: a\nDATA: b\n data: c\n\n", []),
        ("data: \u2028\u2029\u0085\x0b\x0c\x1c\n\n".encode(), ["\u2028\u2029\u0085\x0b\x0c\x1c".encode()]),
        (b"", []),
        (b"\xef\xbb", []),
    ],
)
def test_server_sent_events_by_the_rules_however_they_are_cut(stream: bytes, events: list[bytes]):
    assert framed(SSE, [stream]) == events
    assert framed(SSE, [stream[i : i + 1] for i in range(len(stream))]) == events
    for place in range(len(stream) + 1):
        assert framed(SSE, [stream[:place], b"", stream[place:]]) == events


_alphabet = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b"data:", b"data: ", b"data", b":", b"id: 1", b"\xef\xbb\xbf", b"x", b"\xe4"]
    ),
    max_size=40,
).map(b"".join)


@given(_alphabet, st.lists(st.integers(0, 200), max_size=8))
@example(b"data: x\r\n\r\n", [8, 10])
@example(b"\xef\xbb\xbfdata: x\n\n", [1, 2])
def test_any_cutting_gives_the_same_events(stream: bytes, places: list[int]):
    assert framed(SSE, cut(stream, places)) == framed(SSE, [stream])


@given(_alphabet)
def test_events_are_those_of_the_written_rules(stream: bytes):
    """The standard's own words, done slowly: lines by three kinds of end, fields by the first colon."""
    text = stream.removeprefix(b"\xef\xbb\xbf") if stream.startswith(b"\xef\xbb\xbf") else stream
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    expected, data = [], []
    for line in [*lines, b""]:
        name, _, value = line.partition(b":")
        if not line:
            if b"\n".join(data):
                expected.append(b"\n".join(data))
            data = []
        elif name == b"data":
            data.append(value[1:] if value.startswith(b" ") else value)
    assert framed(SSE, [stream]) == expected


@given(_alphabet, st.lists(st.integers(0, 200), max_size=8))
def test_any_cutting_gives_the_same_lines(stream: bytes, places: list[int]):
    *lines, rest = stream.split(b"\n")
    expected = [line.removesuffix(b"\r") for line in [*lines, *([rest] if rest else [])]]
    assert framed(Lines, cut(stream, places)) == expected


@pytest.mark.parametrize("kind", [SSE, Lines])
@pytest.mark.parametrize("size", [1460, 65536, 11 * 2**20])
def test_a_line_of_ten_megabytes_is_read_in_linear_time(kind: type[SSE] | type[Lines], size: int):
    line = b"data: " + b"x" * (10 * 2**20)
    stream = line + b"\n\n"
    begun = time.process_time()
    first = framed(kind, [stream[i : i + size] for i in range(0, len(stream), size)])[0]
    assert len(first) == (len(line) - 6 if kind is SSE else len(line))
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize(
    ("kind", "opening"),
    [(SSE, b"data: "), (SSE, b": "), (Lines, b"")],
)
@pytest.mark.parametrize("size", [65536, LONGEST_LINE + 100])
def test_an_endless_line_is_refused_after_what_came_before_it(kind: type[SSE] | type[Lines], opening: bytes, size: int):
    stream = b"data: first\n\n" + opening + b"x" * (LONGEST_LINE + 50)
    _ends_malformed_after_one(kind, stream, size)
    _ends_malformed_after_one(kind, stream + b"\n\ndata: never\n\n", size)


@pytest.mark.parametrize("size", [65536, 2 * LONGEST_LINE])
def test_an_endless_event_of_many_lines_is_refused_too(size: int):
    _ends_malformed_after_one(SSE, b"data: first\n\n" + b"data: 1234567890\n" * (LONGEST_LINE // 16 + 1) + b"\n", size)


def _ends_malformed_after_one(kind: type[SSE] | type[Lines], stream: bytes, size: int) -> None:
    reader, frames = kind(), []

    def all_of_it() -> None:
        for start in range(0, len(stream), size):
            frames.extend(reader.feed(stream[start : start + size]))
        frames.extend(reader.finish())

    with pytest.raises(UpstreamMalformed):
        all_of_it()
    assert [frame for frame in frames if frame] == [b"first" if kind is SSE else b"data: first"]


@given(st.text(), st.lists(st.integers(0, 200), max_size=6))
def test_text_is_whole_however_its_bytes_are_cut(text: str, places: list[int]):
    decoder = Utf8()
    assert "".join(map(decoder.feed, cut(text.encode(), places))) == text
    assert not decoder.torn


def test_a_torn_character_shows():
    decoder = Utf8()
    assert decoder.feed("ä".encode()[:1]) == ""
    assert decoder.torn


@pytest.mark.parametrize("wrong", [b"\xff", b"a\xc3(", b"\xed\xa0\x80"])
def test_bytes_that_are_not_utf_8_are_refused(wrong: bytes):
    feed: Callable[[bytes], str] = Utf8().feed
    with pytest.raises(UpstreamMalformed):
        feed(wrong)
