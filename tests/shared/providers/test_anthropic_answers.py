"""Every recorded answer of the Messages API comes to the right events, however its bytes are cut."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import errors
from parley.chat.answer import fold
from parley.chat.events import Event, Extra, FinishReason, Refused, Stop, Text, Thought, ToolCall, Usage
from parley.dialects.anthropic import Decoder
from parley.providers.body import Body
from tests.shared.providers.recorded import MADE, Told, cuts, read, told

TRANSCRIPTS = Path(__file__).parents[2] / "transcripts" / "anthropic"

BILL = Usage(1069, 57, cached=1024)
FIRST_BILL = Usage(1069, 1, cached=1024)
WORDS: Told = [Text("Hel"), Text("lo")]
HELLO: Told = [*WORDS, Stop("stop"), BILL]
F, G = ToolCall(0, "toolu_a", "f"), ToolCall(1, "toolu_b", "g")


def ended(reason: FinishReason, *before: Event) -> Told:
    return [*WORDS, *before, Stop(reason), BILL]


def called(*pieces: Event, reason: FinishReason = "tool_calls") -> Told:
    return [*pieces, Stop(reason), BILL]


def signed(index: int, **thought: str) -> Extra:
    return Extra({"thinking_blocks": [{"index": index, **thought}]})


def thought(words: str, signature: str = "EqQBCg==", index: int = 0) -> Extra:
    return signed(index, type="thinking", thinking=words, signature=signature)


EXPECTED: dict[str, Told] = {
    "hello": HELLO,
    "page-example": called(
        Thought("hm"),
        thought("hm", "EqQB"),
        Text("Let me look."),
        ToolCall(0, "toolu_01B", "get_weather"),
        ToolCall(0, arguments='{"town":"Basel"}'),
    ),
    "several-languages": [Text("汉字 ü \u2028\u2029\u0085 🙂"), Text("नमस्ते"), Stop("stop"), BILL],
    # framing
    **dict.fromkeys(
        (
            "crlf",
            "lone-cr",
            "bom",
            "comments",
            "no-event-names",
            "no-space-after-colon",
            "done-behind-it",
            "done-in-the-place-of-message-stop",
            "no-final-blank-line",
            "words-after-message-stop",
            "empty-ping",
            "pings-everywhere",
        ),
        HELLO,
    ),
    # endings: what the service did not say is not made up; the relay sees that no Stop came
    "no-message-stop": HELLO,
    "no-message-delta": [*WORDS, FIRST_BILL],
    "broken-off": [Text("Hel"), FIRST_BILL],
    "broken-off-within-an-event": [Text("Hel"), errors.UpstreamMalformed],
    "only-message-start": [FIRST_BILL],
    "nothing-at-all": [errors.UpstreamEmpty],
    "only-done": [errors.UpstreamEmpty],
    "no-blocks": [Stop("stop"), BILL],
    "stop-reason-stop-sequence": HELLO,
    "stop-reason-pause-turn": HELLO,
    "stop-reason-tired-of-it": HELLO,
    "stop-reason-max-tokens": ended("length"),
    "stop-reason-model-context-window-exceeded": ended("length"),
    "stop-reason-late": HELLO,
    "stop-reason-twice": HELLO,
    "refusal": [Text("Hel"), Refused("I will not."), Stop("content_filter"), BILL],
    "refusal-without-explanation": [Text("Hel"), Stop("content_filter"), BILL],
    "refusal-without-details": [Text("Hel"), Stop("content_filter"), BILL],
    # blocks
    "unknown-events-deltas-and-blocks": HELLO,
    "text-in-the-block-start": HELLO,
    "empty-text-deltas": HELLO,
    "thinking-in-the-block-start": [Thought("h"), Thought("m"), thought("hm"), Text("Hello"), Stop("stop"), BILL],
    "thinking-without-signature": [Thought("h"), Thought("m"), Text("Hello"), Stop("stop"), BILL],
    "thinking-omitted": [thought("", "EqQB"), Text("Hello"), Stop("stop"), BILL],
    "redacted-thinking": [
        signed(0, type="redacted_thinking", data="EmwKAhgB"),
        Thought("hm"),
        thought("hm", index=1),
        Text("Hello"),
        Stop("stop"),
        BILL,
    ],
    # tools
    "text-tool-text": called(Text("Hel"), F, ToolCall(0, arguments="{}"), Text("lo")),
    "two-tools": called(
        F,
        ToolCall(0, arguments='{"a":'),
        ToolCall(0, arguments="1}"),
        G,
        ToolCall(1, arguments='{"b"'),
        ToolCall(1, arguments=':"汉"}'),
    ),
    "two-tools-interleaved": called(F, G, ToolCall(0, arguments="{}"), ToolCall(1, arguments="{}")),
    "tool-without-fragments": called(F, ToolCall(0, arguments="{}")),
    "tool-with-an-empty-fragment": called(F, ToolCall(0, arguments="{}")),
    "tool-whole-in-the-block-start": called(F, ToolCall(0, arguments='{"a":1}')),
    "tool-without-block-stop": called(F, ToolCall(0, arguments="{}")),
    "tool-without-id": called(ToolCall(0, MADE, "f"), ToolCall(0, arguments="{}")),
    "tool-ended-with-end-turn": called(F, ToolCall(0, arguments="{}")),
    "tool-cut-by-max-tokens": called(F, ToolCall(0, arguments='{"a"'), reason="length"),
    # usage
    "usage-with-inputs-in-message-delta": HELLO,
    "usage-with-nulls-in-message-delta": HELLO,
    "usage-only-in-message-start": [*WORDS, Stop("stop"), FIRST_BILL],
    "usage-missing": [*WORDS, Stop("stop")],
    "usage-with-thinking-tokens": [*WORDS, Stop("stop"), Usage(1069, 57, cached=1024, reasoning=21)],
    # failures
    "error-overloaded-midway": [Text("Hel"), errors.UpstreamOverloaded],
    "error-overloaded-first": [errors.UpstreamOverloaded],
    "error-behind-the-stop-reason": [*WORDS, Stop("stop"), errors.UpstreamBroken],
    "error-api": [Text("Hel"), errors.UpstreamBroken],
    "error-rate-limit": [Text("Hel"), errors.Throttled],
    "error-timeout": [Text("Hel"), errors.UpstreamStalled],
    "error-billing": [Text("Hel"), errors.QuotaExhausted],
    "error-authentication": [errors.CredentialRejected],
    "error-invalid-request": [errors.BadRequest],
    "error-filtered": [Text("Hel"), errors.BadRequest],
    "error-unknown": [Text("Hel"), errors.UpstreamBroken],
    "error-of-a-copy": [errors.UpstreamBroken],
    "event-that-is-not-json": [Text("Hel"), errors.UpstreamMalformed],
    "event-that-is-not-utf-8": [Text("Hel"), errors.UpstreamMalformed],
    "event-that-is-a-list": [Text("Hel"), errors.UpstreamMalformed],
    "event-of-wrong-shape": [Text("Hel"), errors.UpstreamMalformed],
    "delta-of-no-block": [errors.UpstreamMalformed],
    # something else than a stream
    "message-instead-of-a-stream": [
        Thought("hm"),
        thought("hm", "EqQB"),
        Text("Let me look."),
        ToolCall(0, "toolu_01B", "get_weather"),
        ToolCall(0, arguments='{"town":"Basel"}'),
        Stop("tool_calls"),
        Usage(1064, 57, cached=1024),
    ],
    "message-cut-short": [errors.UpstreamMalformed],
    "error-instead-of-a-stream": [errors.UpstreamOverloaded],
    "page-instead-of-a-stream": [errors.UpstreamBroken],
}


def events(chunks: Iterable[bytes], **how: Any) -> Told:
    return told(read(Body({}, Decoder(**{"signed": True, **how})), chunks))


def recorded(name: str) -> bytes:
    return (TRANSCRIPTS / f"{name}.sse").read_bytes()


def test_every_transcript_has_its_expectation():
    assert {path.stem for path in TRANSCRIPTS.glob("*.sse")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_answer_comes_to_its_events_however_it_is_cut(name: str):
    data, expected = recorded(name), EXPECTED[name]
    for chunks in cuts(data, 7):
        assert events(chunks) == expected


@pytest.mark.parametrize("name", ["page-example", "several-languages", "crlf", "message-instead-of-a-stream"])
def test_every_place_of_a_cut_gives_the_same(name: str):
    for chunks in cuts(recorded(name)):
        assert events(chunks) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_an_answer_that_ends_anywhere_gets_no_finish_reason_that_was_not_sent(name: str):
    data = recorded(name)
    said = re.search(rb'"stop_reason":"', data)
    stops = [event for event in EXPECTED[name] if isinstance(event, Stop)]
    for at in range(0, len(data), 3):
        for event in events([data[:at]]):
            if isinstance(event, Stop):
                assert event == stops[0]
                assert said and said.end() < at


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_told_keeps_the_grammar(name: str):
    events = [event for event in EXPECTED[name] if not isinstance(event, type)]
    assert sum(isinstance(event, Stop) for event in events) <= 1
    assert all(call.id and call.name for choice in fold(events).choices.values() for call in choice.calls)


def test_thoughts_are_shown_signed_or_not_or_hidden():
    data = recorded("redacted-thinking")
    assert events([data], signed=False) == [Thought("hm"), Text("Hello"), Stop("stop"), BILL]
    assert events([data], shown=False) == [Text("Hello"), Stop("stop"), BILL]


def test_the_input_of_the_answering_tool_is_the_answer():
    data = recorded("two-tools")
    assert events([data], answer_tool="f") == [
        Text('{"a":'),
        Text("1}"),
        ToolCall(0, "toolu_b", "g"),
        ToolCall(0, arguments='{"b"'),
        ToolCall(0, arguments=':"汉"}'),
        Stop("tool_calls"),
        BILL,
    ]
    assert events([recorded("tool-whole-in-the-block-start")], answer_tool="f") == [Text('{"a":1}'), Stop("stop"), BILL]
    twice = data.replace(b'"name":"g"', b'"name":"f"')
    assert events([twice], answer_tool="f") == [Text('{"a":'), Text("1}"), Stop("stop"), BILL], "the first one counts"


def test_the_status_of_a_failure_within_a_stream_is_the_streams():
    with pytest.raises(errors.UpstreamOverloaded) as caught:
        Decoder().feed(b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}')
    assert caught.value.upstream_status == 200


_values = st.one_of(st.none(), st.integers(-1, 3), st.text(max_size=3), st.just({"a": 1}), st.just([]))
_texts = st.text(min_size=1, max_size=3)


def _shaped(kinds: list[str], *members: str) -> st.SearchStrategy[Any]:
    """Objects of these types, mostly right."""
    fields = {name: st.one_of(_texts, _texts, _values) for name in members}
    return st.fixed_dictionaries({"type": st.sampled_from(kinds)}, optional=fields)


_blocks = _shaped(
    ["text", "thinking", "redacted_thinking", "tool_use", "other"],
    *("text", "thinking", "signature", "data", "name", "id", "input"),
)
_deltas = _shaped(
    ["text_delta", "thinking_delta", "signature_delta", "input_json_delta", "other"],
    *("text", "thinking", "signature", "partial_json"),
)
_stops = st.fixed_dictionaries(
    {}, optional={"stop_reason": st.one_of(st.sampled_from(["end_turn", "refusal"]), _values), "stop_details": _values}
)
_usages = st.dictionaries(st.sampled_from(["input_tokens", "output_tokens", "output_tokens_details"]), _values)
_index = st.integers(0, 1)
_events = st.one_of(
    st.fixed_dictionaries({"type": st.just("message_start"), "message": st.fixed_dictionaries({"usage": _usages})}),
    st.fixed_dictionaries({"type": st.just("content_block_start"), "index": _index, "content_block": _blocks}),
    st.fixed_dictionaries({"type": st.just("content_block_delta"), "index": _index, "delta": _deltas}),
    st.fixed_dictionaries({"type": st.just("content_block_stop"), "index": _index}),
    st.fixed_dictionaries({"type": st.just("message_delta"), "delta": _stops, "usage": _usages}),
    st.fixed_dictionaries({"type": st.just("message"), "content": st.lists(_blocks, max_size=2), "usage": _usages}),
    st.fixed_dictionaries({"type": st.sampled_from(["ping", "message_delta", "error"]), "delta": _values}),
)


@given(st.lists(_events, max_size=8))
def test_whatever_is_sent_comes_to_events_of_the_right_types_or_to_a_failure(events: list[dict[str, Any]]):
    decoder, found = Decoder(signed=True), list[Event]()
    try:
        for event in events:
            found += decoder.feed(msgspec.json.encode(event))
        found += decoder.finish()
    except errors.Failure:
        pass
    for told_event in found:
        assert msgspec.convert(msgspec.to_builtins(told_event), type(told_event)) == told_event
    fold(found)
