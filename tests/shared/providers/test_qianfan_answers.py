"""Every recorded answer of Baidu Qianfan comes to the right events, however its bytes are cut."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from parley import errors
from parley.chat.events import FinishReason, Stop, Text, Thought, ToolCall, Usage
from parley.dialects.qianfan import legacy, v2
from parley.providers.body import Body
from tests.shared.providers.recorded import MADE, Told, cuts, read, told

TRANSCRIPTS = Path(__file__).parents[2] / "transcripts" / "qianfan"

USED = Usage(6, 2)
SUN, DOT = Text("晴"), Text("。")


def sunny(reason: FinishReason = "stop") -> Told:
    return [SUN, DOT, Stop(reason), USED]


CALLED: Told = [
    Thought("需要查询"),
    ToolCall(0, MADE, "get_weather", '{"town":"Basel"}'),
    Stop("tool_calls"),
    USED,
]
WHOLE: Told = [Text("晴。"), Stop("stop"), USED]

EXPECTED: dict[str, Told] = {
    "legacy-hello.sse": sunny(),
    "legacy-hello-crlf-and-comments.sse": sunny(),
    "legacy-words-after-the-end.sse": sunny(),
    "legacy-search-results.sse": sunny(),
    "legacy-no-reason.sse": sunny(),
    "legacy-truncated-without-a-reason.sse": sunny("length"),
    "legacy-truncated-normally.sse": sunny("length"),
    "legacy-length.sse": sunny("length"),
    "legacy-content-filter.sse": [SUN, Stop("content_filter"), USED],
    "legacy-sensitive-question.sse": [Text("抱歉"), Stop("content_filter"), USED],
    "legacy-sensitive-midway.sse": [SUN, Stop("content_filter"), USED],
    "legacy-flag.sse": [SUN, Stop("content_filter"), USED],
    "legacy-function-call.sse": CALLED,
    "legacy-function-call-repeated.sse": CALLED,
    "legacy-function-call-without-a-reason.sse": [ToolCall(0, MADE, "now", "{}"), Stop("tool_calls"), USED],
    "legacy-arguments-as-an-object.sse": [ToolCall(0, MADE, "f", '{"a":1}'), Stop("tool_calls"), USED],
    "legacy-without-usage.sse": [SUN, DOT, Stop("stop")],
    "legacy-broken-off.sse": [SUN, Usage(6, 1)],
    "legacy-error-frame.sse": [SUN, errors.UpstreamOverloaded],
    "legacy-error-instead-of-a-stream.json": [errors.BadRequest],
    "legacy-expired-instead-of-a-stream.json": [errors.CredentialExpired],
    "legacy-whole-answer-instead-of-a-stream.json": WHOLE,
    "legacy-old-whole-answer.json": WHOLE,
    "legacy-unknown-reason.sse": [SUN, errors.UpstreamMalformed],
    "legacy-nothing-at-all.sse": [errors.UpstreamEmpty],
    "legacy-nothing-said.sse": [errors.UpstreamMalformed],
    "legacy-result-of-another-kind.sse": [errors.UpstreamMalformed],
    "legacy-garbage.sse": [SUN, errors.UpstreamMalformed],
    "legacy-list.sse": [errors.UpstreamMalformed],
    "v2-hello.sse": sunny(),
    "v2-normal.sse": sunny(),
    "v2-search-results.sse": sunny(),
    "v2-reasoning-and-a-tool-call.sse": [
        Thought("查天气"),
        ToolCall(0, "call_q1", "get_weather", '{"town":"Basel"}'),
        Stop("tool_calls"),
        USED,
    ],
    "v2-flag-at-the-end.sse": [SUN, Stop("content_filter"), USED],
    "v2-flag-at-the-beginning.sse": sunny("content_filter"),
    "v2-words-about-a-flag.sse": [Text('"flag":1,"finish_reason":"normal"'), Stop("stop"), USED],
    "v2-content-filter.sse": [SUN, Stop("content_filter"), USED],
    "v2-broken-off.sse": [SUN],
    "v2-error-frame.sse": [SUN, errors.TokensThrottled],
    "v2-code-with-status-200.json": [errors.Throttled],
    "v2-error-with-status-200.json": [errors.UpstreamBroken],
    "v2-whole-answer-instead-of-a-stream.json": WHOLE,
    "v2-flagged-whole-answer.json": [Text("晴。"), Stop("content_filter"), USED],
    "v2-flag-in-garbage.sse": [SUN, errors.UpstreamMalformed],
    "v2-nothing-at-all.sse": [errors.UpstreamEmpty],
}


def events(name: str, chunks: Iterable[bytes]) -> Told:
    decoder = legacy.Decoder() if name.startswith("legacy") else v2.Decoder()
    return told(read(Body({}, decoder), chunks))


def test_every_transcript_has_its_expectation() -> None:
    assert {path.name for path in TRANSCRIPTS.iterdir()} - {"README.md"} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_answer_comes_to_its_events_however_it_is_cut(name: str) -> None:
    for chunks in cuts((TRANSCRIPTS / name).read_bytes()):
        assert events(name, chunks) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_an_answer_that_ends_anywhere_gets_no_finish_reason_that_was_not_sent(name: str) -> None:
    data = (TRANSCRIPTS / name).read_bytes()
    said = [event for event in EXPECTED[name] if isinstance(event, Stop)]
    for at in range(len(data)):
        assert [event for event in events(name, [data[:at]]) if isinstance(event, Stop)] in ([], said)
