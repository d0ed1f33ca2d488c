"""Every recorded answer of Zhipu's platform comes to the right events, however its bytes are cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from parley import errors
from parley.chat.events import Event, FinishReason, Stop, Text, Thought, ToolCall, Usage
from parley.dialects.zhipu import Decoder, v3
from parley.providers.body import Body
from parley.transports.framing import Lines
from tests.shared.providers.recorded import MADE, Told, cuts, read, told

TRANSCRIPTS = Path(__file__).parents[2] / "transcripts" / "zhipu"

USED = Usage(8, 5, cached=3, reasoning=2)
NI, HAO = Text("你"), Text("好")
HELLO: Told = [NI, HAO, Stop("stop"), USED]


def called(*pieces: ToolCall, reason: FinishReason = "tool_calls") -> Told:
    return [*pieces, Stop(reason), USED]


V4: dict[str, Told] = {
    "hello": HELLO,
    "hello-crlf-and-comments": HELLO,
    "thinking": [Thought("需要"), Thought("天气"), Text("\n你好"), Stop("stop"), USED],
    "tool-call-whole-beside-the-finish-reason": [
        Thought("需要天气"),
        *called(ToolCall(0, "call_-83", "get_weather", '{"town": "Basel"}')),
    ],
    **dict.fromkeys(
        ("tool-call-in-pieces-with-id-and-name-each-time", "tool-call-in-pieces-without-id-and-name-later"),
        called(ToolCall(0, "call_-84", "get_weather", '{"town"'), ToolCall(0, arguments=':"Basel"}')),
    ),
    "tool-calls-with-the-same-id": called(ToolCall(0, "call_-83", "f", '{"a":1}'), ToolCall(1, MADE, "g", '{"b":2}')),
    "tool-calls-without-ids": called(ToolCall(0, MADE, "f", '{"a":1}'), ToolCall(1, MADE, "g", '{"b":2}')),
    "tool-arguments-encoded-twice": called(ToolCall(0, "call_-83", "f", '{"a":"ü"}')),
    "tool-arguments-encoded-twice-in-pieces": called(ToolCall(0, "call_-83", "f"), ToolCall(0, arguments='{"a":1}')),
    "tool-arguments-empty": called(ToolCall(0, "call_-83", "now"), ToolCall(0, arguments="{}")),
    "tool-call-cut-by-length": called(ToolCall(0, "call_-83", "f"), ToolCall(0, arguments='"{\\"a'), reason="length"),
    "web-search-without-choices": [Text("你好"), Stop("stop"), USED],
    "content-filter-levels": [Text("你好"), Stop("stop"), USED],
    "sensitive-after-words": [NI, Stop("content_filter"), USED],
    "network-error-after-words": [NI, errors.UpstreamBroken],
    "context-window-exceeded": [NI, Stop("length"), USED],
    "error-frame-sensitive": [NI, errors.BadRequest],
    "error-frame-busy": [errors.UpstreamOverloaded],
    "error-frame-with-a-number": [NI, errors.UpstreamBroken],
    "error-frame-with-an-unknown-code": [errors.UpstreamBroken],
    "broken-off": [NI],
    "completion-instead-of-a-stream": [
        Thought("需要天气"),
        *called(ToolCall(0, "call_-83", "get_weather", '{"town":"Basel"}')),
    ],
    "refusal-of-the-front-with-status-200": [errors.CredentialRejected],
    "refusal-with-status-200": [errors.QuotaExhausted],
    "nothing-at-all": [errors.UpstreamEmpty],
}

USED_V3 = Usage(2, 4)
HELLO_V3: Told = [NI, HAO, Stop("stop"), USED_V3]

V3: dict[str, Told] = {
    **dict.fromkeys(
        ("hello", "crlf", "words-after-the-end", "no-final-blank-line", "unknown-events-and-comments"), HELLO_V3
    ),
    "blanks-and-lines": [Text(" 你"), Text("\n"), Text("a\n\nb "), Stop("stop"), USED_V3],
    "no-space-after-colon": [NI, Stop("stop"), USED_V3],
    "interrupted": [NI, Text("。"), Stop("content_filter"), USED_V3],
    "interrupted-without-meta": [NI, Stop("content_filter")],
    "error": [NI, errors.UpstreamBroken],
    "error-in-words": [errors.UpstreamBroken],
    "error-sensitive": [errors.BadRequest],
    "finish-says-everything": [Text("你好"), Stop("stop"), USED_V3],
    "finish-repeats": [Text("你好"), Stop("stop"), USED_V3],
    "finish-without-meta": [Text("你好"), Stop("stop")],
    "task-failed": [NI, errors.UpstreamBroken],
    "broken-off": [NI],
    "refused": [errors.CredentialRejected],
    "expired": [errors.CredentialExpired],
    "unary": [Text("你好\n"), Stop("stop"), USED_V3],
    "unary-unquoted": [Text("你好"), Stop("stop")],
    "unary-of-another-shape": [errors.UpstreamMalformed],
    "json-cut-short": [errors.UpstreamMalformed],
    "page": [errors.UpstreamBroken],
    "challenge": [errors.Challenged],
    "garbage": [errors.UpstreamMalformed],
    "not-utf-8": [NI, errors.UpstreamMalformed],
    "nothing-at-all": [errors.UpstreamEmpty],
}


def read_v4(chunks: Iterable[bytes]) -> Iterator[Event]:
    return read(Body({}, Decoder()), chunks)


def read_v3(chunks: Iterable[bytes]) -> Iterator[Event]:
    lines, decoder = Lines(), v3.Decoder({})
    for chunk in chunks:
        for line in lines.feed(chunk):
            yield from decoder.feed(line)
    for line in lines.finish():
        yield from decoder.feed(line)
    yield from decoder.finish()


def test_every_transcript_has_its_expectation():
    assert {path.stem for path in TRANSCRIPTS.glob("*.sse")} == set(V4)
    assert {path.stem for path in TRANSCRIPTS.glob("*.txt")} == {f"v3-{name}" for name in V3}


@pytest.mark.parametrize("name", V4)
def test_an_answer_of_v4_comes_to_its_events_however_it_is_cut(name: str):
    for chunks in cuts((TRANSCRIPTS / f"{name}.sse").read_bytes()):
        assert told(read_v4(chunks)) == V4[name]


@pytest.mark.parametrize("name", V3)
def test_an_answer_of_v3_comes_to_its_events_however_it_is_cut(name: str):
    for chunks in cuts((TRANSCRIPTS / f"v3-{name}.txt").read_bytes()):
        assert told(read_v3(chunks)) == V3[name]


@pytest.mark.parametrize("name", V4)
def test_an_answer_that_ends_anywhere_gets_no_finish_reason_that_was_not_sent(name: str):
    data = (TRANSCRIPTS / f"{name}.sse").read_bytes()
    said = [event for event in V4[name] if isinstance(event, Stop)]
    for at in range(len(data)):
        assert [event for event in told(read_v4([data[:at]])) if isinstance(event, Stop)] in ([], said)
