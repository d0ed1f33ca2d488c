"""An answer becomes a completion that the published schema accepts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.body import completion
from parley.chat.answer import fold
from parley.chat.events import Event, Extra, Refused, Stop, Text, Thought, ToolCall, Usage
from parley.errors import UpstreamTruncated
from tests.schema import check_completion


def written(*events: Event, legacy: bool = False) -> Any:
    body = json.loads(completion(fold(events), "m", legacy=legacy))
    check_completion(body)
    return body


def test_words() -> None:
    body = written(Text("Hel"), Text("lo"), Stop("stop"), Usage(3, 2, cached=1, reasoning=1))
    assert body["choices"][0]["message"]["content"] == "Hello"
    assert body["usage"]["total_tokens"] == 5
    assert body["usage"]["prompt_tokens_details"]["cached_tokens"] == 1


def test_an_empty_answer_that_ended_is_an_empty_text() -> None:
    assert written(Stop("length"))["choices"][0]["message"]["content"] == ""


def test_tool_calls_leave_the_content_null() -> None:
    message = written(ToolCall(0, id="call_1", name="w", arguments="{}"), Stop("tool_calls"))["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"] == [{"id": "call_1", "type": "function", "function": {"name": "w", "arguments": "{}"}}]


def test_what_the_upstream_wants_back_beside_a_call_comes_with_it() -> None:
    extra = {"google": {"thought_signature": "CpEB"}}
    call = ToolCall(0, id="call_1", name="w", arguments="{}", extra_content=extra)
    events = (call, ToolCall(1, id="call_2", name="w", arguments="{}"), Stop("tool_calls"))
    first, second = written(*events)["choices"][0]["message"]["tool_calls"]
    assert first["extra_content"] == extra
    assert "extra_content" not in second
    assert "CpEB" not in json.dumps(written(*events, legacy=True)), "the old shape has no room for it"


def test_custom_calls_have_an_input() -> None:
    body = written(ToolCall(0, id="call_1", name="sh", kind="custom", arguments="ls"), Stop("tool_calls"))
    assert body["choices"][0]["message"]["tool_calls"][0]["custom"] == {"name": "sh", "input": "ls"}


def test_the_old_shape_is_spoken_to_those_who_asked_in_it() -> None:
    body = written(ToolCall(0, id="call_1", name="w", arguments="{}"), Stop("tool_calls"), legacy=True)
    assert body["choices"][0]["message"]["function_call"] == {"name": "w", "arguments": "{}"}
    assert body["choices"][0]["finish_reason"] == "function_call"


def test_refusals_thoughts_and_extras() -> None:
    message = written(Thought("hm"), Refused("no"), Extra({"annotations": []}), Stop("stop"))["choices"][0]["message"]
    assert (message["content"], message["refusal"], message["reasoning_content"]) == (None, "no", "hm")


def test_choices_are_sorted_and_logprobs_joined() -> None:
    token = {"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}
    body = written(
        Text("b", 1),
        Text("a", 0, {"content": [token]}),
        Text("c", 0, {"content": [token]}),
        Stop("stop", 1),
        Stop("stop"),
    )
    assert [choice["message"]["content"] for choice in body["choices"]] == ["ac", "b"]
    assert body["choices"][0]["logprobs"] == {"content": [token, token], "refusal": None}


@pytest.mark.parametrize("events", [[], [Text("a")], [Text("a"), Stop("stop"), Text("b", 1)]])
def test_half_an_answer_is_an_error(events: list[Event]) -> None:
    with pytest.raises(UpstreamTruncated):
        completion(fold(events), "m")
