"""Bodies become prompts, or a BadRequest that names the parameter. Nothing else ever comes out."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.request import parse
from parley.chat.prompt import Assistant, ImagePart, Prompt, Tool, User
from parley.errors import BadRequest

HI = [{"role": "user", "content": "hi"}]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
ANSWERED = {"role": "tool", "tool_call_id": "call_1", "content": "14 C"}


def read(**body: Any) -> Prompt:
    return parse(json.dumps({"model": "m", "messages": HI, **body}).encode()).prompt


def refusal(body: bytes) -> tuple[str | None, str | None]:
    with pytest.raises(BadRequest) as caught:
        parse(body)
    assert caught.value.message
    assert "$" not in caught.value.message
    return caught.value.param, caught.value.code


def test_every_field_of_todays_api_is_read() -> None:
    body = {
        "model": "m",
        "messages": [{"role": "developer", "content": "Be brief."}, *HI],
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
        "max_completion_tokens": 5,
        "temperature": 1,
        "top_p": 0.5,
        "n": 2,
        "stop": ["a", "b"],
        "presence_penalty": -2,
        "frequency_penalty": 2,
        "logit_bias": {"50256": -100},
        "logprobs": True,
        "top_logprobs": 20,
        "seed": -1,
        "response_format": {"type": "json_schema", "json_schema": {"name": "reading", "schema": {}, "strict": True}},
        "tools": [WEATHER, {"type": "custom", "custom": {"name": "shell", "format": {"type": "text"}}}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "verbosity": "high",
        "modalities": ["text"],
        "prediction": {"type": "content", "content": "x"},
        "service_tier": "auto",
        "store": False,
        "metadata": {"k": "v"},
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "p",
        "web_search_options": {},
        "moderation": {},
    }
    prompt = read(**body)
    for name, value in body.items():
        assert prompt.raw[name] == value
    assert msgspec.to_builtins(prompt)["tools"] == body["tools"]
    assert prompt.temperature == 1.0


def test_unknown_fields_are_kept_for_upstreams_that_know_them() -> None:
    assert read(enable_thinking=True).raw["enable_thinking"] is True


def test_null_counts_as_absent() -> None:
    fields = [name for name in Prompt.__struct_fields__ if name not in ("messages", "raw")]
    prompt = read(**dict.fromkeys(fields))
    assert prompt.model == ""
    assert all(getattr(prompt, name) is None for name in fields if name != "model")


def test_the_name_that_marks_our_own_field_is_not_read_from_the_wire() -> None:
    assert read(**{"": {"forged": 1}}).raw == {"model": "m", "messages": HI}


def test_an_image_may_be_a_bare_string_and_a_part_too() -> None:
    prompt = read(messages=[{"role": "user", "content": ["look", {"type": "image_url", "image_url": "https://x/y"}]}])
    assert isinstance(prompt.messages[0], User)
    assert isinstance(prompt.messages[0].content, list)
    assert isinstance(prompt.messages[0].content[1], ImagePart)


def test_a_tool_turn_is_read() -> None:
    prompt = read(messages=[*HI, CALLED, ANSWERED, *HI], tools=[WEATHER])
    assert isinstance(prompt.messages[1], Assistant)
    assert isinstance(prompt.messages[2], Tool)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"", None, None),
        (b"not json", None, None),
        (b'{"messages": NaN}', None, None),
        (b'{"messages": Infinity}', None, None),
        (b'{"a": 1e999}', None, "invalid_value"),
        (b"\xff\xfe", None, None),
        (b'{"a": "\xff"}', None, None),
        (b'{"a": "\xed\xa0\x80"}', None, None),
        (b'{"a": "\\ud800"}', None, None),
        (b"[]", None, "invalid_type"),
        (b'"text"', None, "invalid_type"),
        (b"null", None, "invalid_type"),
        (b"{} {}", None, None),
        (b"{}", "messages", "missing_required_parameter"),
        (b"[" * 100_000, None, "invalid_value"),
        (b'{"messages":[{"role":"user","content":"x"}],"x":' + b"[" * 400 + b"]" * 400 + b"}", None, "invalid_value"),
        (b'{"a":' * 100_000, None, "invalid_value"),
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_what_is_no_json_object_is_refused(body: bytes, param: str | None, code: str | None) -> None:
    assert refusal(body) == (param, code)


def part(kind: str, **members: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": kind, **members}]}]


TYPE, VALUE, MISSING = "invalid_type", "invalid_value", "missing_required_parameter"
WRONG: list[tuple[dict[str, Any], str, str | None]] = [
    ({"messages": []}, "messages", VALUE),
    ({"messages": "hi"}, "messages", TYPE),
    ({"messages": None}, "messages", TYPE),
    ({"messages": ["hi"]}, "messages[0]", TYPE),
    ({"messages": [{"content": "x"}]}, "messages[0].role", MISSING),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", VALUE),
    ({"messages": [{"role": 5, "content": "x"}]}, "messages[0].role", TYPE),
    ({"messages": [{"role": "user"}]}, "messages[0].content", MISSING),
    ({"messages": [{"role": "user", "content": None}]}, "messages[0].content", TYPE),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", TYPE),
    ({"messages": part("video")}, "messages[0].content[1].type", VALUE),
    ({"messages": part("text")}, "messages[0].content[1].text", MISSING),
    ({"messages": part("text", text=5)}, "messages[0].content[1].text", TYPE),
    ({"messages": part("refusal", refusal="no")}, "messages[0].content[1].type", VALUE),
    ({"messages": part("image_url")}, "messages[0].content[1].image_url", MISSING),
    ({"messages": part("image_url", image_url={})}, "messages[0].content[1].image_url.url", MISSING),
    ({"messages": part("input_audio", input_audio={})}, "messages[0].content[1].input_audio.data", MISSING),
    ({"messages": part("file", file={})}, "messages[0].content[1].file.file_data", MISSING),
    ({"messages": part("file", file={"file_id": 5})}, "messages[0].content[1].file.file_id", TYPE),
    ({"messages": [{"role": "system", "content": part("image_url", image_url="x")[0]["content"]}]},
     "messages[0].content[1].type", VALUE),
    ({"messages": [*HI, {"role": "assistant"}]}, "messages[1].content", MISSING),
    ({"messages": [*HI, {"role": "assistant", "content": None, "tool_calls": []}]}, "messages[1].content", MISSING),
    ({"messages": [*HI, CALLED]}, "messages", None),
    ({"messages": [*HI, CALLED, *HI, ANSWERED]}, "messages", None),
    ({"messages": [*HI, ANSWERED]}, "messages[1].tool_call_id", VALUE),
    ({"messages": [*HI, CALLED, {**ANSWERED, "tool_call_id": "other"}]}, "messages[2].tool_call_id", VALUE),
    ({"messages": [*HI, CALLED, ANSWERED, ANSWERED]}, "messages[3].tool_call_id", VALUE),
    ({"messages": [*HI, {**CALLED, "tool_calls": [CALL, CALL]}]}, "messages[1].tool_calls[1].id", VALUE),
    ({"messages": [*HI, {**CALLED, "tool_calls": [{"id": "a", "type": "function"}]}]},
     "messages[1].tool_calls[0].function", MISSING),
    ({"messages": [*HI, {**CALLED, "tool_calls": [{"id": "a", "type": "retrieval"}]}]},
     "messages[1].tool_calls[0].type", VALUE),
    ({"model": 5}, "model", TYPE),
    ({"stream": "yes"}, "stream", TYPE),
    ({"stream_options": {"include_usage": True}}, "stream_options", None),
    ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage", TYPE),
    ({"max_tokens": 0}, "max_tokens", VALUE),
    ({"max_tokens": 1.5}, "max_tokens", TYPE),
    ({"max_tokens": 2**63}, "max_tokens", VALUE),
    ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", None),
    ({"temperature": 2.1}, "temperature", VALUE),
    ({"temperature": "hot"}, "temperature", TYPE),
    ({"top_p": -0.1}, "top_p", VALUE),
    ({"n": 0}, "n", VALUE),
    ({"n": 129}, "n", VALUE),
    ({"n": True}, "n", TYPE),
    ({"stop": ["a"] * 5}, "stop", VALUE),
    ({"stop": [5]}, "stop[0]", TYPE),
    ({"presence_penalty": 3}, "presence_penalty", VALUE),
    ({"logit_bias": {"1": 101}}, "logit_bias", VALUE),
    ({"logit_bias": {"1": "x"}}, "logit_bias", TYPE),
    ({"top_logprobs": 5}, "top_logprobs", None),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", VALUE),
    ({"seed": 2**64}, "seed", VALUE),
    ({"response_format": {}}, "response_format.type", MISSING),
    ({"response_format": {"type": "xml"}}, "response_format.type", VALUE),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", MISSING),
    ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.name", MISSING),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
     "response_format.json_schema.name", VALUE),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": []}}},
     "response_format.json_schema.schema", TYPE),
    ({"tools": [5]}, "tools[0]", TYPE),
    ({"tools": [{}]}, "tools[0].type", MISSING),
    ({"tools": [{"type": "web"}]}, "tools[0].type", VALUE),
    ({"tools": [{"type": ["function"]}]}, "tools[0].type", VALUE),
    ({"tools": [{"type": "function"}]}, "tools[0].function", MISSING),
    ({"tools": [{"type": "function", "function": "f"}]}, "tools[0].function", TYPE),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", MISSING),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name", VALUE),
    ({"tools": [{"type": "function", "function": {"name": "a\n"}}]}, "tools[0].function.name", VALUE),
    ({"tools": [{"type": "function", "function": {"name": "x" * 65}}]}, "tools[0].function.name", VALUE),
    ({"tools": [{"type": "function", "function": {"name": "a", "parameters": 5}}]},
     "tools[0].function.parameters", TYPE),
    ({"tools": [{"type": "custom", "custom": {"name": "a", "format": 5}}]}, "tools[0].custom.format", TYPE),
    ({"tools": [WEATHER, WEATHER]}, "tools[1]", VALUE),
    ({"tools": [{"type": "function", "function": {"name": f"f{i}"}} for i in range(129)]}, "tools", VALUE),
    ({"tool_choice": "required"}, "tool_choice", None),
    ({"tool_choice": "maybe"}, "tool_choice", VALUE),
    ({"tools": [WEATHER], "tool_choice": {}}, "tool_choice.type", MISSING),
    ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "time"}}}, "tool_choice", VALUE),
    ({"tools": [WEATHER], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools", MISSING),
    ({"tools": [WEATHER], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "x"}}},
     "tool_choice.allowed_tools.mode", VALUE),
    ({"tools": [WEATHER], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}},
     "tool_choice.allowed_tools.tools", MISSING),
    ({"metadata": {"a": 5}}, "metadata", TYPE),
    ({"metadata": {str(i): "" for i in range(17)}}, "metadata", VALUE),
    ({"metadata": {"k" * 65: "v"}}, "metadata", VALUE),
    ({"metadata": {"k": "v" * 513}}, "metadata.k", VALUE),
    ({"functions": [{"name": "a b"}]}, "functions[0].name", VALUE),
    ({"functions": [{"name": "a"}], "tools": [WEATHER]}, "functions", None),
    ({"functions": [{"name": "a"}], "function_call": {}}, "function_call.name", MISSING),
    ({"functions": [{"name": "a"}], "function_call": {"name": "b"}}, "function_call", VALUE),
    ({"functions": [{"name": "a"}], "function_call": "always"}, "function_call", VALUE),
    ({"messages": [*HI, {"role": "function", "name": "a", "content": "x"}]}, "messages[1].role", VALUE),
]  # fmt: skip


@pytest.mark.parametrize(("body", "param", "code"), WRONG, ids=lambda value: str(value)[:60])
def test_what_is_wrong_is_named(body: dict[str, Any], param: str, code: str | None) -> None:
    assert refusal(json.dumps({"model": "m", "messages": HI, **body}).encode()) == (param, code)


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(BadRequest) as caught:
        read(tool_choice="x" * 10_000)
    assert len(caught.value.message) < 200


def test_a_value_that_looks_like_a_place_does_not_fool_the_reader() -> None:
    with pytest.raises(BadRequest) as caught:
        read(tool_choice="x - at `$.model`")
    assert caught.value.param == "tool_choice"


def test_defaults_are_never_refused() -> None:
    read(n=1, tools=[], presence_penalty=0, tool_choice="auto", response_format={"type": "text"}, stop=[])


def test_many_brackets_alone_are_not_depth() -> None:
    assert len(read(messages=HI * 300).messages) == 300
    deepest: dict[str, Any] = {}
    for _ in range(100):
        deepest = {"x": deepest}
    assert read(extension=deepest).raw["extension"] == deepest


# --- the old way to call functions --------------------------------------------------------------------------------


def test_functions_become_tools_and_the_old_shape_is_remembered() -> None:
    asked = parse(
        json.dumps({"messages": HI, "functions": [{"name": "weather"}], "function_call": {"name": "weather"}}).encode()
    )
    assert asked.legacy
    assert asked.prompt.tools == [{"type": "function", "function": {"name": "weather"}}]
    assert asked.prompt.tool_choice == {"type": "function", "function": {"name": "weather"}}
    assert asked.prompt.parallel_tool_calls is False
    assert asked.prompt.functions is None
    assert "functions" not in asked.prompt.raw
    assert "function_call" not in asked.prompt.raw
    assert asked.prompt.raw["tools"] == asked.prompt.tools


def test_an_old_conversation_is_told_in_todays_words() -> None:
    prompt = read(
        messages=[
            *HI,
            {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{}"}},
            {"role": "function", "name": "weather", "content": "14 C"},
        ],
    )
    called, answered = prompt.messages[1:]
    assert isinstance(called, Assistant)
    assert isinstance(answered, Tool)
    assert called.tool_calls is not None
    assert called.tool_calls[0].id == answered.tool_call_id
    assert answered.content == "14 C"
    assert prompt.raw["messages"][2] == {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "14 C"}


# --- whatever comes -----------------------------------------------------------------------------------------------

MEMBERS = (
    *("type", "role", "content", "text", "function", "custom", "name", "arguments", "id", "file", "image_url"),
    *("tool_call_id", "input_audio", "json_schema", "mode", "allowed_tools", ""),
)
NAMES = st.sampled_from([*Prompt.__struct_fields__, *MEMBERS])
WORDS = st.text(max_size=5) | st.sampled_from(
    ["user", "assistant", "tool", "system", "auto", "required", *MEMBERS],
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)
ROLES = st.sampled_from(["user", "assistant", "tool", "function", "system", "developer"])
MESSAGES = st.lists(
    st.builds(lambda role, rest: {"role": role, "content": "x", **rest}, ROLES, st.dictionaries(NAMES, VALUES)),
    min_size=1,
    max_size=3,
)
BODIES = st.builds(
    lambda messages, rest: {"messages": messages, **rest}, MESSAGES, st.dictionaries(NAMES, VALUES, max_size=6)
)


@given(BODIES | VALUES)
@settings(max_examples=400, deadline=None)
def test_any_json_is_read_or_refused_and_what_is_read_can_be_written_again(body: Any) -> None:
    try:
        asked = parse(json.dumps(body).encode("utf-8", "replace"))
    except BadRequest as refused:
        assert refused.message
    else:
        msgspec.json.encode(asked.prompt.raw)
        msgspec.json.encode(asked.prompt)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(body)
