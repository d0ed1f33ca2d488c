"""The stand-in for OpenAI, judged by the official Python client; what that client cannot see, by plain sockets."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.schema import check_completion, check_error, check_model, check_models, check_stream
from tests.upstreams.openai.errors import ENVELOPES
from tests.upstreams.openai.faults import NAMES
from tests.upstreams.openai.frames import FRAMES
from tests.upstreams.openai.twists import CHUNK_TWISTS, UNARY_TWISTS
from tests.upstreams.running import Emulator

KEY = "sk-upstream-1"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"town": {"type": "string"}},
            "required": ["town"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator("openai") as emulator:
        yield emulator


@pytest.fixture
def upstream(running: Emulator) -> Emulator:
    running.reset()
    return running


@pytest.fixture
def client(upstream: Emulator) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{upstream.url}/v1", api_key=KEY) as made:
        yield made


@pytest.fixture
def http(upstream: Emulator) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=f"{upstream.url}/v1", headers=headers, trust_env=False, verify=False, timeout=5) as made:
        yield made


def asking(text: str = "hello there", **more: Any) -> dict[str, Any]:
    return {"model": "demo-mini", "messages": [{"role": "user", "content": text}], **more}


def chunks_of(body: str) -> list[Any]:
    """A well-framed stream's chunks; fails when it is not well framed."""
    frames = body.split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    assert all(frame.startswith("data: ") for frame in frames[:-1])
    return [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]


def attempts(upstream: Emulator) -> list[str]:
    return [seen["attempt"] for seen in upstream.stats()["log"]]


# --- healthy answers ---------------------------------------------------------------------------------------------


def test_a_unary_answer_says_the_words_back(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(**asking("hello there"))
    check_completion(json.loads(raw.content))
    completion = raw.parse()
    assert completion.choices[0].message.content == "hello there"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == "demo-mini-2026-01-01"
    assert completion._request_id == raw.headers["x-request-id"]
    assert raw.headers["x-ratelimit-reset-tokens"] == "1m0.5s"


WORDS = {
    "text": asking("grüße, 世界 🌍"),
    "thoughts": asking("!think:let me see\n!say:done"),
    "tools": asking('!tool:get_weather:{"town":"Basel"}\n!tool:get_weather:{"town":"Bern"}', tools=[TOOL]),
    "text and tools": asking("!say:let me look\n!tool:get_weather", tools=[TOOL]),
    "refusal": asking("!refuse:I would rather not"),
    "logprobs": asking(logprobs=True, top_logprobs=2),
    "three choices": asking(n=3),
    "cut short": asking("a long text that is cut", max_tokens=2),
    "stopped": asking("one two three", stop=["two"]),
    "filtered": asking("!say:oh\n!stop:content_filter"),
    "obedient": asking("weather?", tools=[TOOL], tool_choice="required"),
}


@pytest.mark.parametrize("name", WORDS)
def test_every_kind_of_answer_has_the_published_shape(http: httpx.Client, name: str) -> None:
    body = WORDS[name]
    whole = http.post("/chat/completions", json=body).raise_for_status()
    check_completion(whole.json())
    for include_usage in (False, True):
        options = {"stream_options": {"include_usage": True}} if include_usage else {}
        streamed = http.post("/chat/completions", json={**body, **options, "stream": True}).raise_for_status()
        assert streamed.headers["content-type"] == "text/event-stream"
        assert streamed.headers["x-request-id"]
        check_stream(chunks_of(streamed.text), include_usage)


def test_limits_and_stops_are_obeyed(client: OpenAI) -> None:
    cut = client.chat.completions.create(**asking("abcdefghijkl", max_completion_tokens=2)).choices[0]
    assert (cut.message.content, cut.finish_reason) == ("abcdefgh", "length")
    stopped = client.chat.completions.create(**asking("one two three", stop=" two")).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == ("one", "stop")
    answers = client.chat.completions.create(**asking("same", n=3)).choices
    assert [choice.message.content for choice in answers] == ["same", "same #2", "same #3"]


def test_a_stream_says_the_words_back_in_pieces(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        **asking("hello there", stream=True, stream_options={"include_usage": True})
    )
    chunks = list(stream)
    assert [c.choices[0].delta.content for c in chunks[1:-2]] == ["hell", "o th", "ere"]
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == 3
    assert stream.response.headers["x-request-id"].startswith("req_")


async def test_the_async_client_gets_the_same(upstream: Emulator) -> None:
    async with AsyncOpenAI(base_url=f"{upstream.url}/v1", api_key=KEY) as client:
        whole = await client.chat.completions.create(**asking("hello"))
        stream = await client.chat.completions.create(**asking("hello", stream=True))
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
        async with client.chat.completions.stream(**asking("hello")) as helped:
            final = await helped.get_final_completion()
        assert "demo-mini" in [model.id async for model in client.models.list()]
    assert whole.choices[0].message.content == "".join(pieces) == final.choices[0].message.content == "hello"


def test_the_stream_helper_puts_tool_calls_together(client: OpenAI) -> None:
    words = '!tool:get_weather:{"town":"Basel"}\n!tool:get_weather:{"town":"Bern"}'
    with client.chat.completions.stream(**asking(words, tools=[TOOL])) as stream:
        kinds = {event.type for event in stream}
        calls = stream.get_final_completion().choices[0].message.tool_calls
    assert calls is not None
    assert [call.function.parsed_arguments for call in calls] == [{"town": "Basel"}, {"town": "Bern"}]
    assert len({call.id for call in calls}) == 2
    assert "tool_calls.function.arguments.done" in kinds


def test_a_named_tool_is_called_with_arguments_that_fit(client: OpenAI) -> None:
    choice = {"type": "function", "function": {"name": "get_weather"}}
    calls = (
        client.chat.completions.create(**asking("so?", tools=[TOOL], tool_choice=choice)).choices[0].message.tool_calls
    )
    assert calls is not None
    assert json.loads(calls[0].function.arguments) == {"town": "text"}


def test_thoughts_are_told_beside_the_answer(client: OpenAI) -> None:
    said = client.chat.completions.create(**asking("!think:hm, well\n!say:yes")).choices[0].message
    assert (said.content, said.reasoning_content) == ("yes", "hm, well")
    with client.chat.completions.stream(**asking("!think:hm, well\n!say:yes")) as stream:
        final = stream.get_final_completion().choices[0].message
    assert final.reasoning_content == "hm, well"


class Reading(BaseModel):
    town: str
    celsius: float


def test_the_parse_helper_gets_an_object(client: OpenAI, upstream: Emulator) -> None:
    made = client.chat.completions.parse(**asking("Basel?"), response_format=Reading)
    assert made.choices[0].message.parsed == Reading(town="text", celsius=1)
    seen = upstream.stats()["log"][0]["body"]
    assert seen["response_format"]["json_schema"]["strict"] is True
    with client.chat.completions.stream(
        **asking('!say:{"town":"Bern","celsius":14}'), response_format=Reading
    ) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == Reading(town="Bern", celsius=14)


def test_the_parse_helper_believes_the_finish_reason(client: OpenAI) -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(**asking("!say:{\n!stop:length"), response_format=Reading)
    with pytest.raises(openai.ContentFilterFinishReasonError):
        client.chat.completions.parse(**asking("!say:{\n!stop:content_filter"), response_format=Reading)


def test_a_report_tells_what_arrived(client: OpenAI) -> None:
    answer = client.chat.completions.create(**asking("!report", seed=7), extra_headers={"OpenAI-Organization": "org-1"})
    report = json.loads(answer.choices[0].message.content or "")
    assert report["body"]["seed"] == 7
    assert report["headers"]["openai-organization"] == "org-1"
    assert (report["key"], report["path"], report["id"]) == (KEY, "/v1/chat/completions", answer._request_id)


def test_models_are_listed_and_found_by_escaped_and_by_raw_names(
    client: OpenAI, http: httpx.Client, upstream: Emulator
) -> None:
    check_models(http.get("/models").json())
    name = "demo-org/demo-chat:free"
    assert name in [model.id for model in client.models.list()]
    assert client.models.retrieve(name).id == name
    assert upstream.stats()["log"][-1]["path"] == "/v1/models/demo-org%2Fdemo-chat:free"
    check_model(http.get(f"/models/{name}").raise_for_status().json())
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("nobody")
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize("path", ["embeddings", "completions", "responses", "nothing"])
def test_what_is_not_offered_is_not_found(http: httpx.Client, path: str) -> None:
    answer = http.post(f"/{path}", json={"model": "demo-mini", "input": "a", "prompt": "a"})
    assert answer.status_code == 404
    check_error(answer.json())
    assert answer.json()["error"]["code"] == "unknown_url"


# --- who may ask, and what is refused -----------------------------------------------------------------------------


def test_only_a_known_bearer_key_may_ask(upstream: Emulator) -> None:
    url = f"{upstream.url}/v1/chat/completions"
    refused = {
        "invalid_api_key": {"authorization": "Bearer sk-wrong"},
        None: {"authorization": f"Basic {KEY}", "api-key": KEY},
    }
    for code, headers in refused.items():
        answer = httpx.post(url, json=asking(), headers=headers)
        assert answer.status_code == 401
        check_error(answer.json())
        assert answer.json()["error"]["code"] == code
    with pytest.raises(openai.AuthenticationError), OpenAI(base_url=f"{upstream.url}/v1", api_key="sk-no") as client:
        client.chat.completions.create(**asking())


def message(**facts: Any) -> dict[str, Any]:
    return asking(messages=[facts])


CALLED = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}  # fmt: skip
HI = {"role": "user", "content": "hi"}
LAX = {"type": "object", "properties": {"a": {"type": "string"}}}

REFUSED: dict[str, tuple[dict[str, Any], str | None]] = {
    "unknown parameter": (asking(surprise=1), "surprise"),
    "missing messages": ({"model": "demo-mini"}, "messages"),
    "missing model": ({"messages": [HI]}, "model"),
    "no message": (asking(messages=[]), "messages"),
    "both limits": (asking(max_tokens=1, max_completion_tokens=1), "max_tokens"),
    "limit of nothing": (asking(max_tokens=0), "max_tokens"),
    "too hot": (asking(temperature=3), "temperature"),
    "hot as text": (asking(temperature="1"), "temperature"),
    "true is no number": (asking(n=True), "n"),
    "too many": (asking(n=129), "n"),
    "five stops": (asking(stop=list("abcde")), "stop"),
    "options without stream": (asking(stream_options={"include_usage": True}), "stream_options"),
    "unknown option": (asking(stream=True, stream_options={"x": 1}), "stream_options.x"),
    "alternatives without logprobs": (asking(top_logprobs=2), "top_logprobs"),
    "json unsaid": (asking(response_format={"type": "json_object"}), "messages"),
    "unknown format": (asking(response_format={"type": "xml"}), "response_format.type"),
    "format of the router": (
        asking("json", response_format={"type": "json_schema", "value": {}}),
        "response_format.json_schema",
    ),
    "lax strict schema": (
        asking(response_format={"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": LAX}}),
        "response_format",
    ),
    "unknown role": (message(role="robot", content="hi"), "messages[0].role"),
    "content null": (message(role="user", content=None), "messages[0].content"),
    "content missing": (message(role="assistant"), "messages[0].content"),
    "thoughts in the history": (
        message(role="assistant", content="a", reasoning_content="b"),
        "messages[0].reasoning_content",
    ),
    "bare image": (
        message(role="user", content=[{"type": "image_url", "image_url": "https://x/"}]),
        "messages[0].content[0].image_url",
    ),
    "image from system": (
        message(role="system", content=[{"type": "image_url", "image_url": {"url": "https://x/"}}]),
        "messages[0].content[0]",
    ),
    "plain part": (message(role="user", content=["hi"]), "messages[0].content[0]"),
    "call unanswered": (asking(messages=[HI, CALLED, HI]), "messages"),
    "call unanswered at the end": (asking(messages=[HI, CALLED]), "messages"),
    "answer uncalled": (message(role="tool", tool_call_id="call_1", content="a"), "messages[0].role"),
    "arguments as object": (
        message(
            role="assistant",
            tool_calls=[{"id": "c", "type": "function", "function": {"name": "f", "arguments": {}}}],
        ),
        "messages[0].tool_calls[0].function",
    ),
    "no tools": (asking(tools=[]), "tools"),
    "tool name": (asking(tools=[{"type": "function", "function": {"name": "a b"}}]), "tools[0].function.name"),
    "choice without tools": (asking(tool_choice="auto"), "tool_choice"),
    "choice of another": (
        asking(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "x"}}),
        "tool_choice",
    ),
    "parallel without tools": (asking(parallel_tool_calls=False), "parallel_tool_calls"),
    "reasoner with max_tokens": (asking(model="demo-reasoner", max_tokens=5), "max_tokens"),
    "warm reasoner": (asking(model="demo-reasoner", temperature=0.2), "temperature"),
    "metadata too long": (asking(metadata={"a": "b" * 513}), "metadata"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_strict_mode_refuses_and_names_the_parameter(http: httpx.Client, upstream: Emulator, name: str) -> None:
    body, param = REFUSED[name]
    answer = http.post("/chat/completions", json=body)
    assert answer.status_code == 400, answer.text
    check_error(answer.json())
    assert answer.json()["error"]["param"] == param


def test_without_strict_mode_much_is_let_through(http: httpx.Client, upstream: Emulator) -> None:
    upstream.set(strict=False)
    for name in ("unknown parameter", "both limits", "options without stream", "call unanswered", "plain part"):
        assert http.post("/chat/completions", json=REFUSED[name][0]).status_code == 200


def test_strict_mode_lets_through_what_is_right(http: httpx.Client) -> None:
    parts = [
        {"type": "text", "text": "where?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]
    history = [
        {"role": "developer", "content": [{"type": "text", "text": "brief"}]},
        {"role": "user", "name": "ann", "content": parts},
        CALLED,
        {"role": "tool", "tool_call_id": "call_1", "content": "14 C"},
        {"role": "assistant", "content": "warm", "refusal": None},
        HI,
    ]
    knobs = {
        "temperature": 0.5,
        "top_p": 1,
        "seed": 1,
        "user": "u",
        "metadata": {"a": "b"},
        "logit_bias": {"50256": -100},
    }
    body = asking(messages=history, tools=[TOOL], tool_choice="auto", parallel_tool_calls=True, stop=["x"], **knobs)
    assert http.post("/chat/completions", json=body).status_code == 200


def test_what_is_not_a_json_object_is_refused(http: httpx.Client) -> None:
    for content in (b"", b"{", b"[]", b'"text"', b"\xff"):
        answer = http.post("/chat/completions", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 400
        check_error(answer.json())


CLASSES = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_an_error_arrives_as_the_typed_exception(client: OpenAI, upstream: Emulator, name: str) -> None:
    status, _, kind, code, param = ENVELOPES[name]
    upstream.fault(name, times=None, retry_after_ms=1)
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**asking())
    error = caught.value
    assert type(error) is CLASSES.get(status, openai.InternalServerError)
    assert (error.status_code, error.type, error.code, error.param) == (status, kind, code, param)
    assert error.request_id == upstream.stats()["log"][-1]["id"]
    assert attempts(upstream) == (["0", "1", "2"] if status in (429, 500, 503) else ["0"])
    check_error(json.loads(error.response.content))


@pytest.mark.parametrize(
    ("fault", "made"),
    [
        ({"name": "rate_limit", "should_retry": False, "retry_after": 1}, ["0"]),
        ({"name": "rate_limit", "retry_after": 121}, ["0"]),
        ({"name": "rate_limit", "retry_after": 121, "should_retry": True}, ["0"]),
        ({"name": "bad_request", "should_retry": True, "retry_after_ms": 1}, ["0", "1", "2"]),
        ({"name": "status", "status": 408, "retry_after_ms": 1}, ["0", "1", "2"]),
        ({"name": "status", "status": 409, "retry_after_ms": 1}, ["0", "1", "2"]),
        ({"name": "status", "status": 413}, ["0"]),
        ({"name": "html", "retry_after_ms": 1}, ["0", "1", "2"]),
        ({"name": "status", "shape": "empty", "status": 504, "retry_after_ms": 1}, ["0", "1", "2"]),
        ({"name": "status", "shape": "detail", "status": 402}, ["0"]),
    ],
)
def test_retry_headers_decide_how_often_the_client_comes(
    client: OpenAI, upstream: Emulator, fault: dict[str, Any], made: list[str]
) -> None:
    upstream.fault(times=None, **fault)
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.create(**asking())
    assert attempts(upstream) == made


def test_a_fault_passes_and_then_the_answer_comes(client: OpenAI, upstream: Emulator) -> None:
    upstream.fault("overloaded", times=2, retry_after_ms=1)
    assert client.chat.completions.create(**asking("hi")).choices[0].message.content == "hi"
    assert attempts(upstream) == ["0", "1", "2"]


def test_a_fault_can_be_meant_for_one_key(http: httpx.Client, upstream: Emulator) -> None:
    upstream.fault("rate_limit", times=None, credential="sk-upstream-2")
    assert http.post("/chat/completions", json=asking()).status_code == 200
    second = {"authorization": "Bearer sk-upstream-2"}
    assert http.post("/chat/completions", json=asking(), headers=second).status_code == 429


def test_credit_and_pace_run_out_per_key(http: httpx.Client, upstream: Emulator) -> None:
    upstream.set(credits={KEY: 2})
    codes = [http.post("/chat/completions", json=asking()).json().get("error", {}).get("code") for _ in range(3)]
    assert codes == [None, None, "insufficient_quota"]
    upstream.reset()
    upstream.set(rate={"requests": 1, "seconds": 30})
    assert http.post("/chat/completions", json=asking()).status_code == 200
    limited = http.post("/chat/completions", json=asking())
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "30")
    other = http.post("/chat/completions", json=asking(), headers={"authorization": "Bearer sk-upstream-2"})
    assert other.status_code == 200


def test_unknown_settings_and_faults_are_refused(upstream: Emulator) -> None:
    with pytest.raises(AssertionError, match="surprise"):
        upstream.set(surprise=1)
    with pytest.raises(AssertionError, match="surprise"):
        upstream.fault("surprise")


# --- broken answers -----------------------------------------------------------------------------------------------

# What the official client makes of odd framing (openai.md, 2.4); None: the whole text arrives.
FRAMING: dict[str, type[Exception] | str | None] = {
    "crlf": None,
    "cr": None,
    "comments": None,
    "multiline_data": None,
    "no_space": None,
    "done_no_space": None,
    "done_twice": None,
    "no_done": None,
    "event_named": None,
    "bytewise": None,
    "gzip": None,
    "close_delimited": None,
    "fixed_length": None,
    "slow_headers": None,
    "obfuscation": None,
    "usage_every_chunk": None,
    "content_null": None,
    "finish_empty": None,
    "event_ping": json.JSONDecodeError,
    "empty_data": json.JSONDecodeError,
    "retry_line": json.JSONDecodeError,
    "garbage_frame": json.JSONDecodeError,
    "done_blanks": json.JSONDecodeError,
    "error_frame": openai.APIError,
    "truncated_json": "",
}


@pytest.mark.parametrize("name", FRAMING)
def test_odd_framing_does_to_the_client_what_it_does(client: OpenAI, upstream: Emulator, name: str) -> None:
    upstream.fault(name, **({"pause": 0.0005} if name == "slow_headers" else {}))
    outcome = FRAMING[name]

    def text() -> str:
        stream = client.chat.completions.create(**asking("hällo", stream=True))
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    if isinstance(outcome, type):
        with pytest.raises(outcome):
            text()
    else:
        assert text() == ("hällo" if outcome is None else outcome)
    assert upstream.stats()["counts"][f"fault:{name}"] == 1


def test_two_faults_can_strike_together(http: httpx.Client, upstream: Emulator) -> None:
    upstream.fault("crlf", also=["no_done", "bytewise"])
    body = http.post("/chat/completions", json=asking(stream=True)).content
    assert body.endswith(b"\r\n\r\n")
    assert b"[DONE]" not in body
    assert b"\r\n\r\n" in body.removesuffix(b"\r\n\r\n")


# What the official stream helper makes of odd tool deltas (openai.md, 2.3).
TOOLS: dict[str, Any] = {
    "tool_no_index": TypeError,
    "tool_index_from_1": IndexError,
    "tool_null_name": "get_weather",
    "tool_empty_name": "get_weather",
    "tool_whole": "get_weather",
}


@pytest.mark.parametrize("name", TOOLS)
def test_odd_tool_deltas_do_to_the_helper_what_they_do(client: OpenAI, upstream: Emulator, name: str) -> None:
    upstream.fault(name)

    def final() -> Any:
        with client.chat.completions.stream(**asking('!tool:get_weather:{"town":"Basel"}', tools=[TOOL])) as stream:
            return stream.get_final_completion().choices[0].message.tool_calls[0].function

    if isinstance(TOOLS[name], type):
        with pytest.raises(TOOLS[name]):
            final()
    else:
        assert (final().name, json.loads(final().arguments)) == (TOOLS[name], {"town": "Basel"})


def test_repeated_ids_and_roles_are_told_again(client: OpenAI, upstream: Emulator) -> None:
    upstream.fault("tool_repeat_id_name", also=["role_every"])
    stream = client.chat.completions.create(**asking('!tool:f:{"a":"bc"}', stream=True))
    deltas = [chunk.choices[0].delta for chunk in stream]
    assert [delta.role for delta in deltas] == ["assistant"] * len(deltas)
    named = [call for delta in deltas for call in delta.tool_calls or ()]
    assert len(named) > 1
    assert len({call.id for call in named}) == 1
    assert {call.function.name for call in named if call.function} == {"f"}


def test_a_whole_answer_can_be_replaced(http: httpx.Client, upstream: Emulator) -> None:
    upstream.fault("raw", hex="64617461", content_type="text/plain", status=203)
    answer = http.post("/chat/completions", json=asking())
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (203, b"data", "text/plain")
    upstream.fault("error_in_200")
    answer = http.post("/chat/completions", json=asking(stream=True))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    check_error(answer.json())
    upstream.fault("json_for_stream")
    check_completion(http.post("/chat/completions", json=asking(stream=True)).json())
    upstream.fault("redirect", location="http://127.0.0.1:9/")
    assert http.post("/chat/completions", json=asking()).headers["location"] == "http://127.0.0.1:9/"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_fault_is_made_on_purpose(http: httpx.Client, upstream: Emulator, name: str, streamed: bool) -> None:
    """None of them is an accident inside the stand-in, and each one changes something."""
    upstream.set(answer="steady words, and some more of them")
    body = asking('!think:hm\n!tool:get_weather:{"town":"Basel"}\n!say:a', tools=[TOOL], stream=streamed, seed=1)
    if streamed:
        body["stream_options"] = {"include_usage": True}

    seconds = {"seconds": 0.1} if name == "slow_first_byte" else {}
    location = {"location": "http://127.0.0.1:9/"} if name == "redirect" else {}
    healthy = told(http, body)
    upstream.fault(name, pause=0.0005, bytes=100, **seconds, **location)
    broken = told(http, body)
    assert upstream.stats()["counts"][f"fault:{name}"] == 1
    assert "500 Internal Server Error" not in broken  # what aiohttp says of an accident
    if name in NOT_SEEN | (ONLY_UNARY if streamed else ONLY_STREAMED):
        assert broken == healthy
    else:
        assert broken != healthy


# Seen by a socket, by a clock or in the other dialect; and what a healthy answer to this request has anyway.
NOT_SEEN = {"bytewise", "slow_first_byte", "hf_other_provider"}
USUAL_IN_UNARY = {"fixed_length", "tool_calls_empty", "tool_calls_null"}
ONLY_STREAMED = {*FRAMES, *(set(CHUNK_TWISTS) - set(UNARY_TWISTS)), "json_for_stream", *USUAL_IN_UNARY}
ONLY_UNARY = {"stream_for_json"}


def told(http: httpx.Client, body: dict[str, Any]) -> str:
    """All that a client sees of an answer, but for what differs between any two."""
    seen = []
    try:
        with http.stream("POST", "/chat/completions", json=body, timeout=0.3) as answer:
            assert "x-request-id" in answer.headers
            kept = ("content-type", "content-encoding", "content-length", "transfer-encoding", "connection", "location")
            seen += [str(answer.status_code), *(f"{name}: {answer.headers.get(name)}" for name in kept)]
            seen += [answer.headers.get("x-inference-provider", "")]
            seen += [b"".join(answer.iter_bytes()).decode(errors="replace")]
    except httpx.HTTPError as error:
        seen += [type(error).__name__]
    return re.sub(r'\d{9,}|"created":\d+', "N", "\n".join(seen))


def exchange(upstream: Emulator, body: dict[str, Any]) -> tuple[bytes, str]:
    """One request over a plain socket: all bytes until the end, and whether that was `fin` or `rst`."""
    content = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
    head += f"Content-Type: application/json\r\nConnection: close\r\nContent-Length: {len(content)}\r\n\r\n"
    seen = bytearray()
    with socket.create_connection(("127.0.0.1", upstream.port), timeout=5) as line:
        line.sendall(head.encode() + content)
        try:
            while piece := line.recv(65536):
                seen += piece
        except ConnectionResetError:
            return bytes(seen), "rst"
    return bytes(seen), "fin"


def unchunked(raw: bytes) -> tuple[bytes, bool]:
    """The body in a chunked answer, and whether its last chunk came."""
    _, _, rest = raw.partition(b"\r\n\r\n")
    body = bytearray()
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return bytes(body), True
        body += rest[:length]
        rest = rest[length + 2 :]
    return bytes(body), False


@pytest.mark.parametrize("count", [0, 1, 57, 200])
def test_a_stream_breaks_after_exactly_so_many_bytes(upstream: Emulator, count: int) -> None:
    whole, complete = unchunked(exchange(upstream, asking(stream=True))[0])
    assert complete
    for name, end in (("reset", "rst"), ("cut", "fin")):
        upstream.fault(name, bytes=count)
        raw, ended = exchange(upstream, asking(stream=True))
        body, complete = unchunked(raw)
        assert (len(body), complete, ended) == (count, False, end)
        assert body[:40] == whole[:40][:count]
    assert upstream.stats()["hangups"] == []


def test_a_unary_answer_can_be_shorter_than_its_length(upstream: Emulator) -> None:
    upstream.fault("cut", bytes=10)
    raw, ended = exchange(upstream, asking())
    head, _, body = raw.partition(b"\r\n\r\n")
    assert (len(body), ended) == (10, "fin")
    assert int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) > 100


def test_bytes_can_come_one_by_one(upstream: Emulator) -> None:
    upstream.fault("bytewise")
    raw, _ = exchange(upstream, asking(stream=True))
    sizes = [line for line in raw.partition(b"\r\n\r\n")[2].split(b"\r\n") if line in (b"1", b"0")]
    body, complete = unchunked(raw)
    assert complete
    assert len(body) <= len(sizes)


def test_broken_connections_are_connection_errors(client: OpenAI, upstream: Emulator) -> None:
    upstream.fault("reset", times=None, bytes=0, also=["close_delimited"])
    with pytest.raises(openai.APIConnectionError):
        client.with_options(max_retries=0).chat.completions.create(**asking())
    upstream.reset()
    upstream.fault("reset", bytes=300)
    with pytest.raises(openai.APIConnectionError):
        list(client.chat.completions.create(**asking(stream=True)))
    upstream.fault("hang")
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.2, max_retries=0).chat.completions.create(**asking())


def test_a_stalled_stream_times_out(client: OpenAI, upstream: Emulator) -> None:
    upstream.fault("stall", bytes=300)
    started = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        list(client.with_options(timeout=0.3).chat.completions.create(**asking(stream=True)))
    assert 0.25 < time.monotonic() - started < 3
    assert upstream.until(lambda stats: stats["hangups"])["hangups"][0]["sent"] == 300


# --- what is counted ----------------------------------------------------------------------------------------------


def test_a_hang_up_is_noticed_at_once(client: OpenAI, upstream: Emulator) -> None:
    stream = client.chat.completions.create(**asking("!slow:50:" + "word " * 200, stream=True))
    next(iter(stream))
    closed = time.time()
    stream.close()
    seen = upstream.until(lambda stats: stats["hangups"])
    (hangup,) = seen["hangups"]
    assert hangup["at"] - closed < 0.1
    assert (hangup["key"], hangup["route"]) == (KEY, "chat")
    assert hangup["sent"] > 0
    assert seen["credentials"][KEY]["now"] == 0


def test_a_hang_up_during_a_unary_answer_is_noticed(upstream: Emulator) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{upstream.url}/v1/chat/completions",
            json=asking("!slow:1000:words"),
            headers={"authorization": f"Bearer {KEY}"},
            timeout=0.2,
        )
    assert upstream.until(lambda stats: stats["hangups"])["hangups"][0]["sent"] == 0


async def test_requests_and_concurrency_are_counted_per_key(upstream: Emulator) -> None:
    async def ask(key: str) -> None:
        async with AsyncOpenAI(base_url=f"{upstream.url}/v1", api_key=key) as client:
            await client.chat.completions.create(**asking("!slow:30:some words"))

    await asyncio.gather(*(ask("sk-upstream-1") for _ in range(4)), ask("sk-upstream-2"))
    stats = upstream.until(lambda stats: stats["connections"]["open"] == 0)
    first, second = stats["credentials"]["sk-upstream-1"], stats["credentials"]["sk-upstream-2"]
    assert (first["requests"], first["most"], first["now"], len(first["at"])) == (4, 4, 0, 4)
    assert (second["requests"], second["most"]) == (1, 1)
    assert stats["connections"]["opened"] == 5


def test_one_connection_serves_many_requests(http: httpx.Client, upstream: Emulator) -> None:
    for streamed in (False, True, False):
        http.post("/chat/completions", json=asking(stream=streamed)).raise_for_status()
    assert upstream.stats()["connections"] == {"opened": 1, "open": 1}


def test_a_slow_answer_comes_at_its_pace(client: OpenAI) -> None:
    started = time.monotonic()
    times = [
        time.monotonic() - started
        for _ in client.chat.completions.create(**asking("!slow:50:" + "x" * 20, stream=True))
    ]
    assert 0.2 < times[-1] < 1.5
    assert times[1] < 0.2
