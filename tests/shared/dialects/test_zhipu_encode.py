"""What Zhipu's v4 API is asked: each row of `upstreams/zhipu.md` section 4."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from parley.chat.demands import KNOBS
from parley.chat.prompt import Prompt
from parley.dialects.zhipu import DROPS, Taste, encode
from parley.errors import UnsupportedParameter

HI = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "按城市查天气", "strict": True,
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}}}}  # fmt: skip
BARE = {"type": "function", "function": {"name": "now"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


def prompt(messages: list[Any] | None = None, **fields: Any) -> Prompt:
    raw = {"messages": messages or HI, **fields}
    made = msgspec.convert(raw, Prompt)
    made.raw = raw
    return made


def asked(
    messages: list[Any] | None = None, *, model: str = "glm-4.6", taste: Taste | None = None, **fields: Any
) -> dict[str, Any]:
    return encode(prompt(messages, **fields), model, taste or Taste())


def beside(**facts: Any) -> dict[str, Any]:
    """The body for "Hi", with `facts` in it and nothing else."""
    return {"model": "glm-4.6", "messages": HI, **facts, "stream": True}


def test_a_plain_question_is_a_plain_body():
    assert asked() == beside()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"max_completion_tokens": 7}, {"max_tokens": 7}),
        ({"temperature": 0.6}, {"temperature": 0.6}),
        ({"temperature": 0}, {"do_sample": False}),
        ({"temperature": 1}, {"temperature": 1.0}),
        ({"temperature": 1.7}, {"temperature": 1.0}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"top_p": 0}, {"top_p": 0.01}),
        ({"top_p": 1}, {"top_p": 1.0}),
        ({"seed": 5}, {"seed": 5}),
        ({"stop": "END"}, {"stop": ["END"]}),
        ({"stop": ["", "END", "FIN"]}, {"stop": ["END"]}),
        ({"stop": []}, {}),
        ({"user": "user-42"}, {"user_id": "user-42"}),
        ({"safety_identifier": "user-42"}, {"user_id": "user-42"}),
        ({"user": "u-42"}, {"user_id": hashlib.sha256(b"u-42").hexdigest()}),
        ({"user": "u" * 129}, {"user_id": hashlib.sha256(b"u" * 129).hexdigest()}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "minimal"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "high"}, {"thinking": {"type": "enabled"}}),
        ({"reasoning_effort": "high", "thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        ({"tool_stream": True, "request_id": "req-demo-1"}, {"tool_stream": True, "request_id": "req-demo-1"}),
        ({"do_sample": True, "meta": {"a": "b"}, "watermark_enabled": None}, {"do_sample": True, "meta": {"a": "b"}}),
        ({"unknown": 1, "stream": False}, {}),
        ({"tools": []}, {}),
        ({"tools": [BARE], "tool_choice": "none"}, {}),
    ],
)
def test_each_field_becomes(given: dict[str, Any], sent: dict[str, Any]):
    assert asked(**given) == beside(**sent)


TUNING = {
    "presence_penalty": 1, "frequency_penalty": 1, "logit_bias": {"1": 1}, "verbosity": "low",
    "parallel_tool_calls": False, "store": True, "metadata": {"a": "b"},
    "service_tier": "flex", "prediction": {"type": "content", "content": "x"}, "prompt_cache_key": "k",
}  # fmt: skip


def test_what_merely_tunes_is_dropped():
    assert TUNING.keys() == DROPS < set(KNOBS)
    assert asked(**TUNING) == beside()
    assert asked(top_logprobs=2, stream_options={"include_usage": True}, moderation={}) == beside()


@pytest.mark.parametrize("model", ["glm-4", "glm-4-flash", "glm-4-flash-250414", "GLM-4V", "glm-4.1v-thinking", "mine"])
def test_classic_models_get_no_value_at_an_edge_and_nothing_they_do_not_know(model: str):
    body = asked(model=model, temperature=1, top_p=1, seed=1, reasoning_effort="high")
    assert body == {**beside(), "model": model, "temperature": 0.99, "top_p": 0.99}


@pytest.mark.parametrize("model", ["glm-4.5", "glm-4.5-air", "glm-4.6", "glm-4.6v", "glm-5", "zai-org/GLM-4.6"])
def test_models_from_4_5_on_think_when_told_to(model: str):
    assert asked(model=model, reasoning_effort="low")["thinking"] == {"type": "enabled"}
    assert "reasoning_effort" not in asked(model=model, reasoning_effort="low")


def test_models_from_5_2_on_are_told_how_much():
    assert asked(model="glm-5.2", reasoning_effort="xhigh")["reasoning_effort"] == "xhigh"
    assert asked(model="glm-5.10", reasoning_effort="none")["thinking"] == {"type": "disabled"}


def test_every_kind_of_message_is_told():
    call = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    said = asked(
        [
            {"role": "developer", "content": "Be brief.", "name": "boss"},
            {"role": "system", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "kind."}]},
            {"role": "user", "content": [{"type": "text", "text": "What "}, "time?"], "name": "ada"},
            {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "hm"},
            {"role": "tool", "content": [{"type": "text", "text": "noon"}], "tool_call_id": "call_1"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"role": "user", "content": "Why?"},
            {"role": "user", "content": "Tell me."},
        ]
    )["messages"]
    assert said == [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "What time?"},
        {"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [call]},
        {"role": "tool", "content": "noon", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "No."},
        {"role": "user", "content": "Why?"},
        {"role": "user", "content": "Tell me."},
    ]


def test_images_and_sounds_go_as_they_are_without_detail():
    parts = [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}},
        {"type": "image_url", "image_url": "data:image/png;base64,AAAA"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "text", "text": "Where?"},
        "Who?",
    ]
    assert asked([{"role": "user", "content": parts}])["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "text", "text": "Where?"},
        {"type": "text", "text": "Who?"},
    ]


def test_a_conversation_without_a_user_gets_one_who_says_nothing():
    rules = {"role": "system", "content": "Greet."}
    assert asked([rules])["messages"] == [rules, {"role": "user", "content": " "}]
    assert asked([{"role": "assistant", "content": "Hi"}])["messages"][0] == {"role": "user", "content": " "}


@pytest.mark.parametrize(
    ("content", "told"),
    [("Hi", "Be brief.\n\nBe kind.\n\nHi"),
     ([{"type": "image_url", "image_url": {"url": "https://example.com/a"}}],
      [{"type": "text", "text": "Be brief.\n\nBe kind."},
       {"type": "image_url", "image_url": {"url": "https://example.com/a"}}])],
)  # fmt: skip
def test_models_that_see_and_take_no_system_message_hear_it_from_the_user(content: Any, told: Any):
    rules = [{"role": "system", "content": "Be brief."}, {"role": "developer", "content": "Be kind."}]
    asking = {"role": "user", "content": content}
    assert asked([*rules, asking], model="glm-4v-plus")["messages"] == [{"role": "user", "content": told}]
    assert asked([asking], model="glm-4v")["messages"] == [asking]
    assert asked(rules, model="glm-4v")["messages"] == [{"role": "user", "content": "Be brief.\n\nBe kind."}]
    assert len(asked([*rules, asking], model="glm-4.5v")["messages"]) == 3


def test_tools_are_told_without_strict_and_always_with_parameters():
    body = asked(tools=[TOOL, BARE], tool_choice="auto")
    weather = {name: value for name, value in TOOL["function"].items() if name != "strict"}  # type: ignore[attr-defined]
    nothing = {"name": "now", "parameters": {"type": "object", "properties": {}}}
    assert body["tools"] == [{"type": "function", "function": weather}, {"type": "function", "function": nothing}]
    assert "tool_choice" not in body


FORCED = ["required", {"type": "function", "function": {"name": "now"}}]


@pytest.mark.parametrize("choice", FORCED)
def test_a_forced_tool_is_refused_unless_the_operator_lets_the_model_decide(choice: Any):
    with pytest.raises(UnsupportedParameter) as refused:
        asked(tools=[BARE], tool_choice=choice)
    assert refused.value.param == "tool_choice"
    body = asked(tools=[BARE], tool_choice=choice, taste=Taste(forced_tools="auto"))
    assert len(body["tools"]) == 1 and "tool_choice" not in body


def test_of_the_tools_only_the_allowed_ones_are_told():
    def choice(mode: str) -> dict[str, Any]:
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [FORCED[1]]}}

    assert [tool["function"]["name"] for tool in asked(tools=[TOOL, BARE], tool_choice=choice("auto"))["tools"]] == [
        "now"
    ]
    with pytest.raises(UnsupportedParameter):
        asked(tools=[TOOL, BARE], tool_choice=choice("required"))


def test_a_schema_is_refused_unless_the_operator_has_it_put_into_words():
    with pytest.raises(UnsupportedParameter) as refused:
        asked(response_format=SCHEMA)
    assert refused.value.param == "response_format"
    body = asked(response_format=SCHEMA, taste=Taste(json_schema="told"))
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0]["role"] == "system"
    assert body["messages"][0]["content"].endswith('\n{"type":"object"}')
    eyes = asked(response_format=SCHEMA, taste=Taste(json_schema="told"), model="glm-4v")
    assert [message["role"] for message in eyes["messages"]] == ["user"]
