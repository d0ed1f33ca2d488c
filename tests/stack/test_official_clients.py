"""The official clients, unmodified, through nginx: Python (sync, async, stream, raw, helpers, errors) and Node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from tests.node import run_node
from tests.schema import check_completion, check_error, check_models, check_stream
from tests.stack.rests import forget_rests
from tests.stack.running import KEY, Stack, until
from tests.upstreams.running import Emulator

NODE = Path(__file__).parents[1] / "node" / "openai_client.mjs"
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"town": {"type": "string"}}}},
}
CALL = '!tool:get_weather:{"town":"Basel"}'


class Reading(BaseModel):
    town: str
    celsius: float


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Stack, Emulator]]:
    with Emulator("openai") as upstream:
        settings = {"OPENAI_API_KEY": "sk-upstream-1", "OPENAI_BASE_URL": f"{upstream.url}/v1", "MAX_BODY_MB": "1"}
        with Stack(settings, gateways=2) as stack:
            yield stack, upstream


@pytest.fixture
def stack(world: tuple[Stack, Emulator]) -> Stack:
    world[1].reset()
    return world[0]


def asking(text: str = "!say:hello there", model: str = "openai/demo-mini", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def test_python_unary(stack: Stack) -> None:
    raw = stack.client().chat.completions.with_raw_response.create(**asking())
    check_completion(json.loads(raw.text))
    answer = raw.parse()
    assert answer.choices[0].message.content == "hello there"
    assert (answer.choices[0].finish_reason, answer.model) == ("stop", "openai/demo-mini")
    assert answer._request_id == raw.headers["x-request-id"]
    assert answer.usage is not None and answer.usage.completion_tokens > 0


def test_python_streams_say_the_same_and_end_with_usage_when_asked(stack: Stack) -> None:
    chunks = list(stack.client().chat.completions.create(**asking(stream=True, stream_options={"include_usage": True})))
    check_stream([chunk.to_dict() for chunk in chunks], include_usage=True)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "hello there"
    plain = list(stack.client().chat.completions.create(**asking(stream=True)))
    check_stream([chunk.to_dict() for chunk in plain], include_usage=False)


async def test_python_async(stack: Stack) -> None:
    client = stack.async_client()
    answer = await client.chat.completions.create(**asking())
    stream = await client.chat.completions.create(**asking(stream=True))
    said = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert answer.choices[0].message.content == said == "hello there"


def test_python_tools_are_the_same_both_ways(stack: Stack) -> None:
    asked = asking(CALL, tools=[WEATHER])
    answer = stack.client().chat.completions.create(**asked)
    with stack.client().chat.completions.stream(**asked) as stream:
        streamed = stream.get_final_completion()
    for completion in (answer, streamed):
        assert completion.choices[0].finish_reason == "tool_calls"
        [call] = completion.choices[0].message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"town": "Basel"})


def test_python_parse(stack: Stack) -> None:
    completion = stack.client().chat.completions.parse(**asking("Basel"), response_format=Reading)
    assert isinstance(completion.choices[0].message.parsed, Reading)


def test_python_models(stack: Stack) -> None:
    client = stack.client()
    headers = {"authorization": f"Bearer {KEY}"}
    check_models(httpx.get(f"{stack.url}/v1/models", headers=headers).json())
    assert "echo" in [model.id for model in client.models.list()]
    assert client.models.retrieve("openai/demo-org/demo-chat:free").id == "openai/demo-org/demo-chat:free"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no/such:model")


@pytest.mark.parametrize(
    ("changed", "error", "code", "param"),
    [
        ({"messages": []}, openai.BadRequestError, None, "messages"),
        ({"messages": "hi"}, openai.BadRequestError, "invalid_type", "messages"),
        ({"temperature": 3}, openai.BadRequestError, None, "temperature"),
        ({"model": "nobody/has-this"}, openai.NotFoundError, "model_not_found", "model"),
        ({"model": "echo", "n": 2}, openai.BadRequestError, "unsupported_parameter", "n"),
        ({"model": "echo", "tools": [WEATHER]}, openai.BadRequestError, "unsupported_parameter", "tools[0]"),
    ],
)
def test_python_errors_are_typed_and_name_what_is_wrong(
    stack: Stack, changed: dict[str, Any], error: type[openai.APIStatusError], code: str | None, param: str
) -> None:
    with pytest.raises(error) as refused:
        stack.client().chat.completions.create(**{**asking(), **changed})
    check_error(refused.value.response.json())
    assert refused.value.param == param
    assert code is None or refused.value.code == code
    assert refused.value.request_id


def test_python_keys(stack: Stack) -> None:
    with pytest.raises(openai.AuthenticationError) as wrong:
        stack.client(api_key="sk-wrong").chat.completions.create(**asking())
    assert wrong.value.code == "invalid_api_key"
    missing = httpx.post(f"{stack.url}/v1/chat/completions", json=asking())
    assert missing.status_code == 401
    check_error(missing.json())


def test_python_too_large(stack: Stack) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        stack.client().chat.completions.create(**asking("x" * 2_000_000))
    assert refused.value.status_code == 413
    check_error(refused.value.response.json())


def test_python_upstream_limits_and_refusals(stack: Stack, world: tuple[Stack, Emulator]) -> None:
    world[1].fault("invalid_api_key", times=None)
    with pytest.raises(openai.InternalServerError) as refused:
        stack.client().chat.completions.create(**asking())
    assert (refused.value.status_code, refused.value.code) == (502, "upstream_authentication_error")
    assert "sk-upstream" not in refused.value.response.text
    forget_rests(stack.store(), "openai")
    world[1].reset()
    world[1].fault("rate_limit", times=None, retry_after=7)
    with pytest.raises(openai.RateLimitError) as limited:
        stack.client().chat.completions.create(**asking())
    assert 1 <= int(limited.value.response.headers["retry-after"]) <= 7
    forget_rests(stack.store(), "openai")


async def test_python_helpers_are_the_same_without_waiting(stack: Stack) -> None:
    client = stack.async_client()
    async with client.chat.completions.stream(**asking(CALL, tools=[WEATHER])) as stream:
        kinds = [event.type async for event in stream]
        completion = await stream.get_final_completion()
    assert "tool_calls.function.arguments.done" in kinds
    [call] = completion.choices[0].message.tool_calls or []
    assert call.function.arguments == '{"town":"Basel"}'
    async with client.chat.completions.with_streaming_response.create(**asking(stream=True)) as response:
        lines = [line async for line in response.iter_lines() if line]
    assert response.headers["content-type"].startswith("text/event-stream") and lines[-1] == "data: [DONE]"


def test_python_hears_when_a_stream_breaks(stack: Stack, world: tuple[Stack, Emulator]) -> None:
    world[1].fault("error_frame", chunks=3)
    heard = ""
    with pytest.raises(openai.APIError) as broken:
        for chunk in stack.client().chat.completions.create(**asking("!say:" + "word " * 20, stream=True)):
            heard += chunk.choices[0].delta.content or ""
    assert heard.startswith("word")
    assert not isinstance(broken.value, openai.APIStatusError)
    assert (broken.value.type, broken.value.code) == ("server_error", "upstream_error")


def test_python_comes_back_when_it_is_told_to(stack: Stack, world: tuple[Stack, Emulator]) -> None:
    world[1].fault("rate_limit", retry_after=1)
    answer = stack.client(max_retries=2).chat.completions.create(**asking())
    assert answer.choices[0].message.content == "hello there"
    seen = world[1].stats()
    assert (seen["counts"]["status:429"], seen["counts"]["status:200"]) == (1, 1)
    assert not any("x-stainless-retry-count" in entry["headers"] for entry in seen["log"])


def test_python_does_not_sleep_for_minutes(stack: Stack, world: tuple[Stack, Emulator]) -> None:
    world[1].fault("rate_limit", times=None, retry_after=121)
    before = len(stack.records())
    with pytest.raises(openai.RateLimitError) as limited:
        stack.client(max_retries=2).chat.completions.create(**asking())
    assert limited.value.response.headers["x-should-retry"] == "false"
    until(lambda: len(stack.records()) > before, 5)
    assert len(stack.records()) == before + 1, "the client asked again although it was told not to"
    forget_rests(stack.store(), "openai")


def test_leaving_a_stream_hangs_up(stack: Stack, world: tuple[Stack, Emulator]) -> None:
    slow = asking("!slow:50:" + "word " * 100, stream=True)
    with stack.client().chat.completions.create(**slow) as stream:
        next(iter(stream))
    world[1].until(lambda stats: len(stats["hangups"]) == 1, 5)
    assert node(stack, "hangup", slow)["ok"] == {"count": 3}
    world[1].until(lambda stats: len(stats["hangups"]) == 2, 5)


def node(stack: Stack, scene: str, body: dict[str, Any], key: str = KEY) -> dict[str, Any]:
    env = {"OPENAI_BASE_URL": f"{stack.url}/v1", "OPENAI_API_KEY": key}
    done = run_node(NODE, scene, json.dumps(body), json.dumps({"maxRetries": 0}), env=env)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_node_unary_and_stream(stack: Stack) -> None:
    whole = node(stack, "create", asking())["ok"]
    check_completion(whole["completion"])
    assert whole["completion"]["choices"][0]["message"]["content"] == "hello there" and whole["request_id"]
    chunks = node(stack, "stream", asking(stream_options={"include_usage": True}))["ok"]["chunks"]
    check_stream(chunks, include_usage=True)


def test_node_helper_tools_parse_and_models(stack: Stack) -> None:
    [call] = node(stack, "helper", asking(CALL, tools=[WEATHER]))["ok"]["completion"]["choices"][0]["message"][
        "tool_calls"
    ]
    assert json.loads(call["function"]["arguments"]) == {"town": "Basel"}
    schema = {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "reading", "schema": schema}}
    assert "town" in node(stack, "parse", asking("Basel", response_format=wanted))["ok"]["parsed"]
    assert node(stack, "models", {"model": "echo"})["ok"]["one"]["id"] == "echo"


def test_node_errors(stack: Stack, world: tuple[Stack, Emulator]) -> None:
    world[1].fault("rate_limit", times=None, retry_after=7)
    expected = [
        (asking(model="nobody/has-this"), KEY, "NotFoundError", 404, "model_not_found", "model"),
        (asking(messages=[]), KEY, "BadRequestError", 400, "invalid_value", "messages"),
        (asking(model="echo", n=2), KEY, "BadRequestError", 400, "unsupported_parameter", "n"),
        (asking(), "sk-wrong", "AuthenticationError", 401, "invalid_api_key", None),
        (asking(), KEY, "RateLimitError", 429, "rate_limit_exceeded", None),
    ]
    for body, key, name, status, code, param in expected:
        error = node(stack, "create", body, key)["error"]
        assert (error["class"], error["status"], error["code"], error["param"]) == (name, status, code, param)
        assert error["requestID"]
    forget_rests(stack.store(), "openai")
