"""Events become chunks that keep every invariant of the published stream."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.stream import DONE, ESTIMATED, Frames
from parley.chat.events import Event, Extra, Refused, Stop, Text, Thought, ToolCall, Usage
from parley.errors import UpstreamTruncated
from tests.schema import check_chunk, check_stream

LOGPROBS = {"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]}


def written(*events: Event, include_usage: bool = False, legacy: bool = False) -> bytes:
    frames = Frames("m", include_usage=include_usage, legacy=legacy)
    return b"".join(map(frames.feed, events)) + frames.end()


def chunks(text: bytes) -> list[Any]:
    *frames, nothing = text.split(b"\n\n")
    assert nothing == b""
    return [json.loads(frame[6:]) for frame in frames if frame.startswith(b"data: {")]


def deltas(text: bytes) -> list[Any]:
    return [choice["delta"] for chunk in chunks(text) for choice in chunk["choices"]]


def test_words_come_as_openai_sends_them() -> None:
    text = written(Text("Hel"), Text(""), Text("lo"), Stop("stop"))
    assert text.endswith(DONE)
    check_stream(chunks(text), include_usage=False)
    assert deltas(text) == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]


def test_usage_is_the_last_chunk_wherever_the_upstream_said_it() -> None:
    for events in ([Usage(1, 2), Text("a"), Stop("stop")], [Text("a"), Stop("stop"), Usage(1, 2)]):
        text = written(*events, include_usage=True)
        check_stream(chunks(text), include_usage=True)
        assert chunks(text)[-1]["usage"]["total_tokens"] == 3
        check_stream(chunks(written(*events)), include_usage=False)


def test_an_estimate_is_marked_by_a_comment() -> None:
    assert ESTIMATED in written(Text("a"), Stop("stop"), Usage(1, 2, measured=False), include_usage=True)
    assert ESTIMATED not in written(Text("a"), Stop("stop"), Usage(1, 2), include_usage=True)


def test_tool_calls_name_themselves_once() -> None:
    text = written(
        ToolCall(0, id="call_1", name="weather"),
        ToolCall(0, arguments='{"a":'),
        ToolCall(0, arguments="1}"),
        ToolCall(1, id="call_2", name="shell", kind="custom", arguments="ls"),
        Stop("tool_calls"),
    )
    assert deltas(text)[0] == {"role": "assistant", "content": None, "refusal": None}
    assert [delta["tool_calls"][0] for delta in deltas(text)[1:-1]] == [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a":'}},
        {"index": 0, "function": {"arguments": "1}"}},
        {"index": 1, "id": "call_2", "type": "custom", "custom": {"name": "shell", "input": "ls"}},
    ]
    functions = written(ToolCall(0, id="call_1", name="weather", arguments="{}"), Stop("tool_calls"))
    check_stream(chunks(functions), include_usage=False)


def test_what_the_upstream_wants_back_beside_a_call_comes_with_it() -> None:
    extra = {"google": {"thought_signature": "CpEB"}}
    call = ToolCall(0, id="call_1", name="w", arguments="{}", extra_content=extra)
    text = written(call, ToolCall(1, id="call_2", name="w", arguments="{}"), Stop("tool_calls"))
    check_stream(chunks(text), include_usage=False)
    first, second = [delta["tool_calls"][0] for delta in deltas(text)[1:-1]]
    assert first["extra_content"] == extra
    assert "extra_content" not in second
    assert b"CpEB" not in written(call, Stop("tool_calls"), legacy=True), "the old shape has no room for it"


def test_the_old_shape_is_spoken_to_those_who_asked_in_it() -> None:
    text = written(
        ToolCall(0, id="call_1", name="weather"), ToolCall(0, arguments="{}"), Stop("tool_calls"), legacy=True
    )
    check_stream(chunks(text), include_usage=False)
    assert deltas(text)[1:3] == [
        {"function_call": {"name": "weather", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
    ]
    assert chunks(text)[-1]["choices"][0]["finish_reason"] == "function_call"


def test_thoughts_refusals_and_logprobs_have_their_places() -> None:
    text = written(Thought("hm"), Text("a", logprobs=LOGPROBS), Refused("no"), Extra({"audio": {}}), Stop("length"))
    for chunk in chunks(text)[:3]:
        check_chunk(chunk)
    assert deltas(text)[1:-1] == [{"reasoning_content": "hm"}, {"content": "a"}, {"refusal": "no"}, {"audio": {}}]
    assert chunks(text)[2]["choices"][0]["logprobs"] == {**LOGPROBS, "refusal": None}


def test_choices_interleave_and_each_has_its_role_and_its_end() -> None:
    text = written(Text("a", 1), Text("b", 0), Stop("stop", 1), Text("c", 0), Stop("length", 0))
    check_stream(chunks(text), include_usage=False)
    ends = {c["index"]: c["finish_reason"] for chunk in chunks(text) for c in chunk["choices"] if c["finish_reason"]}
    assert ends == {0: "length", 1: "stop"}


def test_nothing_follows_the_end_of_a_choice() -> None:
    text = written(Text("a"), Stop("stop"), Text("b"), Stop("length"))
    check_stream(chunks(text), include_usage=False)
    assert b'"b"' not in text


@pytest.mark.parametrize("events", [[], [Text("a")], [Text("a"), Text("b", 1), Stop("stop")], [Usage(1, 1)]])
def test_nobody_invents_an_end(events: list[Event]) -> None:
    with pytest.raises(UpstreamTruncated):
        written(*events)


@given(st.lists(st.text(), max_size=5), st.booleans(), st.text(min_size=1, max_size=10))
def test_any_text_survives(pieces: list[str], include_usage: bool, model: str) -> None:
    frames = Frames(model, include_usage=include_usage)
    text = b"".join(frames.feed(event) for event in [*map(Text, pieces), Stop("stop"), Usage(1, 1)]) + frames.end()
    found = chunks(text)
    check_stream(found, include_usage=include_usage)
    assert "".join(delta.get("content") or "" for delta in deltas(text)) == "".join(pieces)
    assert {chunk["model"] for chunk in found} == {model}
