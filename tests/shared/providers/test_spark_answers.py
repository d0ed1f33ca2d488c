"""Every recorded answer of iFlytek Spark comes to the right events, however it is cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from parley import errors
from parley.chat.events import Event, Stop, Text, Thought, ToolCall, Usage
from parley.dialects.spark import http
from parley.dialects.spark.frames import Decoder
from parley.providers.body import Body
from tests.shared.providers.recorded import MADE, Told, cuts, read, told

SCENES = Path(__file__).parents[2] / "transcripts" / "spark"

MOST = 100
"""Tokens that the answers may have."""
BASEL = '{"town":"Basel"}'
SUNNY: Told = [Text("晴"), Text("。"), Usage(12, 9), Stop("stop")]
CALLED: Told = [ToolCall(0, MADE, "get_weather", BASEL), Usage(12, 9), Stop("tool_calls")]

FRAMES: dict[str, Told] = {
    "hello": [Text("晴"), Text("，明天有雨"), Text("。"), Usage(12, 9), Stop("stop")],
    "single-frame": [Text("晴。"), Usage(12, 9), Stop("stop")],
    "function-call": CALLED,
    "function-call-without-content": CALLED,
    "arguments-as-object": CALLED,
    "thoughts": [Thought("先看"), Text("晴。"), Usage(6, 8), Stop("stop")],
    "plugins-first": SUNNY,
    "empty-list": SUNNY,
    "only-header-says-the-end": SUNNY,
    "only-choices-say-the-end": SUNNY,
    "late-frame": SUNNY,
    "no-sid": SUNNY,
    "no-usage": [Text("晴"), Text("。"), Stop("stop")],
    "at-the-limit": [Text("晴"), Text("。"), Usage(12, 100), Stop("length")],
    "separators": [Text("one\u2028two\u0085three 👩‍👩‍👧 𝔘"), Usage(12, 9), Stop("stop")],
    "blocked-midway": [Text("晴"), Stop("content_filter")],
    "blocked-at-once": [Stop("content_filter")],
    "broken-off": [Text("晴"), Text("，"), errors.UpstreamTruncated],
    "nothing": [errors.UpstreamTruncated],
    "empty": [errors.UpstreamEmpty],
    "input-blocked": [errors.BadRequest],
    "error-midway": [Text("晴"), errors.UpstreamBroken],
    "not-json": [Text("晴"), errors.UpstreamMalformed],
    "a-list": [errors.UpstreamMalformed],
    "choices-of-wrong-shape": [Text("晴"), errors.UpstreamMalformed],
    "call-without-name": [errors.UpstreamMalformed],
}
BASEL_CALL: Told = [ToolCall(0, "call_d1", "get_weather", BASEL), Usage(6, 2), Stop("tool_calls")]
CLEAR: Told = [Text("晴"), Text("。"), Usage(6, 2), Stop("stop")]
BODIES: dict[str, Told] = {
    "http-hello.sse": CLEAR,
    "http-spaced.sse": CLEAR,
    "http-no-done.sse": CLEAR,
    "http-no-usage.sse": [Text("晴"), Text("。"), Stop("stop")],
    "http-thoughts.sse": [Thought("先看"), Text("晴。"), Usage(6, 2), Stop("stop")],
    "http-call-object.sse": BASEL_CALL,
    "http-call-list.sse": BASEL_CALL,
    "http-call-without-id.sse": [ToolCall(0, MADE, "get_weather", BASEL), *BASEL_CALL[1:]],
    "http-finish-reason.sse": [Text("晴。"), Usage(6, 2), Stop("length")],
    "http-at-the-limit.sse": [Text("晴"), Text("。"), Usage(6, 100), Stop("length")],
    "http-blocked-midway.sse": [Text("晴"), Stop("content_filter")],
    "http-error-midway.sse": [Text("晴"), errors.UpstreamBroken],
    "http-broken-off.sse": [Text("晴"), Text("，"), errors.UpstreamTruncated],
    "http-empty.sse": [errors.UpstreamEmpty],
    "http-only-done.sse": [errors.UpstreamEmpty],
    "http-not-json.sse": [Text("晴"), errors.UpstreamMalformed],
    "http-whole.json": [Text("晴。"), Usage(6, 2), Stop("stop")],
    "http-whole-call.json": BASEL_CALL,
    "http-whole-no-usage.json": [Text("晴。"), Stop("stop")],
    "http-code-in-200.json": [errors.ModelExhausted],
    "http-error-in-200.json": [errors.ModelExhausted],
}


def framed(messages: list[str]) -> Told:
    def events() -> Iterator[Event]:
        decoder = Decoder(MOST)
        for message in messages:
            yield from decoder.feed(message)
            if decoder.done:
                break
        yield from decoder.finish()

    return told(events())


def sent(chunks: Iterable[bytes]) -> Told:
    return told(read(Body({}, http.Decoder(MOST)), chunks))


def messages_of(name: str) -> list[str]:
    return (SCENES / f"{name}.frames").read_text().split("\n")[:-1]


def test_every_recording_is_expected_to_come_to_something() -> None:
    assert sorted(path.name for path in SCENES.iterdir() if path.suffix != ".md") == sorted(
        [*(f"{name}.frames" for name in FRAMES), *BODIES]
    )


@pytest.mark.parametrize("name", FRAMES)
def test_frames_come_to_events(name: str) -> None:
    assert framed(messages_of(name)) == FRAMES[name]


@pytest.mark.parametrize("name", FRAMES)
def test_a_socket_that_closes_early_makes_no_end(name: str) -> None:
    messages = messages_of(name)
    for many in range(len(messages)):
        found = framed(messages[:many])
        assert found[-1] is errors.UpstreamTruncated or found == FRAMES[name]


@pytest.mark.parametrize("name", BODIES)
def test_bodies_come_to_events_wherever_they_are_cut(name: str) -> None:
    for chunks in cuts((SCENES / name).read_bytes()):
        assert sent(chunks) == BODIES[name]


@pytest.mark.parametrize("name", [name for name in BODIES if name.endswith(".sse")])
def test_a_body_that_ends_early_makes_no_end(name: str) -> None:
    body = (SCENES / name).read_bytes()
    counted = body.find(b'"usage"') if b'"usage"' in body else body.find(b"[DONE]")
    for cut in range(len(body) if counted < 0 else counted):
        found = sent([body[:cut]])
        assert isinstance(found[-1], type) or found == BODIES[name], cut
