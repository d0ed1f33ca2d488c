"""What is asked of an OpenAI-like service: the request as it came, changed only where it must be."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from parley.chat.prompt import Prompt
from parley.dialects.openai import Rules, encode
from parley.errors import UnsupportedParameter
from parley.providers.rows import ROWS

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}


def asked(rules: Rules, messages: list[dict[str, Any]] = HELLO, model: str = "demo", **fields: Any) -> dict[str, Any]:
    """The body for a request of these fields, which a route has given `model`."""
    raw = {"model": "asked", "messages": messages, **fields}
    prompt = msgspec.convert(raw, Prompt)
    prompt.raw, prompt.model = json.loads(json.dumps(raw)), model
    before = json.dumps(prompt.raw)
    body: dict[str, Any] = json.loads(encode(prompt, rules))
    assert json.dumps(prompt.raw) == before, "another target may be asked with the same request"
    return body


OPENAI, HUGGINGFACE, ANY = ROWS["openai"].rules, ROWS["huggingface"].rules, Rules()


def test_a_plain_question_becomes_a_stream_with_usage():
    assert asked(ANY) == {
        "model": "demo",
        "messages": HELLO,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert "stream_options" not in asked(Rules(stream_usage=False))
    assert asked(OPENAI)["stream_options"] == {"include_usage": True, "include_obfuscation": False}


def test_what_the_caller_wants_of_its_own_stream_is_between_it_and_us():
    body = asked(OPENAI, stream=False, stream_options=None)
    assert body["stream"] is True
    body = asked(ANY, stream=True, stream_options={"include_usage": False, "include_obfuscation": True})
    assert body["stream_options"] == {"include_usage": True}


def test_every_field_of_the_api_and_unknown_ones_reach_openai():
    fields: dict[str, Any] = {
        "temperature": 0.2,
        "top_p": 0.5,
        "n": 2,
        "stop": ["a"],
        "presence_penalty": 1,
        "frequency_penalty": -1,
        "logit_bias": {"5": 3},
        "logprobs": True,
        "top_logprobs": 20,
        "seed": 7,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}, "strict": True}},
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "verbosity": "low",
        "modalities": ["text"],
        "prediction": {"type": "content", "content": "x"},
        "service_tier": "flex",
        "store": True,
        "metadata": {"a": "b"},
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "web_search_options": {},
        "something_of_next_year": {"deep": [1, None]},
    }
    body = asked(OPENAI, **fields)
    assert {name: body[name] for name in fields} == fields


def test_nulls_and_defaults_say_nothing():
    body = asked(ANY, temperature=None, tools=[], tool_choice="none", parallel_tool_calls=True, n=1, logprobs=False)
    assert set(body) == {"model", "messages", "stream", "stream_options"}


@pytest.mark.parametrize(
    ("rules", "model", "name"),
    [
        (ANY, "gpt-4o", "max_tokens"),
        (ANY, "llama-3", "max_tokens"),
        (ANY, "turbo1", "max_tokens"),
        (ANY, "o1", "max_completion_tokens"),
        (ANY, "o4-mini-2025-04-16", "max_completion_tokens"),
        (ANY, "openai/o3", "max_completion_tokens"),
        (ANY, "ft:o4-mini:org", "max_completion_tokens"),
        (ANY, "gpt-5", "max_completion_tokens"),
        (ANY, "gpt-5.2-mini", "max_completion_tokens"),
        (ANY, "openai/gpt-oss-120b", "max_tokens"),
        (Rules(limit="max_tokens"), "gpt-5", "max_tokens"),
        (Rules(limit="max_completion_tokens"), "gpt-4o", "max_completion_tokens"),
        (HUGGINGFACE, "openai/gpt-5:x", "max_tokens"),
    ],
)
@pytest.mark.parametrize("given", ["max_tokens", "max_completion_tokens"])
def test_the_limit_of_tokens_has_the_name_that_the_service_knows(rules: Rules, model: str, name: str, given: str):
    body = asked(rules, model=model, **{given: 5})
    assert {key: body[key] for key in body if key.startswith("max_")} == {name: 5}


def test_messages_are_told_as_the_service_knows_them():
    messages: list[dict[str, Any]] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": ["a", {"type": "text", "text": "b"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": "https://a/b.png"}], "name": None},
        {"role": "assistant", "content": "c", "reasoning_content": "hm", "tool_calls": [], "refusal": None},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "x", "content": "d"},
        {"role": "assistant", "content": "e", "reasoning": "hm", "thinking_blocks": [{}], "audio": {"id": "audio_1"}},
    ]
    told = asked(HUGGINGFACE, messages)["messages"]
    assert told == [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]},
        {"role": "assistant", "content": "c"},
        messages[4],
        messages[5],
        {"role": "assistant", "content": "e", "audio": {"id": "audio_1"}},
    ]
    assert asked(OPENAI, messages)["messages"] == [messages[0], *told[1:]]


def test_hugging_face_gets_what_it_documents():
    knobs: dict[str, Any] = {
        "logit_bias": {"5": 3},
        "parallel_tool_calls": False,
        "user": "u",
        "store": True,
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "verbosity": "low",
        "prediction": {"type": "content", "content": "x"},
    }
    kept: dict[str, Any] = {"seed": 1, "temperature": 0.5, "reasoning_effort": "low", "tool_prompt": "x", "stop": "a"}
    body = asked(HUGGINGFACE, tools=[TOOL], **knobs, **kept)
    assert not knobs.keys() & body.keys()
    assert kept.items() <= body.items()
    assert body["tools"] == [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    assert asked(OPENAI, tools=[TOOL])["tools"] == [TOOL]


def test_more_logprobs_than_a_service_gives_are_refused_by_name():
    assert asked(HUGGINGFACE, logprobs=True, top_logprobs=5)["top_logprobs"] == 5
    with pytest.raises(UnsupportedParameter) as refused:
        asked(HUGGINGFACE, logprobs=True, top_logprobs=6)
    assert refused.value.param == "top_logprobs"


def test_what_was_said_beside_a_call_goes_back_only_to_those_who_say_such_things():
    said = {"google": {"thought_signature": "CpEB"}}
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [{**call, "extra_content": said}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
    ]
    assert asked(OPENAI, turns)["messages"][1] == {"role": "assistant", "content": None, "tool_calls": [call]}
    assert asked(ROWS["openai-compatible"].rules, turns)["messages"] == turns


def test_every_row_asks_in_words_that_are_json_and_keep_unicode():
    for row in ROWS.values():
        assert (
            asked(row.rules, [{"role": "user", "content": "汉字 🙂 \u2028"}])["messages"][0]["content"]
            == "汉字 🙂 \u2028"
        )


CALL = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def thoughts_told(row: str) -> list[str | None]:
    """Which of the assistant's messages still has its thoughts: one with words, one with a call."""
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "reasoning_content": "hm"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": None, "reasoning": "oh", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "x", "content": "d"},
    ]
    told = asked(ROWS[row].rules, turns)["messages"]
    assert not any("reasoning" in message for message in told)
    return [told[1].get("reasoning_content"), told[3].get("reasoning_content")]


@pytest.mark.parametrize(
    ("row", "told"), [("openai", [None, None]), ("deepseek", [None, "oh"]), ("moonshot", ["hm", "oh"])]
)
def test_thoughts_are_told_back_to_those_that_want_them(row: str, told: list[str | None]):
    assert thoughts_told(row) == told


@pytest.mark.parametrize("row", ["moonshot", "ollama"])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_a_demand_for_a_call_is_refused_where_it_would_be_ignored(row: str, choice: Any):
    with pytest.raises(UnsupportedParameter) as refused:
        asked(ROWS[row].rules, tools=[TOOL], tool_choice=choice)
    assert refused.value.param == "tool_choice"
    assert asked(ROWS["deepseek"].rules, tools=[TOOL], tool_choice=choice)["tool_choice"] == choice


def test_calls_are_forbidden_by_telling_no_tools_where_nothing_else_is_understood():
    assert "tools" not in asked(ROWS["ollama"].rules, tools=[TOOL], tool_choice="none")
    told = asked(ROWS["ollama"].rules, tools=[TOOL], tool_choice="auto")
    assert told["tools"] == [TOOL]
    assert "tool_choice" not in told
    assert asked(ROWS["moonshot"].rules, tools=[TOOL], tool_choice="none")["tool_choice"] == "none"


def test_numbers_out_of_a_services_range_are_the_nearest_within_it():
    assert asked(ROWS["moonshot"].rules, temperature=1.7)["temperature"] == 1.0
    assert asked(ROWS["moonshot"].rules, temperature=0)["temperature"] == 0
    told = asked(ROWS["qwen"].rules, temperature=2, top_p=0)
    assert (told["temperature"], told["top_p"]) == (1.99, 0.01)
    told = asked(OPENAI, temperature=2, top_p=0)
    assert (told["temperature"], told["top_p"]) == (2, 0)


@pytest.mark.parametrize("row", ROWS)
def test_what_a_row_drops_is_not_told_and_its_own_fields_are(row: str):
    knobs: dict[str, Any] = {
        "store": True,
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "verbosity": "low",
        "prediction": {"type": "content", "content": "x"},
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "logit_bias": {"5": 3},
        "parallel_tool_calls": False,
        "seed": 1,
        "user": "u",
        "presence_penalty": 1,
        "frequency_penalty": 1,
        "reasoning_effort": "low",
    }
    told = asked(ROWS[row].rules, tools=[TOOL], enable_thinking=True, **knobs)
    assert knobs.keys() - told.keys() == knobs.keys() & ROWS[row].rules.drops
    assert told["enable_thinking"] is True
