"""What is asked of the Messages API: each row of `anthropic.md` section 4, and the traps of section 5."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from parley import errors
from parley.chat.prompt import Prompt
from parley.dialects.anthropic import Question, Rules, encode
from parley.dialects.anthropic.abilities import Abilities, abilities_of
from parley.dialects.anthropic.schemas import strict

OLD, MIDDLE, NEW = "claude-3-5-sonnet-20241022", "claude-demo-4-5", "claude-opus-4-7"
HELLO = {"role": "user", "content": "Hello"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather by town",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()


def prompt(messages: list[Any] | None = None, **fields: Any) -> Prompt:
    """A request as the gateway's wire parses it."""
    raw = {"model": MIDDLE, "messages": messages or [HELLO], **fields}
    made = msgspec.convert(raw, Prompt)
    made.raw = raw
    return made


def question(messages: list[Any] | None = None, rules: Rules = Rules(), **fields: Any) -> Question:  # noqa: B008 - frozen
    return encode(prompt(messages, **fields), rules)


def asked(messages: list[Any] | None = None, rules: Rules = Rules(), **fields: Any) -> dict[str, Any]:  # noqa: B008
    body: dict[str, Any] = json.loads(question(messages, rules, **fields).body)
    return body


def refused(messages: list[Any] | None = None, rules: Rules = Rules(), **fields: Any) -> errors.Refusal:  # noqa: B008
    with pytest.raises(errors.Refusal) as caught:
        encode(prompt(messages, **fields), rules)
    assert caught.value.status == 400
    return caught.value


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def call(name: str = "get_weather", arguments: str = '{"town":"Basel"}', called: str = "call_1") -> dict[str, Any]:
    return {"id": called, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls or (call(),)), **more}


def result(words: str = "14 C", called: str = "call_1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": called, "content": words}


# --- parameters ---------------------------------------------------------------------------------------------------


def test_a_plain_question():
    assert asked() == {
        "model": MIDDLE,
        "stream": True,
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": [text("Hello")]}],
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 6}, {"max_tokens": 6}),
        ({"temperature": 0.2}, {"temperature": 0.2}),
        ({"temperature": 1.7}, {"temperature": 1.0}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"temperature": 0.2, "top_p": 0.5}, {"temperature": 0.2}),
        ({"temperature": 0.2, "top_p": 0.5, "model": OLD}, {"temperature": 0.2, "top_p": 0.5, "max_tokens": 8192}),
        ({"temperature": 0.2, "top_p": 0.5, "top_k": 3, "model": NEW}, {}),
        ({"top_k": 3}, {"top_k": 3}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["\n", "a", " ", ""]}, {"stop_sequences": ["a"]}),
        ({"stop": "\n\n"}, {}),
        ({"user": "u-42"}, {"metadata": {"user_id": "u-42"}}),
        ({"user": "u", "safety_identifier": "s" * 300}, {"metadata": {"user_id": "s" * 256}}),
        ({"cache_control": {"type": "ephemeral"}}, {"cache_control": {"type": "ephemeral"}}),
        ({"n": 1, "logprobs": False, "tools": [], "modalities": ["text"]}, {}),
        (
            {
                "frequency_penalty": 1,
                "presence_penalty": 1,
                "seed": 4,
                "logit_bias": {"5": 1},
                "store": True,
                "metadata": {"a": "b"},
                "verbosity": "low",
                "service_tier": "flex",
                "prompt_cache_key": "k",
                "whatever": 1,
            },
            {},
        ),
    ],
)
def test_parameters_are_told_as_the_api_knows_them(fields: dict[str, Any], expected: dict[str, Any]):
    plain = asked()
    told = asked(**fields)
    for body in (plain, told):
        body.pop("model")
    assert told == {**plain, **expected}


def test_the_longest_answer_comes_from_the_configuration_or_the_models_generation():
    assert asked(rules=Rules(max_tokens=100))["max_tokens"] == 100
    assert asked(rules=Rules(max_tokens=100), max_tokens=7)["max_tokens"] == 7
    assert asked(model="claude-3-haiku-20240307")["max_tokens"] == 4096
    assert asked(model="glm-4.6")["max_tokens"] == 4096


def test_sampling_is_kept_or_dropped_by_configuration():
    assert "temperature" not in asked(rules=Rules(sampling=False), temperature=0.2, model=OLD)
    assert asked(rules=Rules(sampling=True), temperature=0.2, model=NEW)["temperature"] == 0.2


def test_what_cannot_be_honoured_is_refused():
    assert refused(prediction={"type": "content", "content": "x"}).param == "prediction"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude-3-opus-20240229", Abilities("free", "none", longest=4096)),
        ("claude-3-5-sonnet-latest", Abilities("free", "none", longest=8192)),
        ("claude-3-7-sonnet-20250219", Abilities("free", "budget", longest=32_000)),
        ("claude-sonnet-4-20250514", Abilities("free", "budget", longest=32_000)),
        ("claude-opus-4-1-20250805", Abilities("one", "budget", schemas=True, longest=32_000)),
        ("anthropic/claude-sonnet-4.5", Abilities("one", "budget", schemas=True, longest=32_000)),
        ("claude-opus-4-6", Abilities("one", "adaptive", schemas=True, longest=32_000)),
        ("claude-opus-4-7", Abilities("none", "adaptive", schemas=True, xhigh=True, longest=32_000)),
        ("claude-fable-5", Abilities("none", "adaptive", schemas=True, xhigh=True, longest=32_000)),
        ("claude-mythos-preview", Abilities("none", "adaptive", schemas=True, xhigh=True, longest=32_000)),
        ("kimi-k2", Abilities()),
    ],
)
def test_what_a_model_can_do_is_in_its_name(name: str, expected: Abilities):
    assert abilities_of(name) == expected


# --- thinking -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effort", "budget"),
    [("minimal", 1024), ("low", 1024), ("medium", 4096), ("high", 16_384), ("xhigh", 24_576), ("max", 30_720)],
)
def test_effort_is_a_budget_and_leaves_room_for_an_answer(effort: str, budget: int):
    body = asked(reasoning_effort=effort, temperature=0.3, top_p=0.5)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert body["max_tokens"] == 32_000
    assert not body.keys() & {"temperature", "top_p"}, "a thinking model takes no other temperature"
    assert asked(reasoning_effort=effort, rules=Rules(max_tokens=500))["max_tokens"] == budget + 1024


def test_a_callers_limit_bounds_the_thoughts():
    body = asked(reasoning_effort="high", max_tokens=4000)
    assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == (4000, 3000)
    assert "thinking" not in asked(reasoning_effort="high", max_tokens=1300), "no room for both"


def test_newer_models_think_as_they_see_fit():
    body = asked(reasoning_effort="medium", model="claude-opus-4-6")
    assert (body["thinking"], body["output_config"]) == ({"type": "adaptive"}, {"effort": "medium"})
    assert asked(reasoning_effort="minimal", model=NEW)["output_config"] == {"effort": "low"}
    assert asked(reasoning_effort="xhigh", model=NEW)["output_config"] == {"effort": "xhigh"}
    assert asked(reasoning_effort="xhigh", model="claude-opus-4-6")["output_config"] == {"effort": "high"}


def test_thinking_is_switched_off_where_it_is_not_wanted_or_not_known():
    assert asked(reasoning_effort="none")["thinking"] == {"type": "disabled"}
    assert asked(reasoning_effort="none", temperature=0.3)["temperature"] == 0.3
    assert not asked(reasoning_effort="high", model=OLD).keys() & {"thinking", "output_config"}
    assert refused(reasoning_effort="furious").param == "reasoning_effort"


def test_a_caller_may_say_it_in_the_apis_own_words():
    wish = {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}
    assert asked(thinking=wish)["thinking"] == wish
    assert asked(thinking=wish, max_tokens=2000)["thinking"] == {**wish, "budget_tokens": 1500}
    assert asked(thinking={"type": "adaptive"}, reasoning_effort="low")["thinking"] == {"type": "adaptive"}
    assert refused(thinking={"type": "enabled"}).param == "thinking.budget_tokens"


def test_a_tool_that_must_be_called_leaves_no_room_for_thoughts():
    body = asked(reasoning_effort="high", tools=[WEATHER], tool_choice="required", temperature=0.5)
    assert "thinking" not in body
    assert body["temperature"] == 0.5
    newer = asked(reasoning_effort="high", tools=[WEATHER], tool_choice="required", model=NEW)
    assert "thinking" not in newer
    assert newer["output_config"] == {"effort": "high"}


THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "EqQB"}
REDACTED = {"type": "redacted_thinking", "data": "EmwK"}


def test_signed_thoughts_go_back_before_the_words_and_calls_they_led_to():
    kept = [{"index": 0, **REDACTED}, {"index": 1, **THOUGHT}]
    body = asked(
        [HELLO, calling(content="Let me look.", thinking_blocks=kept, reasoning_content="hm"), result()],
        tools=[WEATHER],
        reasoning_effort="low",
    )
    used = {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"town": "Basel"}}
    assert body["messages"][1]["content"] == [REDACTED, THOUGHT, text("Let me look."), used]
    assert body["thinking"]["type"] == "enabled"


@pytest.mark.parametrize("model", [MIDDLE, NEW])
def test_a_round_of_tools_without_its_thoughts_goes_on_without(model: str):
    body = asked(
        [HELLO, calling(reasoning_content="hm"), result()], tools=[WEATHER], reasoning_effort="low", model=model
    )
    assert "thinking" not in body
    later = [HELLO, calling(), result(), {"role": "assistant", "content": "14."}, {"role": "user", "content": "And?"}]
    assert "thinking" in asked(later, tools=[WEATHER], reasoning_effort="low", model=model), "that round is over"


def test_a_round_of_several_calls_needs_the_thoughts_of_each():
    first = [HELLO, calling(thinking_blocks=[THOUGHT]), result()]
    both = [*first, calling(call(called="call_2"), thinking_blocks=[THOUGHT]), result(called="call_2")]
    one = [*first, calling(call(called="call_2")), result(called="call_2")]
    assert "thinking" in asked(both, tools=[WEATHER], reasoning_effort="low")
    assert "thinking" not in asked(one, tools=[WEATHER], reasoning_effort="low")


@pytest.mark.parametrize(
    "kept", ["x", [1], [{"type": "text"}], [{"type": "thinking", "thinking": "hm"}], {"type": "x"}]
)
def test_thoughts_that_were_changed_are_refused(kept: Any):
    failure = refused([HELLO, calling(thinking_blocks=kept), result()], tools=[WEATHER])
    assert failure.param == "messages[1].thinking_blocks[0]"


def test_a_prefill_is_not_thought_about():
    assert "thinking" not in asked([HELLO, {"role": "assistant", "content": "I"}], reasoning_effort="low")


# --- messages -----------------------------------------------------------------------------------------------------


def turns(*messages: Any, **fields: Any) -> list[Any]:
    told: list[Any] = asked(list(messages), **fields)["messages"]
    return told


def test_instructions_stand_apart_and_in_order():
    messages = [
        {"role": "system", "content": "One."},
        {"role": "developer", "content": [text("Two."), text(" ")]},
        HELLO,
        {"role": "assistant", "content": "Hi."},
        {"role": "system", "content": "Three."},
        {"role": "user", "content": "Go on."},
    ]
    body = asked(messages)
    assert body["system"] == "One.\n\nTwo.\n\nThree."
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    stays = asked(messages, rules=Rules(hoist=False))
    assert stays["system"] == "One.\n\nTwo."
    assert stays["messages"][2]["content"] == [text("Three."), text("Go on.")]


def test_adjacent_turns_of_one_role_become_one():
    told = turns(HELLO, HELLO, {"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}, HELLO)
    assert told == [
        {"role": "user", "content": [text("Hello"), text("Hello")]},
        {"role": "assistant", "content": [text("a"), text("b")]},
        {"role": "user", "content": [text("Hello")]},
    ]


def test_results_of_tools_come_first_in_one_turn_with_what_the_user_says_next():
    told = turns(
        HELLO,
        calling(call(called="a"), call(called="b")),
        result("1", "b"),
        {**result("", "a"), "content": [text("2"), text("3")]},
        {"role": "user", "content": "Well?"},
        tools=[WEATHER],
    )
    assert [turn["role"] for turn in told] == ["user", "assistant", "user"]
    assert told[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "b", "content": "1"},
        {"type": "tool_result", "tool_use_id": "a", "content": "23"},
        text("Well?"),
    ]


def test_blank_texts_are_left_out_even_of_history():
    told = turns(HELLO, calling(content=""), result(), {"role": "assistant", "content": " "}, HELLO, tools=[WEATHER])
    assert [block["type"] for turn in told for block in turn["content"]] == ["text", "tool_use", "tool_result", "text"]
    for nothing in ("", " \n", [], [text("")]):
        failure = refused([HELLO, {"role": "assistant", "content": "a"}, {"role": "user", "content": nothing}])
        assert failure.param == "messages[2].content"


def test_what_an_assistant_declined_is_told_as_its_words():
    declined = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    assert turns(HELLO, declined, HELLO)[1]["content"] == [text("No.")]
    assert turns(HELLO, {"role": "assistant", "refusal": "No."}, HELLO)[1]["content"] == [text("No.")]


def test_ids_are_made_such_as_the_api_takes_each_used_once():
    told = turns(
        HELLO,
        calling(call(called="functions.f:0"), call(called="functions_f_0")),
        result("1", "functions_f_0"),
        result("2", "functions.f:0"),
        calling(call(called="functions.f:0")),
        result("3", "functions.f:0"),
        tools=[WEATHER],
    )
    assert [block["id"] for turn in told[1::2] for block in turn["content"]] == [
        "functions_f_0",
        "functions_f_0_2",
        "functions_f_0_3",
    ]
    results = [(block["tool_use_id"], block["content"]) for turn in told[2::2] for block in turn["content"]]
    assert results == [("functions_f_0_2", "1"), ("functions_f_0", "2"), ("functions_f_0_3", "3")]


@pytest.mark.parametrize(("arguments", "told"), [("", {}), (" ", {}), ("{}", {}), ('{"a": {"b": [1.5, "汉"]}}', None)])
def test_arguments_are_told_as_objects(arguments: str, told: Any):
    block = turns(HELLO, calling(call(arguments=arguments)), result(), tools=[WEATHER])[1]["content"][0]
    assert block["input"] == (json.loads(arguments) if told is None else told)


@pytest.mark.parametrize("arguments", ["{", "[]", "1", '"a"', "null", '{"a":1}x'])
def test_arguments_that_are_no_object_are_refused(arguments: str):
    failure = refused([HELLO, calling(call(called="a"), call(arguments=arguments)), result(), result(called="a")])
    assert failure.param == "messages[1].tool_calls[1].function.arguments"


def test_the_last_words_of_an_assistant_end_without_a_blank():
    assert turns(HELLO, {"role": "assistant", "content": "So, \n"})[-1]["content"] == [text("So,")]
    assert turns(HELLO, {"role": "assistant", "content": " "}) == [{"role": "user", "content": [text("Hello")]}]
    thoughtful = {"role": "assistant", "content": "", "thinking_blocks": [THOUGHT]}
    assert turns(HELLO, thoughtful) == [{"role": "user", "content": [text("Hello")]}]


def test_a_conversation_that_begins_with_the_assistant_gets_an_opening_or_is_refused():
    greeting = {"role": "assistant", "content": "How can I help?"}
    told = turns({"role": "system", "content": "x"}, greeting, HELLO, rules=Rules(opening="(Begin.)"))
    assert told[0] == {"role": "user", "content": [text("(Begin.)")]}
    assert [turn["role"] for turn in told] == ["user", "assistant", "user"]
    assert refused([greeting, HELLO]).param == "messages[0].role"


def test_instructions_alone_are_no_question():
    assert refused([{"role": "system", "content": "Speak."}]).param == "messages"


def test_custom_calls_of_the_history_are_refused():
    custom = {"id": "c", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
    assert refused([HELLO, calling(custom), result(called="c")]).param == "messages[1].tool_calls[0].custom"


def test_marks_for_the_cache_stay_where_they_are():
    mark = {"cache_control": {"type": "ephemeral"}}
    body = asked(
        [
            {"role": "system", "content": [text("a"), {**text("b"), **mark}]},
            {"role": "user", "content": [{**text("c"), **mark}, text("d")]},
            calling(),
            {**result(), "content": [{**text("e"), **mark}]},
        ],
        tools=[{**WEATHER, **mark}],
    )
    assert body["system"] == [text("a"), {**text("b"), **mark}]
    assert body["messages"][0]["content"] == [{**text("c"), **mark}, text("d")]
    assert body["messages"][2]["content"][0]["cache_control"] == mark["cache_control"]
    assert body["tools"][0]["cache_control"] == mark["cache_control"]


def test_a_prompt_that_did_not_come_over_the_wire_is_told_as_well():
    made = msgspec.convert({"messages": [HELLO], "model": MIDDLE}, Prompt)
    assert json.loads(encode(made, Rules()).body) == asked()


# --- images and files ---------------------------------------------------------------------------------------------


def picture(url: Any) -> list[Any]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": url}, text("What is it?")]}]


@pytest.mark.parametrize(
    ("url", "source"),
    [
        (f"data:image/png;base64,{PNG}", {"type": "base64", "media_type": "image/png", "data": PNG}),
        (f"data:image/jpg;base64,{PNG}", {"type": "base64", "media_type": "image/png", "data": PNG}),
        (f"data:;base64,{PNG}", {"type": "base64", "media_type": "image/png", "data": PNG}),
        ("DATA:image/GIF;x=1;BASE64,R0lGODlh", {"type": "base64", "media_type": "image/gif", "data": "R0lGODlh"}),
        ("data:image/webp,RIFF%00", {"type": "base64", "media_type": "image/webp", "data": "UklGRgA="}),
        ("https://a.example/b.png", {"type": "url", "url": "https://a.example/b.png"}),
    ],
)
def test_images(url: str, source: dict[str, str]):
    for said in (url, {"url": url, "detail": "low"}):
        assert turns(*picture(said))[0]["content"][0] == {"type": "image", "source": source}


@pytest.mark.parametrize(
    "url",
    ["http://a.example/b.png", "data:image/png;base64,", "data:image/bmp;base64,Qk0=", "ftp://x", "", "iVBORw0KGgo="],
)
def test_images_that_the_api_does_not_take_are_refused(url: str):
    assert refused(picture({"url": url})).param == "messages[0].content[0].image_url.url"


def paper(**file: Any) -> list[Any]:
    return [{"role": "user", "content": [{"type": "file", "file": file}]}]


def test_documents():
    pdf = base64.b64encode(b"%PDF-1.7\n").decode()
    source = {"type": "base64", "media_type": "application/pdf", "data": pdf}
    told = turns(*paper(file_data=f"data:application/pdf;base64,{pdf}", filename="a.pdf"))
    assert told[0]["content"] == [{"type": "document", "source": source, "title": "a.pdf"}]
    assert turns(*paper(file_data=pdf))[0]["content"] == [{"type": "document", "source": source}]
    words = base64.b64encode("Grüße".encode()).decode()
    told = turns(*paper(file_data=f"data:text/plain;base64,{words}"))
    assert told[0]["content"][0]["source"] == {"type": "text", "media_type": "text/plain", "data": "Grüße"}


def test_documents_that_the_api_does_not_take_are_refused():
    assert refused(paper(file_id="file-1")).param == "messages[0].content[0].file.file_id"
    for data in ("data:text/plain;base64,/w==", "data:text/plain;base64,!", "data:audio/wav;base64,AAAA", "x"):
        assert refused(paper(file_data=data)).param == "messages[0].content[0].file.file_data"


# --- tools --------------------------------------------------------------------------------------------------------

TOLD = {"name": "get_weather", "description": "Weather by town", "input_schema": WEATHER["function"]["parameters"]}


def test_tools_are_told_with_a_schema_of_an_object():
    bare: dict[str, Any] = {"type": "function", "function": {"name": "now"}}
    half = {"type": "function", "function": {"name": "half", "parameters": {"properties": {}}}}
    assert asked(tools=[WEATHER, bare, half])["tools"] == [
        TOLD,
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        {"name": "half", "input_schema": {"type": "object", "properties": {}}},
    ]


def test_strict_tools_are_strict_where_the_model_knows_it_and_the_schema_can_be_said():
    def tool(schema: dict[str, Any]) -> list[Any]:
        return [{"type": "function", "function": {"name": "f", "strict": True, "parameters": schema}}]

    closed = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}
    told = asked(tools=tool(closed))["tools"][0]
    assert told["strict"] is True
    assert told["input_schema"]["additionalProperties"] is False
    assert told["input_schema"]["properties"]["a"] == {"type": "integer", "description": '{"minimum":1}'}
    assert asked(tools=tool(closed), model=OLD)["tools"] == [{"name": "f", "input_schema": closed}]
    free = {"type": "object", "properties": {"a": {}}}
    assert asked(tools=tool(free))["tools"] == [{"name": "f", "input_schema": free}]


@pytest.mark.parametrize(
    ("choice", "parallel", "told"),
    [
        (None, None, None),
        ("auto", True, None),
        ("auto", False, {"type": "auto", "disable_parallel_tool_use": True}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", None, {"type": "any"}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        ({"type": "function", "function": {"name": "get_weather"}}, None, {"type": "tool", "name": "get_weather"}),
    ],
)
def test_how_tools_may_be_chosen(choice: Any, parallel: bool | None, told: Any):
    fields = {"tool_choice": choice, "parallel_tool_calls": parallel}
    body = asked(tools=[WEATHER], **{name: value for name, value in fields.items() if value is not None})
    assert body.get("tool_choice") == told
    assert body["tools"] == [TOLD]


def test_of_allowed_tools_only_those_are_told():
    other = {"type": "function", "function": {"name": "other"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "get_weather"}}]}
    body = asked(tools=[other, WEATHER], tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert (body["tools"], body["tool_choice"]) == ([TOLD], {"type": "any"})


def test_a_history_with_calls_gets_its_tools_for_nobodys_use():
    body = asked(
        [
            HELLO,
            calling(call("f"), call("g", called="b"), call("f", called="c")),
            *map(result, "xyz", ("call_1", "b", "c")),
        ]
    )
    assert [tool["name"] for tool in body["tools"]] == ["f", "g"]
    assert body["tool_choice"] == {"type": "none"}


# --- how the answer should look -----------------------------------------------------------------------------------

TOWN = {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}


def shaped(schema: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    named = {"name": "town", **({"schema": schema} if schema is not None else {}), **more}
    return {"type": "json_schema", "json_schema": named}


def test_a_schema_is_told_to_models_that_keep_to_one():
    told = question(response_format=shaped(TOWN))
    body = json.loads(told.body)
    assert body["output_config"] == {
        "format": {"type": "json_schema", "schema": {**TOWN, "additionalProperties": False}}
    }
    assert told.answer_tool is None
    both = asked(response_format=shaped(TOWN), reasoning_effort="low", model=NEW)
    assert both["output_config"].keys() == {"format", "effort"}


def test_older_models_answer_with_the_input_of_a_tool():
    told = question(response_format=shaped(TOWN, description="A town."), model=OLD)
    body = json.loads(told.body)
    assert told.answer_tool == "answer"
    assert body["tools"] == [{"name": "answer", "description": "A town.", "input_schema": TOWN}]
    assert body["tool_choice"] == {"type": "tool", "name": "answer", "disable_parallel_tool_use": True}
    assert refused(response_format=shaped({"type": "array"}), model=OLD).param == "response_format.json_schema.schema"


def test_beside_other_tools_the_answer_is_one_more():
    mine = {"type": "function", "function": {"name": "answer"}}
    told = question(response_format=shaped(TOWN), tools=[mine], model=OLD)
    body = json.loads(told.body)
    assert told.answer_tool == "answer_"
    assert [tool["name"] for tool in body["tools"]] == ["answer", "answer_"]
    assert body["tool_choice"] == {"type": "any"}
    forced = question(response_format=shaped(TOWN), tools=[mine], tool_choice="required", model=OLD)
    assert forced.answer_tool is None
    forbidden = question(response_format=shaped(TOWN), tools=[mine], tool_choice="none", model=OLD)
    assert json.loads(forbidden.body)["tool_choice"]["name"] == forbidden.answer_tool == "answer_"


def test_an_open_schema_goes_the_old_way_with_any_model():
    told = question(response_format=shaped({"type": "object", "additionalProperties": {"type": "integer"}}))
    assert told.answer_tool == "answer"
    assert "output_config" not in json.loads(told.body)


def test_without_a_schema_the_model_is_asked_for_an_object():
    for wish in ({"type": "json_object"}, shaped(None)):
        body = asked([{"role": "system", "content": "Be brief."}, HELLO], response_format=wish)
        assert body["system"].startswith("Be brief.\n\nAnswer with one valid JSON object")
        assert "output_config" not in body


CLOSED = {"additionalProperties": False}
OBJECT = {"type": "object", **CLOSED}
NULLS = {"type": "array", "items": {"type": "null"}, "minItems": 1}
REFERRED = {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        (
            {"type": "string", "format": "phone", "maxLength": 5, "description": "Call."},
            {"type": "string", "description": 'Call.\n\n{"format":"phone","maxLength":5}'},
        ),
        (NULLS, NULLS),
        ({"type": "array", "minItems": 2}, {"type": "array", "description": '{"minItems":2}'}),
        ({"oneOf": [{"const": 1}, {"enum": ["a"]}]}, {"anyOf": [{"const": 1}, {"enum": ["a"]}]}),
        ({"properties": {}}, {"properties": {}, **OBJECT}),
        ({"properties": {}, **OBJECT, "strict": True}, {"properties": {}, **OBJECT}),
        ({"type": "object", **CLOSED}, {"type": "object", **CLOSED}),
        (REFERRED, {**REFERRED, **OBJECT}),
        (
            {"properties": {"description": {"type": "null"}}},
            {"properties": {"description": {"type": "null"}}, **OBJECT},
        ),
        # what would lose its shape
        ({}, None),
        ({"type": "object"}, None),
        ({"type": "object", "additionalProperties": True}, None),
        ({"type": "object", "properties": {"a": {}}}, None),
        ({"type": "object", "properties": {"a": True}}, None),
        ({"type": "array", "items": True}, None),
        ({"type": "object", "patternProperties": {"^a": {}}}, None),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, None),
        ({"type": "object", "properties": {"a": {"$ref": "other.json"}}}, None),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/A"}}}}, None),
        ({"anyOf": [{"type": "null"}], "oneOf": [{"type": "null"}]}, None),
    ],
)
def test_schemas_are_closed_and_their_bounds_told_in_words(schema: dict[str, Any], told: Any):
    assert strict(schema) == told
