"""Every recorded answer of Gemini's comes to the right events, however its bytes are cut."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import errors
from parley.chat.events import Event, FinishReason, Refused, Stop, Text, Thought, ToolCall, Usage
from parley.dialects.gemini import Decoder
from parley.providers.gemini import Body
from tests.shared.providers.recorded import MADE, Told, cuts, told

TRANSCRIPTS = Path(__file__).parents[2] / "transcripts" / "gemini"

WORDS: Told = [Text("Hel"), Text("lo")]
HELLO: Told = [*WORDS, Stop("stop")]
EARLY, LAST = Usage(30, 12, reasoning=12), Usage(30, 21, cached=20, reasoning=12)
BILLED: Told = [*HELLO, LAST]
SIGNED = {"google": {"thought_signature": "CpEB"}}
BASEL, ZURICH = '{"town":"Basel"}', '{"town":"Zürich"}'


def said(*events: Event, reason: FinishReason = "stop", usage: Usage | None = None) -> Told:
    return [*events, Stop(reason), *([usage] if usage else [])]


def called(*calls: ToolCall) -> Told:
    return said(*calls, reason="tool_calls", usage=LAST)


EXPECTED: dict[str, Told] = {
    # framing
    **dict.fromkeys(
        (
            "hello",
            "hello-lf",
            "bom-comments-and-event-names",
            "no-space-after-colon",
            "no-final-blank-line",
            "json-on-several-lines",
            "done-at-the-end",
            "one-array-instead-of-a-stream",
            "last-frame-without-parts",
            "last-frame-without-content",
            "usage-in-a-frame-of-its-own",
            "error-after-the-end",
        ),
        BILLED,
    ),
    "one-object-instead-of-a-stream": said(Text("Hello"), usage=LAST),
    "several-languages": said(Text("汉字 ü \u2028\u2029\u0085 🙂"), Text("नमस्ते\x0b\x0c"), usage=EARLY),
    "no-usage-at-all": HELLO,
    "safety-ratings-and-citations": [*HELLO, EARLY],
    # reasons to end
    "reason-unspecified-on-every-piece": HELLO,
    "words-after-the-reason": [*HELLO, LAST],
    "max-tokens": said(Text("Hel"), Text("lo"), reason="length", usage=EARLY),
    "reason-unknown": [*HELLO, EARLY],
    "blocked-before-a-word": said(Refused("The answer was blocked by Gemini: SAFETY."), reason="content_filter"),
    "blocked-midway": said(Text("Hel"), reason="content_filter", usage=EARLY),
    "prompt-blocked": said(
        Refused("The prompt was blocked by Gemini: PROHIBITED_CONTENT."), reason="content_filter", usage=Usage(30, 0)
    ),
    "prompt-blocked-midway": said(
        Text("Hel"), Refused("The prompt was blocked by Gemini: SAFETY."), reason="content_filter", usage=EARLY
    ),
    "call-malformed": [errors.UpstreamBroken],
    "call-malformed-after-words": said(Text("Hel"), usage=EARLY),
    # parts
    "thoughts": said(Thought("**Reading the line**"), Text("Hel"), Text("lo"), usage=LAST),
    "thoughts-only": said(Thought("hm"), reason="length", usage=EARLY),
    "two-candidates": [Text("one"), Text("two", 1), Stop("stop", 1), Stop("stop"), LAST],
    "image": said(Text("Look: "), Text("![](data:image/png;base64,iVBORw0KGgo=)")),
    "log-probabilities": said(
        Text(
            "Hel",
            logprobs={
                "content": [
                    {
                        "token": "Hel",
                        "logprob": -0.5,
                        "bytes": [72, 101, 108],
                        "top_logprobs": [
                            {"token": "Hel", "logprob": -0.5, "bytes": [72, 101, 108]},
                            {"token": "Hal", "logprob": -1.5, "bytes": [72, 97, 108]},
                        ],
                    }
                ]
            },
        )
    ),
    # calls
    "tool-call": called(ToolCall(0, "fc2", "get_weather", BASEL, extra_content=SIGNED)),
    "tool-call-beside-the-reason": called(ToolCall(0, "fc2", "get_weather", BASEL)),
    "tool-call-without-args-or-id": called(ToolCall(0, MADE, "get_weather", "{}")),
    "tool-calls-two-in-one-frame": [
        Text("Looking. "),
        *called(
            ToolCall(0, "fc1", "get_weather", BASEL, extra_content=SIGNED), ToolCall(1, "fc2", "get_weather", ZURICH)
        ),
    ],
    "tool-calls-two-without-ids": called(
        ToolCall(0, MADE, "get_weather", BASEL), ToolCall(1, MADE, "get_weather", ZURICH)
    ),
    "tool-calls-two-with-one-id": called(
        ToolCall(0, "fc1", "get_weather", "{}"), ToolCall(1, MADE, "get_weather", "{}")
    ),
    "tool-call-without-a-name": [errors.UpstreamMalformed],
    "tool-call-then-max-tokens": said(ToolCall(0, "fc1", "get_weather", "{}"), reason="length"),
    # what is no answer, or not all of one
    "nothing-at-all": [errors.UpstreamEmpty],
    "blanks-only": [errors.UpstreamEmpty],
    "no-candidates-ever": [errors.UpstreamEmpty],
    "broken-off": [*WORDS, EARLY],
    "broken-off-within-a-frame": [Text("Hel"), errors.UpstreamMalformed],
    "error-in-a-frame": [Text("Hel"), errors.UpstreamOverloaded],
    "error-in-an-array-in-a-frame": [errors.UpstreamOverloaded],
    "error-written-bare": [Text("Hel"), errors.UpstreamOverloaded],
    "error-instead-of-a-stream": [errors.UpstreamOverloaded],
    "not-json": [Text("Hel"), errors.UpstreamMalformed],
    "frame-of-wrong-shape": [Text("Hel"), errors.UpstreamMalformed],
    "frame-that-is-no-object": [errors.UpstreamMalformed],
    "neither-a-stream-nor-json": [errors.UpstreamMalformed],
    "page-instead-of-a-stream": [errors.UpstreamBroken],
    "challenge-instead-of-a-stream": [errors.Challenged],
}


def read(chunks: Iterable[bytes]) -> Iterator[Event]:
    """To the body's own end: usage comes after the last word."""
    body = Body({}, Decoder())
    for chunk in chunks:
        yield from body.feed(chunk)
    yield from body.finish()


def events(chunks: Iterable[bytes]) -> Told:
    return told(read(chunks))


def test_every_transcript_has_its_expectation():
    assert {path.stem for path in TRANSCRIPTS.glob("*.sse")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_answer_comes_to_its_events_however_it_is_cut(name: str):
    data, expected = (TRANSCRIPTS / f"{name}.sse").read_bytes(), EXPECTED[name]
    for chunks in cuts(data):
        assert events(chunks) == expected


@pytest.mark.parametrize("name", EXPECTED)
def test_an_answer_that_ends_anywhere_gets_no_finish_reason_that_was_not_sent(name: str):
    data = (TRANSCRIPTS / f"{name}.sse").read_bytes()
    stops = {event.choice: event for event in EXPECTED[name] if isinstance(event, Stop)}
    for at in range(len(data)):
        for event in events([data[:at]]):
            if isinstance(event, Stop):
                assert event == stops[event.choice]
                assert re.search(rb'"(?:finishReason|blockReason)": ?"[^"]', data[:at])


def test_a_caller_who_wants_one_call_gets_the_first_one():
    decoder = Decoder(one_call=True)
    data = (TRANSCRIPTS / "tool-calls-two-in-one-frame.sse").read_bytes()
    events = [event for event in Body({}, decoder).feed(data) if isinstance(event, ToolCall)]
    assert events == [ToolCall(0, "fc1", "get_weather", BASEL, extra_content=SIGNED)]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        *((reason, "content_filter") for reason in ("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "SPII")),
        *((reason, "content_filter") for reason in ("PROHIBITED_CONTENT", "MODEL_ARMOR", "ESCALATION")),
        *((f"IMAGE_{kind}", "content_filter") for kind in ("SAFETY", "PROHIBITED_CONTENT", "OTHER", "RECITATION")),
        *((reason, "stop") for reason in ("STOP", "OTHER", "NO_IMAGE", "CONTINUATION", "FINISH_REASON_UNSPECIFIED")),
        *((reason, "stop") for reason in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS")),
        *((reason, "stop") for reason in ("MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE")),
        ("MAX_TOKENS", "length"),
    ],
)
def test_reasons_to_end_after_words(reason: str, finish: FinishReason):
    decoder = Decoder()
    piece = {"candidates": [{"content": {"parts": [{"text": "Hel"}]}, "finishReason": reason}]}
    assert [*decoder.feed(msgspec.json.encode(piece)), *decoder.finish()] == [Text("Hel"), Stop(finish)]


@pytest.mark.parametrize(
    "reason",
    [
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
    ],
)
def test_a_model_that_slipped_before_it_said_a_word_is_the_upstreams_failure(reason: str):
    piece = {"candidates": [{"content": {"parts": [{"text": "hm", "thought": True}]}, "finishReason": reason}]}
    with pytest.raises(errors.UpstreamBroken, match=reason):
        Decoder().feed(msgspec.json.encode(piece))


_anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
_part = st.fixed_dictionaries(
    {},
    optional={
        "text": st.one_of(st.text(max_size=3), _anything),
        "thought": st.one_of(st.booleans(), _anything),
        "functionCall": st.fixed_dictionaries({}, optional={"name": _anything, "args": _anything, "id": _anything}),
        "inlineData": _anything,
        "thoughtSignature": _anything,
    },
)
_candidate = st.fixed_dictionaries(
    {},
    optional={
        "content": st.one_of(_anything, st.fixed_dictionaries({}, optional={"parts": st.lists(_part, max_size=3)})),
        "finishReason": st.one_of(_anything, st.sampled_from(["STOP", "SAFETY", "MAX_TOKENS", "OTHER"])),
        "index": st.one_of(_anything, st.integers(0, 2)),
        "logprobsResult": _anything,
    },
)
_piece = st.fixed_dictionaries(
    {},
    optional={
        "candidates": st.one_of(_anything, st.lists(_candidate, max_size=2)),
        "usageMetadata": st.one_of(_anything, st.fixed_dictionaries({}, optional={"promptTokenCount": _anything})),
        "promptFeedback": _anything,
        "error": _anything,
    },
)


@given(st.lists(st.one_of(_piece, _anything), max_size=4))
def test_nothing_that_comes_breaks_the_decoder_or_the_grammar(pieces: list[object]):
    decoder, events = Decoder(), list[Event]()
    try:
        for piece in pieces:
            events += decoder.feed(msgspec.json.encode(piece))
        events += decoder.finish()
    except errors.Failure:
        pass
    stopped: set[int] = set()
    for event in events:
        if not isinstance(event, Usage):
            assert event.choice not in stopped, "nothing is said after the end"
        match event:
            case Stop():
                stopped.add(event.choice)
            case ToolCall():
                assert event.id and event.name and isinstance(event.arguments, str)
            case Text() | Thought():
                assert isinstance(event.text, str)
