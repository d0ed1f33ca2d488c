"""Recorded answers of FlowGPT, healthy and odd, come to the right events however they are cut."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import errors
from parley.chat.events import Event, Stop, Text
from parley.dialects.flowgpt import Cleaner
from parley.providers.flowgpt.body import Body

SCENES = Path(__file__).parents[2] / "transcripts" / "flowgpt"
TYPES = {".ndjson": "application/json", ".html": "text/html; charset=utf-8"}

ANSWERS = {
    "hello.ndjson": "Hello",
    "crlf-and-blank-lines.ndjson": "one two",
    "no-final-newline.ndjson": "Hello there",
    "chinese.ndjson": "你好，世界 🌍\n\n  好的\n",
    "separators-in-the-text.ndjson": "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cend",
    "escaped.ndjson": '你好 🌍 "q"',
    "other-events.ndjson": "Hi",
    "data-null-and-odd.ndjson": "AB",
    "analysis.ndjson": "Hello there",
    "analysis-then-blanks.ndjson": "Hi",
    "analysis-twice.ndjson": "one Response:** two",
    "analysis-too-long.ndjson": "**" + "a" * 160 + " **Response:** Hello",
    "label-in-a-plain-answer.ndjson": "Write **Response:** before it.",
    "bold-but-no-analysis.ndjson": "**Note:** be careful.",
    "bom.ndjson": "Hello",
}
FAILURES: dict[str, tuple[type[errors.Failure], str]] = {
    "empty.ndjson": (errors.UpstreamEmpty, ""),
    "blank-lines-only.ndjson": (errors.UpstreamEmpty, ""),
    "no-words.ndjson": (errors.UpstreamEmpty, ""),
    "blanks-only.ndjson": (errors.UpstreamEmpty, ""),
    "nothing-after-the-analysis.ndjson": (errors.UpstreamEmpty, ""),
    "error-event.ndjson": (errors.UpstreamBroken, "Hel"),
    "error-event-first.ndjson": (errors.UpstreamBroken, ""),
    "failed-event.ndjson": (errors.UpstreamBroken, "Hel"),
    "error-object.ndjson": (errors.UpstreamBroken, "Hel"),
    "signed-out.ndjson": (errors.CredentialRejected, ""),
    "slow-down.ndjson": (errors.Throttled, ""),
    "slow-down-address.ndjson": (errors.AddressThrottled, ""),
    "no-credit.ndjson": (errors.QuotaExhausted, ""),
    "not-json.ndjson": (errors.UpstreamMalformed, ""),
    "not-json-midway.ndjson": (errors.UpstreamMalformed, "Hel"),
    "not-an-object.ndjson": (errors.UpstreamMalformed, "Hel"),
    "not-utf8.ndjson": (errors.UpstreamMalformed, "good so far "),
    "broken-off-in-a-line.ndjson": (errors.UpstreamTruncated, "Hel"),
    "page.html": (errors.UpstreamMalformed, ""),
    "challenge.html": (errors.Challenged, ""),
    "human-verification.html": (errors.Challenged, ""),
}
ALL = sorted(ANSWERS.keys() | FAILURES.keys())


def read(chunks: Iterable[bytes], kind: str = "application/json") -> tuple[list[Event], type[errors.Failure] | None]:
    body = Body({"content-type": kind}, Cleaner())
    events: list[Event] = []
    try:
        for chunk in chunks:
            for event in body.feed(chunk):
                events.append(event)  # noqa: PERF402 - what came before a failure counts
        for event in body.finish():
            events.append(event)  # noqa: PERF402
    except errors.Failure as failure:
        return events, type(failure)
    return events, None


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def scene(name: str) -> tuple[bytes, str]:
    path = SCENES / name
    return path.read_bytes(), TYPES[path.suffix]


def test_every_scene_is_expected_to_come_to_something() -> None:
    assert sorted(path.name for path in SCENES.iterdir() if path.suffix in TYPES) == ALL


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read(name: str) -> None:
    body, kind = scene(name)
    events, failed = read([body], kind)
    assert (said(events), failed) == (ANSWERS[name], None)
    assert events[-1] == Stop("stop") and Stop("stop") not in events[:-1]


@pytest.mark.parametrize("name", FAILURES)
def test_what_is_no_answer_is_told_as_what_it_is(name: str) -> None:
    kind, before = FAILURES[name]
    events, failed = read([scene(name)[0]], scene(name)[1])
    assert failed is kind
    assert said(events) == before
    assert Stop("stop") not in events, "nobody invents an end"


@pytest.mark.parametrize("name", ALL)
def test_events_are_the_same_wherever_the_bytes_are_cut(name: str) -> None:
    body, kind = scene(name)
    whole = read([body], kind)
    for cut in range(len(body) + 1):
        assert read([body[:cut], b"", body[cut:]], kind) == whole
    assert read((body[at : at + 1] for at in range(len(body))), kind) == whole


LINES = [
    b'{"event":"text","data":"Hi"}',
    '{"event":"text","data":"\u2028中"}'.encode(),
    b'{"event":"text","data":"**A** Respo"}',
    b'{"event":"text","data":"nse:** "}',
    b'{"event":"title","data":"x"}',
    b'{"event":"error","data":"x"}',
    b'{"message":"x"}',
    b"<html>",
    b"\xff",
    b"\r",
    b"",
]


@given(
    st.lists(st.sampled_from(LINES), max_size=8).map(b"\n".join),
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
)
def test_any_lines_mean_the_same_however_they_are_cut(body: bytes, sizes: list[int]) -> None:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(body[at : at + size])
        at += size
    assert read([*pieces, body[at:]]) == read([body])


def test_words_go_out_with_their_line() -> None:
    body = Body({}, Cleaner())
    assert list(body.feed(b'{"event":"text","data":"Hello"}')) == []
    assert list(body.feed(b"\n")) == [Text("Hello")]
    assert list(body.feed(b'{"event":"text","data":"**not held any more"}\n')) == [Text("**not held any more")]


def test_a_long_page_is_not_read_to_its_end() -> None:
    body = Body({"content-type": "text/html"}, Cleaner())
    list(body.feed(b"<!DOCTYPE html>\n"))
    with pytest.raises(errors.UpstreamMalformed):
        list(body.feed(b"<p>nothing</p>\n" * 2000))
