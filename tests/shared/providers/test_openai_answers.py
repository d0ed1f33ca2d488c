"""Every recorded answer of an OpenAI-like service comes to the right events, however its bytes are cut."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import errors
from parley.chat.answer import fold
from parley.chat.events import Extra, FinishReason, Refused, Stop, Text, Thought, ToolCall, Usage
from parley.dialects.openai import Decoder
from parley.providers.body import Body
from tests.shared.providers.recorded import MADE, Told, cuts, read, told

TRANSCRIPTS = Path(__file__).parents[2] / "transcripts" / "openai"

HELLO: Told = [Text("Hel"), Text("lo"), Stop("stop")]
WORDS: Told = HELLO[:2]


def ended(reason: FinishReason) -> Told:
    return [*WORDS, Stop(reason)]


def called(*pieces: ToolCall, reason: FinishReason = "tool_calls") -> Told:
    return [*pieces, Stop(reason)]


F = ToolCall(0, "call_a", "f")
F_WHOLE, G_WHOLE = ToolCall(0, "call_a", "f", "{}"), ToolCall(1, "call_b", "g", "{}")
LOGPROB = {"token": "Hel", "logprob": -0.5, "bytes": None, "top_logprobs": []}

EXPECTED: dict[str, Told] = {
    "hello": [*HELLO, Usage(9, 2, cached=3, reasoning=1)],
    "several-languages": [Text("汉字 ü \u2028\u2029\u0085 🙂"), Text("नमस्ते\x0b\x0c"), Stop("stop")],
    # framing
    **dict.fromkeys(
        (
            "crlf",
            "lone-cr",
            "bom",
            "comments-and-pings",
            "event-names-and-ids",
            "no-space-after-colon",
            "done-with-blanks",
            "words-after-done",
            "no-done",
            "no-final-blank-line",
        ),
        HELLO,
    ),
    "multi-line-data": [Text("Hello"), Stop("stop")],
    # endings: what the service did not say is not made up; the relay sees that no Stop came
    "broken-off": WORDS,
    "broken-off-within-a-chunk": [Text("Hel"), errors.UpstreamMalformed],
    "done-without-a-finish-reason": WORDS,
    "nothing-but-done": [errors.UpstreamEmpty],
    "no-choices-ever": [errors.UpstreamEmpty],
    "nothing-at-all": [errors.UpstreamEmpty],
    "blanks-only": [errors.UpstreamEmpty],
    "finish-reason-twice": HELLO,
    "words-after-the-finish-reason": HELLO,
    "finish-reason-empty-until-the-end": HELLO,
    "finish-reason-beside-words": HELLO,
    "finish-reason-length": ended("length"),
    "finish-reason-max-tokens": ended("length"),
    "finish-reason-content-filter": ended("content_filter"),
    "finish-reason-sensitive": ended("content_filter"),
    "finish-reason-eos-token": HELLO,
    "finish-reason-stop": HELLO,
    "finish-reason-end-turn": HELLO,
    "finish-reason-unknown": [*WORDS, errors.UpstreamMalformed],
    "finish-reason-error": [*WORDS, errors.UpstreamBroken],
    "finish-reason-insufficient-system-resource": [*WORDS, errors.UpstreamOverloaded],
    # chunks
    **dict.fromkeys(
        (
            "empty-choices-first",
            "choices-null-and-missing",
            "delta-null-and-missing",
            "content-null-between-words",
            "role-in-every-chunk",
            "role-never",
            "created-as-text-and-empty-ids",
            "obfuscation",
            "usage-missing",
            "usage-half",
            "tool-calls-empty-and-null",
        ),
        HELLO,
    ),
    "content-as-parts": [Text("Hello"), Stop("stop")],
    "usage-on-every-chunk": [*HELLO, Usage(9, 2)],
    "usage-on-the-last-words": [*HELLO, Usage(9, 2)],
    "reasoning-content": [Thought("hm"), Text("Hello"), Stop("stop")],
    "reasoning": [Thought("hm"), Text("Hello"), Stop("stop")],
    "reasoning-by-both-names": [Thought("hm"), Text("Hello"), Stop("stop")],
    "refusal": [Refused("I can"), Refused("not."), Stop("stop")],
    "logprobs": [
        Text("Hel", logprobs={"content": [LOGPROB], "refusal": None}),
        Text("", logprobs={"content": [{**LOGPROB, "token": ""}], "refusal": None}),
        Stop("stop"),
    ],
    "two-choices-interleaved": [
        Text("a", 1),
        Text("b"),
        Text("c", 1),
        Stop("stop", 1),
        Text("d"),
        Stop("length"),
    ],
    "audio-and-annotations": [
        Extra({"audio": {"id": "audio_1", "transcript": "Hel"}}),
        Text("lo"),
        Extra({"annotations": [{"type": "url_citation"}]}),
        Stop("stop"),
    ],
    "processing-comments": [Thought("hm"), Text("Hello"), Stop("stop"), Usage(9, 2, cached=4, reasoning=1)],
    "usage-in-the-choice": [*HELLO, Usage(9, 2, cached=5)],
    "cached-tokens-by-hits-and-misses": [
        Thought("hm"),
        Text("Hello"),
        Stop("stop"),
        Usage(9, 2, cached=6, reasoning=1),
    ],
    "cached-tokens-in-timings": [*HELLO, Usage(9, 2, cached=7)],
    # failures
    "error-beside-a-finish-reason": [Text("Hel"), errors.UpstreamBroken],
    "error-for-flagged-words": [errors.BadRequest],
    "error-of-vllm": [Text("Hel"), errors.ContextTooLong],
    "error-in-the-stream": [Text("Hel"), errors.UpstreamBroken],
    "error-with-done": [errors.Throttled],
    "error-of-a-text-generation-server": [Text("Hel"), errors.UpstreamOverloaded],
    "error-object": [errors.UpstreamBroken],
    "chunk-that-is-not-json": [Text("Hel"), errors.UpstreamMalformed],
    "chunk-that-is-a-list": [Text("Hel"), errors.UpstreamMalformed],
    "chunk-of-wrong-shape": [Text("Hel"), errors.UpstreamMalformed],
    "chunk-that-is-not-utf-8": [Text("Hel"), errors.UpstreamMalformed],
    # tool calls
    "tool-call": called(F, ToolCall(0, arguments='{"a":'), ToolCall(0, arguments="1}")),
    "tool-calls-two": called(F, ToolCall(0, arguments="{}"), ToolCall(1, "call_b", "g"), ToolCall(1, arguments="{}")),
    "tool-calls-two-in-one-delta": called(F_WHOLE, G_WHOLE),
    "tool-index-from-1": called(F, ToolCall(0, arguments="{}")),
    "tool-index-with-gaps": called(
        F, ToolCall(1, "call_b", "g"), ToolCall(0, arguments="{}"), ToolCall(1, arguments="[]")
    ),
    "tool-without-index": called(F, ToolCall(0, arguments='{"a":'), ToolCall(0, arguments="1}")),
    "tools-whole-without-index": called(F_WHOLE, ToolCall(1, "call_b", "f", "[]")),
    "tools-whole-without-index-or-id": called(ToolCall(0, MADE, "f", "{}"), ToolCall(1, MADE, "f", "[]")),
    "tools-all-with-index-0": called(F_WHOLE, ToolCall(1, "call_b", "f", "[]"), ToolCall(1, arguments=" ")),
    "tool-id-and-name-repeated": called(F, ToolCall(0, arguments='{"a":'), ToolCall(0, arguments="1}")),
    "tool-id-and-name-empty-later": called(F, ToolCall(0, arguments='{"a":1}')),
    "tool-name-null-later": called(F, ToolCall(0, arguments='{"a":1}')),
    "tool-without-id": called(ToolCall(0, MADE, "f"), ToolCall(0, arguments="{}")),
    "tool-arguments-as-object": called(ToolCall(0, "call_a", "f", '{"a":1}')),
    "tool-without-a-name": [errors.UpstreamMalformed],
    "tool-calls-ended-with-stop": called(F_WHOLE),
    "tool-calls-with-extra-content": called(
        ToolCall(0, "call_a", "f", "{}", extra_content={"google": {"thought_signature": "CpEB"}}), G_WHOLE
    ),
    "tool-calls-cut-by-length": called(ToolCall(0, "call_a", "f", "{"), reason="length"),
    "tool-custom": called(ToolCall(0, "call_a", "f", kind="custom"), ToolCall(0, arguments="SELECT 1", kind="custom")),
    "function-call-of-the-old-api": called(ToolCall(0, MADE, "f"), ToolCall(0, arguments="{}")),
    "call-id-of-functions-and-numbers": called(ToolCall(0, "functions.f:0", "f", "{}")),
    # something else than a stream
    "completion-instead-of-a-stream": [Thought("hm"), Text("Hello"), Stop("stop"), Usage(9, 2)],
    "completion-with-tool-calls": [F_WHOLE, ToolCall(1, "call_b", "g", "[]"), Stop("tool_calls"), Usage(9, 2)],
    "completion-cut-short": [errors.UpstreamMalformed],
    "error-instead-of-a-stream": [errors.QuotaExhausted],
    "page-instead-of-a-stream": [errors.UpstreamBroken],
    "challenge-instead-of-a-stream": [errors.Challenged],
}


def events(chunks: Iterable[bytes]) -> Told:
    return told(read(Body({}, Decoder()), chunks))


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
                assert re.search(rb'"finish_reason": ?"[^"]', data[:at])


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_told_keeps_the_grammar(name: str):
    good = [event for event in EXPECTED[name] if not isinstance(event, type)]
    answer = fold(good)
    for index, choice in answer.choices.items():
        stops = [event for event in good if isinstance(event, Stop) and event.choice == index]
        assert len(stops) <= 1
        assert all(call.id and call.name for call in choice.calls)


_deltas = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["assistant", None]),
        "content": st.one_of(st.none(), st.text(max_size=5), st.integers()),
        "tool_calls": st.one_of(
            st.none(),
            st.lists(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "index": st.one_of(st.none(), st.integers(-2, 3)),
                        "id": st.sampled_from([None, "", "a", "b"]),
                        "function": st.fixed_dictionaries(
                            {},
                            optional={
                                "name": st.sampled_from([None, "", "f", "g"]),
                                "arguments": st.one_of(st.none(), st.text(max_size=3), st.just({"a": 1})),
                            },
                        ),
                    },
                ),
                max_size=3,
            ),
        ),
    },
)
_anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
_choices = st.fixed_dictionaries(
    {},
    optional={
        "index": st.one_of(st.integers(-1, 2), st.none(), _anything),
        "delta": st.one_of(_deltas, _deltas, _deltas, st.none(), _anything),
        "finish_reason": st.one_of(st.none(), st.sampled_from(["", "stop", "length", "tool_calls"]), _anything),
        "logprobs": _anything,
    },
)
_chunks = st.one_of(
    st.fixed_dictionaries(
        {"choices": st.lists(_choices, max_size=2)}, optional={"usage": _anything, "error": _anything}
    ),
    _anything,
)


@given(st.lists(_chunks, max_size=6))
def test_no_chunk_breaks_the_grammar_or_anything_else(chunks: list[object]):
    body = b"".join(b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks)
    found = events([body])
    assert found == events(body[at : at + 7] for at in range(0, len(body), 7))
    good = [event for event in found if not isinstance(event, type)]
    answer = fold(good)
    stopped: set[int] = set()
    opened: dict[int, int] = {}
    for event in good:
        if isinstance(event, Usage):
            continue
        assert event.choice not in stopped
        if isinstance(event, Stop):
            stopped.add(event.choice)
        if isinstance(event, ToolCall):
            if event.id is not None:
                assert event.name
                assert event.index == opened.get(event.choice, 0)
                opened[event.choice] = event.index + 1
            else:
                assert event.name is None
                assert event.index < opened[event.choice]
    assert all(isinstance(part, str) for choice in answer.choices.values() for part in choice.text)
