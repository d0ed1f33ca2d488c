"""What Baidu Qianfan is asked, in both of its APIs: each row of the mapping in `upstreams/baidu-qianfan.md`."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from parley.chat.prompt import Prompt
from parley.dialects.qianfan import legacy, v2
from parley.errors import BadRequest, Failure, UnsupportedParameter

HI = [{"role": "user", "content": "Hi"}]
PARAMETERS = {"type": "object", "properties": {"town": {"type": "string"}}}
FUNCTION = {"name": "get_weather", "description": "按城市查天气", "parameters": PARAMETERS}
TOOL = {"type": "function", "function": {**FUNCTION, "strict": True}}
BARE = {"type": "function", "function": {"name": "now"}}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"town":"Basel"}'}}
OTHER = {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": "{}"}}


def prompt(messages: list[Any] | None = None, model: str = "ERNIE-4.0-8K", **fields: Any) -> Prompt:
    raw = {"model": model, "messages": messages or HI, **fields}
    made = msgspec.convert(raw, Prompt)
    made.raw = raw
    return made


def told(messages: list[Any] | None = None, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(legacy.encode(prompt(messages, **fields)))
    return body


def asked(messages: list[Any] | None = None, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(v2.encode(prompt(messages, **fields)))
    return body


def user(words: Any) -> dict[str, Any]:
    return {"role": "user", "content": words}


def said(words: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": words, **more}


# --- the legacy API -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("ERNIE-4.0-8K", "completions_pro"),
        ("ernie-4.0-8k", "completions_pro"),
        ("ERNIE-Bot-4", "completions_pro"),
        ("ERNIE-4.0-8K-0518", "completions_adv_pro"),
        ("ERNIE-4.0-8K-Preview", "ernie-4.0-8k-preview"),
        ("ERNIE-4.0-8K-Latest", "ernie-4.0-8k-latest"),
        ("ERNIE-4.0-Turbo-8K", "ernie-4.0-turbo-8k"),
        ("ERNIE-3.5-8K", "completions"),
        ("ERNIE-Bot", "completions"),
        ("ERNIE-3.5-8K-0205", "ernie-3.5-8k-0205"),
        ("ERNIE-3.5-8K-1222", "ernie-3.5-8k-1222"),
        ("ERNIE-3.5-128K", "ernie-3.5-128k"),
        ("ERNIE-Lite-8K-0922", "eb-instant"),
        ("ERNIE-Bot-turbo", "eb-instant"),
        ("ERNIE-Lite-8K-0308", "ernie-lite-8k"),
        ("ERNIE-Lite-8K", "ernie-lite-8k"),
        ("ERNIE-Speed-8K", "ernie_speed"),
        ("ERNIE-Speed-128K", "ernie-speed-128k"),
        ("ERNIE-Tiny-8K", "ernie-tiny-8k"),
        ("ERNIE-Character-8K", "ernie-char-8k"),
        ("ERNIE-Functions-8K", "ernie-func-8k"),
        ("My-Service", "my_service_0815"),
        ("ernie-tuned", "Tuned"),
        ("../oauth", "..%2Foauth"),
    ],
)
def test_each_model_has_its_path(model: str, path: str) -> None:
    assert legacy.endpoint(model, {"my-service": "my_service_0815", "ernie-tuned": "Tuned"}) == path


def test_what_is_offered_has_a_path_of_its_own() -> None:
    assert len({legacy.endpoint(model, {}) for model in legacy.OFFERED}) == len(legacy.OFFERED)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"temperature": 0}, {"temperature": 0.01}),
        ({"temperature": 0.6}, {"temperature": 0.6}),
        ({"temperature": 1.7}, {"temperature": 1.0}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"max_tokens": 7}, {"max_output_tokens": 7}),
        ({"max_completion_tokens": 1}, {"max_output_tokens": 2}),
        ({"stop": "END"}, {"stop": ["END"]}),
        ({"stop": ["", "END", "a stop that is too long"]}, {"stop": ["END"]}),
        ({"response_format": {"type": "json_object"}}, {"response_format": "json_object"}),
        ({"response_format": {"type": "text"}}, {}),
        ({"user": "u-42"}, {"user_id": "u-42"}),
        ({"safety_identifier": "s-1"}, {"user_id": "s-1"}),
        ({"penalty_score": 1.5, "disable_search": True}, {"penalty_score": 1.5, "disable_search": True}),
        ({"presence_penalty": 1, "frequency_penalty": 1, "seed": 5, "logit_bias": {"1": 1}, "store": True}, {}),
        ({"metadata": {"a": "b"}, "n": 1, "parallel_tool_calls": False, "reasoning_effort": "low"}, {}),
        ({"tools": [TOOL], "tool_choice": "none"}, {}),
        ({"tools": []}, {}),
        ({"tools": [TOOL]}, {"functions": [FUNCTION]}),
        ({"tools": [TOOL], "tool_choice": "auto"}, {"functions": [FUNCTION]}),
        ({"tools": [TOOL], "tool_choice": "required"}, {"functions": [FUNCTION], "tool_choice": NAMED}),
        (
            {"tools": [BARE], "tool_choice": {"type": "function", "function": {"name": "now"}}},
            {
                "functions": [
                    {"name": "now", "description": "now", "parameters": {"type": "object", "properties": {}}}
                ],
                "tool_choice": {"type": "function", "function": {"name": "now"}},
            },
        ),
        (
            {
                "tools": [TOOL, BARE],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}},
            },
            {"functions": [FUNCTION], "tool_choice": NAMED},
        ),
    ],
)
def test_each_parameter_of_the_legacy_api(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert told(**given) == {"messages": HI, **sent, "stream": True}


SYSTEM = [{"role": "system", "content": "A"}, {"role": "developer", "content": [{"type": "text", "text": "B"}]}]


@pytest.mark.parametrize(
    ("messages", "turns"),
    [
        ([user("a"), user([{"type": "text", "text": "b"}])], [user("a\n\nb")]),
        ([user("a"), said("b"), said("c"), user("d")], [user("a"), said("b\n\nc"), user("d")]),
        ([said("b"), user("c")], [user("(The conversation begins.)"), said("b"), user("c")]),
        ([user("a"), said(""), user("b")], [user("a\n\nb")]),
        ([user("a"), user(" ")], [user("a")]),
        ([user("a"), said(None, refusal="No."), user("b")], [user("a"), said("No."), user("b")]),
        ([{**user("a"), "name": "ada"}], [user("a")]),
    ],
)
def test_turns_are_strict(messages: list[Any], turns: list[Any]) -> None:
    assert told(messages)["messages"] == turns
    assert told([*SYSTEM, *messages]) == {"messages": turns, "system": "A\n\nB", "stream": True}


def test_a_call_and_its_result_are_told_in_the_services_words() -> None:
    result = {"role": "tool", "tool_call_id": "call_1", "content": "晴"}
    function = {"role": "function", "name": "get_weather", "content": "晴"}
    called = said("", function_call=CALL["function"])
    assert told([user("a"), said(None, tool_calls=[CALL]), result])["messages"] == [user("a"), called, function]
    went_on = told([user("a"), said(None, tool_calls=[CALL]), result, user("b")])["messages"]
    assert went_on == [user("a"), called, function, said("OK"), user("b")]
    thought = told([user("a"), said("", tool_calls=[CALL], reasoning_content="嗯"), {**result, "content": ""}])
    assert thought["messages"][1]["function_call"]["thoughts"] == "嗯"
    assert thought["messages"][2]["content"] == "{}"


@pytest.mark.parametrize(
    ("given", "kind", "param"),
    [
        ({"messages": [*HI, said("a")]}, BadRequest, "messages"),
        ({"messages": [user(" ")]}, BadRequest, "messages"),
        ({"messages": SYSTEM}, BadRequest, "messages"),
        ({"messages": [*HI, said("", tool_calls=[CALL, OTHER])]}, UnsupportedParameter, "messages[1].tool_calls"),
        (
            {"messages": [*HI, said("", tool_calls=[CALL]), said("", tool_calls=[OTHER]), *HI]},
            UnsupportedParameter,
            "messages",
        ),
        (
            {"messages": [*HI, {"role": "tool", "tool_call_id": "x", "content": "y"}]},
            BadRequest,
            "messages[1].tool_call_id",
        ),
        ({"tools": [TOOL, BARE], "tool_choice": "required"}, UnsupportedParameter, "tool_choice"),
    ],
)
def test_what_cannot_be_told_is_refused_by_name(given: dict[str, Any], kind: type[Failure], param: str) -> None:
    with pytest.raises(kind) as refused:
        told(**given)
    assert refused.value.param == param


# --- v2 -----------------------------------------------------------------------------------------------------------

USUAL = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("ERNIE-4.0-8K", "ernie-4.0-8k"),
        ("ERNIE-Bot-4", "ernie-4.0-8k"),
        ("ernie-bot", "ernie-3.5-8k"),
        ("DeepSeek-R1", "deepseek-r1"),
        ("My-Service", "My-Service"),
    ],
)
def test_public_models_are_named_in_lower_case(name: str, model: str) -> None:
    assert asked(model=name)["model"] == model


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"temperature": 0}, {"temperature": 0.01}),
        ({"temperature": 1.7}, {"temperature": 1.0}),
        ({"max_completion_tokens": 7}, {"max_tokens": 7}),
        ({"frequency_penalty": 0.5, "presence_penalty": 0.5}, {"frequency_penalty": 0.5, "presence_penalty": 0.5}),
        ({"seed": 5, "stop": ["END"], "top_p": 0.5}, {"seed": 5, "stop": ["END"], "top_p": 0.5}),
        ({"user": "u", "metadata": {"a": "b"}}, {"user": "u", "metadata": {"a": "b"}}),
        ({"safety_identifier": "s"}, {"user": "s"}),
        ({"safety_identifier": "s", "user": "u"}, {"user": "u"}),
        ({"tools": [TOOL], "tool_choice": "required"}, {"tools": [TOOL], "tool_choice": "required"}),
        ({"tools": [TOOL], "parallel_tool_calls": False}, {"tools": [TOOL], "parallel_tool_calls": False}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        ({"web_search_options": {}}, {"web_search": {"enable": True}}),
        (
            {"web_search": {"enable": True, "enable_trace": True}},
            {"web_search": {"enable": True, "enable_trace": True}},
        ),
        ({"enable_thinking": False, "penalty_score": 1.1}, {"enable_thinking": False, "penalty_score": 1.1}),
        ({"logit_bias": {"1": 1}, "store": True, "service_tier": "auto", "reasoning_effort": "low", "n": 1}, {}),
    ],
)
def test_each_parameter_of_v2(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert asked(**given) == {"model": "ernie-4.0-8k", "messages": HI, **sent, **USUAL}


def test_other_vendors_models_keep_their_range() -> None:
    assert asked(model="deepseek-v3", temperature=0)["temperature"] == 0
    assert asked(model="deepseek-v3", temperature=2)["temperature"] == 2


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


@pytest.mark.parametrize(
    ("messages", "turns"),
    [
        ([user("a"), user("b")], [user("a\n\nb")]),
        ([user("a"), user([IMAGE])], [user([{"type": "text", "text": "a"}, IMAGE])]),
        ([said("a"), said("b"), user("c")], [said("a\n\nb"), user("c")]),
        (
            [
                user("a"),
                said("b"),
                said(None, tool_calls=[CALL]),
                {"role": "tool", "tool_call_id": "call_1", "content": "c"},
            ],
            None,
        ),
    ],
)
def test_ernie_is_told_in_turns_and_others_are_not(messages: list[Any], turns: list[Any] | None) -> None:
    assert asked([*SYSTEM, *messages])["messages"] == [{"role": "system", "content": "A\n\nB"}, *(turns or messages)]
    late = asked([messages[0], *SYSTEM, *messages[1:]], model="qwen3-32b")["messages"]
    assert late == [{"role": "system", "content": "A\n\nB"}, *messages]
