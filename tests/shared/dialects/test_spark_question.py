"""What iFlytek Spark is asked, over a socket and over HTTP."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from parley import errors
from parley.chat.prompt import Prompt
from parley.dialects.spark import http
from parley.dialects.spark.pictures import Picture, picture_of
from parley.dialects.spark.question import encode, most_tokens
from parley.dialects.spark.versions import VERSIONS

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "by town",
        "strict": True,
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
    },
}
BARE = {"type": "function", "function": {"name": "now"}}
PIXEL = "iVBORw0KGgo="


def prompt(*messages: Any, **more: Any) -> Prompt:
    told = [{"role": "user", "content": message} if isinstance(message, str) else message for message in messages]
    raw = {"messages": told, **more}
    made = msgspec.convert(raw, Prompt)
    made.raw = raw
    return made


def asked(*messages: Any, model: str = "generalv3.5", **more: Any) -> dict[str, Any]:
    version = VERSIONS[model]
    made = prompt(*messages, **more)
    picture = picture_of(made.messages, version)
    frame: dict[str, Any] = json.loads(encode(made, version, "app", image=picture.base64 if picture else None))
    return frame


def texts(*messages: Any, model: str = "generalv3.5", **more: Any) -> list[tuple[str, str]]:
    told = asked(*messages, model=model, **more)["payload"]["message"]["text"]
    return [(text["role"], text["content"]) for text in told]


def chat(model: str = "generalv3.5", **more: Any) -> dict[str, Any]:
    told = asked("hi", model=model, **more)["parameter"]["chat"]
    assert told.pop("domain") == VERSIONS[model].domain
    return dict(told)


SYSTEM = {"role": "system", "content": "Be brief."}
DEVELOPER = {"role": "developer", "content": "Be kind."}
HELLO = {"role": "assistant", "content": "Hello!"}


# --- the frame ----------------------------------------------------------------------------------------------------


def test_the_frame_of_the_page() -> None:
    frame = asked(
        SYSTEM, "你好", HELLO, "天气?", temperature=0.5, top_k=4, max_tokens=2048, user="u-42", tools=[WEATHER]
    )
    assert frame == {
        "header": {"app_id": "app", "uid": "u-42"},
        "parameter": {"chat": {"domain": "generalv3.5", "temperature": 0.5, "top_k": 4, "max_tokens": 2048}},
        "payload": {
            "message": {
                "text": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "你好"},
                    {"role": "assistant", "content": "Hello!"},
                    {"role": "user", "content": "天气?"},
                ]
            },
            "functions": {
                "text": [
                    {
                        "name": "get_weather",
                        "description": "by town",
                        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
                    }
                ]
            },
        },
    }


def test_a_plain_question_says_no_more_than_it_must() -> None:
    assert asked("hi", n=1, stop=["x"], seed=1, logit_bias={"1": 1}, store=True, metadata={"a": "b"}) == {
        "header": {"app_id": "app"},
        "parameter": {"chat": {"domain": "generalv3.5", "max_tokens": 8192}},
        "payload": {"message": {"text": [{"role": "user", "content": "hi"}]}},
    }


# --- who says what ------------------------------------------------------------------------------------------------


def test_instructions_come_first_where_the_version_has_a_role_for_them() -> None:
    assert texts("hi", SYSTEM, DEVELOPER) == [("system", "Be brief.\n\nBe kind."), ("user", "hi")]


@pytest.mark.parametrize("model", ["lite", "general", "generalv2", "kjwx", "x1"])
def test_older_versions_are_told_instructions_by_the_first_user(model: str) -> None:
    said = texts(SYSTEM, "hi", HELLO, "and?", model=model)
    assert said == [("user", "Be brief.\n\nhi"), ("assistant", "Hello!"), ("user", "and?")]


def test_neighbours_are_merged_and_wordless_messages_left_out() -> None:
    silent = {"role": "assistant", "content": " "}
    parts = {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]}
    assert texts("a", silent, parts) == [("user", "a\nbc")]
    assert texts("a", HELLO, HELLO, "b")[1] == ("assistant", "Hello!\nHello!")


def test_calls_and_their_results_are_told_in_words() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"town":"Basel"}'}}
    said = texts(
        "Weather?",
        {"role": "assistant", "content": None, "tool_calls": [call, {**call, "id": "c2"}]},
        {"role": "tool", "tool_call_id": "c1", "content": "14 C"},
        {"role": "tool", "tool_call_id": "c2", "content": "15 C"},
        model="lite",
    )
    told = '[get_weather] {"town":"Basel"}'
    assert said[1:] == [("assistant", f"{told}\n{told}"), ("user", "[get_weather] 14 C\n[get_weather] 15 C")]


def test_what_an_assistant_declined_is_told() -> None:
    declined = {"role": "assistant", "content": None, "refusal": "No."}
    assert texts("a", declined, "b") == [("user", "a"), ("assistant", "No."), ("user", "b")]


@pytest.mark.parametrize("messages", [("",), ("a", HELLO), (SYSTEM,), (HELLO,)])
def test_somebody_has_to_ask(messages: Any) -> None:
    with pytest.raises(errors.BadRequest) as refused:
        asked(*messages)
    assert refused.value.param == "messages"


# --- knobs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "given", "sent"),
    [
        ("generalv3.5", 0, 0.01),
        ("generalv3.5", 0.5, 0.5),
        ("generalv3.5", 1.6, 1),
        ("x1", 0, 0.01),
        ("x1", 1.6, 1.6),
    ],
)
def test_temperature_is_cut_to_the_versions_scale(model: str, given: float, sent: float) -> None:
    assert chat(model, temperature=given)["temperature"] == sent


def test_temperature_can_be_halved_as_the_replaced_project_did() -> None:
    def halved(given: float, model: str = "lite") -> float:
        made = encode(prompt("hi", temperature=given), VERSIONS[model], "app", temperature="halve")
        return float(json.loads(made)["parameter"]["chat"]["temperature"])

    assert [halved(given) for given in (0, 1, 2)] == [0.01, 0.5, 1]
    assert halved(1, "x1") == 1, "its scale is OpenAI's"


@pytest.mark.parametrize(
    ("model", "given", "sent"),
    [("lite", None, 4096), ("lite", 9999, 4096), ("pro-128k", 5000, 4096), ("4.0Ultra", 10, 10), ("x1", None, 32768)],
)
def test_tokens_are_bounded_by_the_version(model: str, given: int | None, sent: int) -> None:
    more = {} if given is None else {"max_completion_tokens": given}
    assert chat(model, **more)["max_tokens"] == sent
    assert most_tokens(prompt("hi", **more), VERSIONS[model]) == sent


def test_only_the_version_that_thinks_takes_more_knobs() -> None:
    knobs: dict[str, Any] = {"top_p": 0.5, "presence_penalty": 1, "frequency_penalty": -1}
    assert chat(**knobs) == {"max_tokens": 8192}
    assert chat("x1", **knobs) == {"max_tokens": 32768, **knobs}


@pytest.mark.parametrize(("given", "sent"), [(0, 1), (4, 4), (40, 6), ("4", None), (True, None)])
def test_top_k_is_the_services_own_knob(given: Any, sent: int | None) -> None:
    assert chat(top_k=given).get("top_k") == sent


def test_a_long_name_of_a_user_is_told_by_its_digest() -> None:
    assert asked("hi", user="u" * 32)["header"]["uid"] == "u" * 32
    told = asked("hi", user="u" * 33)["header"]["uid"]
    assert (len(told), told == asked("hi", user="v" * 33)["header"]["uid"]) == (32, False)
    assert asked("hi", safety_identifier="somebody")["header"]["uid"] == "somebody"


def test_the_web_is_searched_by_versions_that_can() -> None:
    assert chat("4.0Ultra", web_search_options={})["tools"] == [
        {"type": "web_search", "web_search": {"enable": True, "search_mode": "normal"}}
    ]
    deep = chat("x1", web_search_options={"search_context_size": "high"})["tools"]
    assert deep[0]["web_search"]["search_mode"] == "deep"
    refused(chat, web_search_options={}, param="web_search_options")


def refused(ask: Any, *given: Any, param: str, **more: Any) -> None:
    with pytest.raises(errors.UnsupportedParameter) as raised:
        ask(*given, **more)
    assert raised.value.param == param


# --- functions ----------------------------------------------------------------------------------------------------


def names(**more: Any) -> list[str]:
    functions = asked("hi", tools=[WEATHER, BARE], **more)["payload"].get("functions", {"text": []})
    return [function["name"] for function in functions["text"]]


def test_functions_are_offered_where_the_version_calls_any() -> None:
    assert names() == names(tool_choice="auto", model="4.0Ultra") == ["get_weather", "now"]
    assert names(tool_choice="none") == []
    bare = asked("hi", tools=[BARE])["payload"]["functions"]["text"]
    assert bare == [{"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}}]


@pytest.mark.parametrize("model", ["lite", "generalv3", "pro-128k", "kjwx", "x1"])
def test_versions_that_call_none_are_not_asked_to(model: str) -> None:
    refused(names, model=model, param="tools[0]")
    assert names(model=model, tool_choice="none") == []


def test_nobody_can_be_made_to_call() -> None:
    named = {"type": "function", "function": {"name": "now"}}
    only = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named]}}
    assert names(tool_choice=only) == ["now"]
    refused(names, tool_choice="required", param="tool_choice")
    refused(names, tool_choice=named, param="tool_choice")
    only["allowed_tools"] = {"mode": "required", "tools": [named]}
    refused(names, tool_choice=only, param="tool_choice")
    told = encode(prompt("hi", tools=[BARE], tool_choice="required"), VERSIONS["max-32k"], "app", forced_tools="auto")
    assert [function["name"] for function in json.loads(told)["payload"]["functions"]["text"]] == ["now"]


# --- images -------------------------------------------------------------------------------------------------------


def shown(url: str, text: str = "What is it?") -> dict[str, Any]:
    return {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}],
    }


def test_an_image_comes_first_and_bare() -> None:
    told = asked(SYSTEM, shown(f"data:image/png;base64,{PIXEL}"), model="image")["payload"]["message"]["text"]
    assert told == [
        {"role": "user", "content": PIXEL, "content_type": "image"},
        {"role": "user", "content": "Be brief.\n\nWhat is it?", "content_type": "text"},
    ]


def test_an_image_is_looked_at_by_versions_that_can() -> None:
    image = shown(f"data:image/png;base64,{PIXEL}")
    refused(asked, image, param="messages[0].content[0]")
    refused(asked, image, HELLO, image, model="image", param="messages[2].content[0]")
    with pytest.raises(errors.BadRequest):
        asked("What is it?", model="image")


@pytest.mark.parametrize("url", ["data:image/png,raw", "data:image/png;base64,", "data:text/plain;base64,aGk="])
def test_what_is_no_image_is_refused(url: str) -> None:
    with pytest.raises(errors.BadRequest) as raised:
        asked(shown(url), model="image")
    assert raised.value.param == "messages[0].content[0]"


def test_an_image_may_be_told_by_its_address() -> None:
    picture = picture_of(prompt(shown("https://there.example/cat.png")).messages, VERSIONS["image"])
    assert picture == Picture("messages[0].content[0]", "", "https://there.example/cat.png")


def test_an_image_may_have_four_megabytes() -> None:
    four = "A" * (4 * 2**20 * 4 // 3)
    asked(shown(f"data:image/png;base64,{four}"), model="image")
    with pytest.raises(errors.BadRequest):
        asked(shown(f"data:image/png;base64,{four}{'A' * 16}"), model="image")


# --- over HTTP ----------------------------------------------------------------------------------------------------


def body(*messages: Any, model: str = "generalv3.5", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(http.encode(prompt(*messages, model=model, **more)))
    return made


def test_the_body_is_openais_as_far_as_it_goes() -> None:
    made = body(
        DEVELOPER,
        "hi",
        temperature=0,
        top_p=0.5,
        top_k=9,
        max_tokens=9999,
        user="u-42",
        seed=1,
        logit_bias={"1": 1},
        parallel_tool_calls=False,
        response_format={"type": "json_object"},
        presence_penalty=1,
        reasoning_effort="high",
    )
    assert made == {
        "model": "generalv3.5",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}],
        "stream": True,
        "max_tokens": 8192,
        "temperature": 0,
        "top_p": 0.5,
        "top_k": 6,
        "user": "u-42",
        "response_format": {"type": "json_object"},
    }
    assert body("hi").keys() == {"model", "messages", "stream"}
    assert "top_p" not in body("hi", top_p=0)
    assert "response_format" not in body("hi", response_format={"type": "text"})


@pytest.mark.parametrize(("effort", "kind"), [("none", "disabled"), ("minimal", "disabled"), ("high", "enabled")])
def test_models_that_think_are_told_whether_to(effort: str, kind: str) -> None:
    made = body("hi", model="x1", reasoning_effort=effort, presence_penalty=1)
    assert (made["thinking"], made["presence_penalty"]) == ({"type": kind}, 1)


def test_messages_keep_their_roles() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    made = body(
        SYSTEM,
        "a",
        "b",
        {"role": "assistant", "content": ""},
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "noon"},
        HELLO,
        "c",
    )
    assert made["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "Hello!", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "noon"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "c"},
    ]
    with pytest.raises(errors.BadRequest):
        body("")


def test_tools_come_with_the_switch() -> None:
    named = {"type": "function", "function": {"name": "now"}}
    made = body("hi", tools=[WEATHER, BARE], tool_choice=named)
    assert made["tool_calls_switch"] is True
    assert made["tool_choice"] == named
    assert [tool["function"].keys() for tool in made["tools"]] == [{"name", "description", "parameters"}, {"name"}]
    only = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named]}}
    made = body("hi", tools=[WEATHER, BARE], tool_choice=only)
    assert (made["tools"], made["tool_choice"]) == ([BARE], "required")
    assert body("hi", web_search_options={})["tools"][0]["type"] == "web_search"


@pytest.mark.parametrize("name", ["get-weather", "x" * 33])
def test_a_functions_name_that_the_service_does_not_take_is_refused_here(name: str) -> None:
    with pytest.raises(errors.BadRequest) as raised:
        body("hi", tools=[BARE, {"type": "function", "function": {"name": name}}])
    assert raised.value.param == "tools[1].function.name"


@pytest.mark.parametrize(
    ("model", "base", "address"),
    [
        ("generalv3.5", "", "https://spark-api-open.xf-yun.com/v1/chat/completions"),
        ("x1", "", "https://spark-api-open.xf-yun.com/v2/chat/completions"),
        ("spark-x", "", "https://spark-api-open.xf-yun.com/x2/chat/completions"),
        ("x1-preview", "", "https://spark-api-open-preview.xf-yun.com/v2/chat/completions"),
        ("x1", "http://127.0.0.1:9300", "http://127.0.0.1:9300/v2/chat/completions"),
        ("lite", "https://proxy.example/v2", "https://proxy.example/v2/chat/completions"),
    ],
)
def test_each_model_is_asked_at_its_address(model: str, base: str, address: str) -> None:
    assert http.address(model, base) == address
