"""The official AzureOpenAI client, unmodified, against the stand-in: both surfaces, both ways to sign in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.upstreams.running import Emulator

TOOL: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator("azure") as emulator:
        yield emulator


@pytest.fixture
def emu(running: Emulator) -> Emulator:
    running.reset()
    return running


def azure(emu: Emulator, version: str = "2024-10-21", **more: Any) -> openai.AzureOpenAI:
    options = {"api_key": "azure-key-1", "max_retries": 0, **more}
    return openai.AzureOpenAI(azure_endpoint=emu.url, api_version=version, **options)


def hello(text: str = "hello") -> Any:
    return [{"role": "user", "content": text}]


def test_a_deployment_answers_and_names_its_model(emu: Emulator) -> None:
    said = azure(emu).chat.completions.create(model="my dep", messages=hello())
    assert said.choices[0].message.content == "hello"
    assert said.model == "gpt-4o-2024-08-06"
    assert said.usage
    assert said.usage.completion_tokens > 0
    extra = said.to_dict()
    assert extra["prompt_filter_results"][0]["content_filter_results"]["jailbreak"]["detected"] is False  # type: ignore[index]
    (entry,) = emu.stats()["log"]
    assert entry["path"] == "/openai/deployments/my%20dep/chat/completions?api-version=2024-10-21"
    assert entry["headers"]["api-key"] == "azure-key-1"
    assert "authorization" not in entry["headers"]


def test_a_token_of_entra_opens_it_too(emu: Emulator) -> None:
    client = azure(emu, api_key=None, azure_ad_token="entra-token-1")
    assert client.chat.completions.create(model="chat", messages=hello()).choices[0].message.content == "hello"
    assert emu.stats()["log"][0]["headers"]["authorization"] == "Bearer entra-token-1"


@pytest.mark.parametrize("mode", ["buffered", "annotations", "asynchronous", "down"])
def test_a_stream_begins_with_the_filters_own_chunk(emu: Emulator, mode: str) -> None:
    emu.set(filter=mode)
    options: Any = {"stream_options": {"include_usage": True}}
    chunks = list(
        azure(emu).chat.completions.create(model="chat", messages=hello("hello there"), stream=True, **options)
    )
    first = chunks[0].to_dict()
    assert (first["id"], first["choices"]) == ("", [])
    assert ("prompt_annotations" if mode == "annotations" else "prompt_filter_results") in first
    spoken = [choice for chunk in chunks for choice in chunk.choices if getattr(choice, "delta", None)]
    assert "".join(choice.delta.content or "" for choice in spoken) == "hello there"
    bare = [choice for chunk in chunks for choice in chunk.choices if not getattr(choice, "delta", None)]
    assert bool(bare) == (mode == "asynchronous")
    assert chunks[-1].usage


def test_tools_are_called(emu: Emulator) -> None:
    said = azure(emu).chat.completions.create(model="chat", messages=hello('!tool:f:{"a":1}'), tools=[TOOL])
    (call,) = said.choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("f", {"a": 1})


def test_the_newer_surface_is_served_to_the_plain_client(emu: Emulator) -> None:
    client = openai.OpenAI(base_url=f"{emu.url}/openai/v1/", api_key="azure-key-2", max_retries=0)
    said = client.chat.completions.create(
        model="thinker", messages=hello(), max_completion_tokens=50, extra_query={"api-version": "preview"}
    )
    assert said.choices[0].message.content == "hello"
    assert [model.id for model in client.models.list()] == ["demo-reasoner", "gpt-4o-2024-08-06"]
    with pytest.raises(openai.BadRequestError, match="API version"):
        client.chat.completions.create(model="chat", messages=hello(), extra_query={"api-version": "2024-10-21"})


@pytest.mark.parametrize(
    ("version", "fields", "name"),
    [
        ("2023-05-15", {"tools": [TOOL]}, "tools"),
        ("2024-02-01", {"stream": True, "stream_options": {"include_usage": True}}, "stream_options"),
        ("2024-06-01", {"max_completion_tokens": 5}, "max_completion_tokens"),
        ("2024-06-01", {"metadata": {"a": "b"}}, "metadata"),
        ("2024-10-21", {"reasoning_effort": "low"}, "reasoning_effort"),
        ("2025-04-01-preview", {"web_search_options": {}}, "web_search_options"),
    ],
)
def test_a_version_refuses_what_it_does_not_know(emu: Emulator, version: str, fields: Any, name: str) -> None:
    with pytest.raises(openai.BadRequestError, match=f"Unrecognized request argument supplied: {name}"):
        azure(emu, version).chat.completions.create(model="chat", messages=hello(), **fields)


def test_who_is_wrong_is_told_so(emu: Emulator) -> None:
    with pytest.raises(openai.AuthenticationError):
        azure(emu, api_key="wrong").models.list()
    with pytest.raises(openai.NotFoundError) as missing:
        azure(emu).chat.completions.create(model="nobody", messages=hello())
    assert missing.value.code == "DeploymentNotFound"
    with pytest.raises(openai.NotFoundError, match="Resource not found"):
        openai.OpenAI(base_url=f"{emu.url}/openai/deployments/chat", api_key="x", max_retries=0).models.retrieve("x")
    with pytest.raises(openai.BadRequestError, match="API version"):
        azure(emu, "2031-01-01").chat.completions.create(model="chat", messages=hello())


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("content_filter", openai.BadRequestError, "content_filter"),
        ("context_length", openai.BadRequestError, "context_length_exceeded"),
        ("operation", openai.BadRequestError, "OperationNotSupported"),
        ("unauthorized", openai.AuthenticationError, "401"),
        ("permission", openai.AuthenticationError, "PermissionDenied"),
        ("firewall", openai.PermissionDeniedError, "403"),
        ("deployment_not_found", openai.NotFoundError, "DeploymentNotFound"),
        ("timeout", openai.APIStatusError, "Timeout"),
        ("rate_limit", openai.RateLimitError, "429"),
        ("no_capacity", openai.RateLimitError, "NoCapacity"),
        ("quota", openai.RateLimitError, "insufficient_quota"),
        ("server_error", openai.InternalServerError, None),
        ("unavailable", openai.InternalServerError, "ServiceUnavailable"),
    ],
)
def test_every_refusal_raises_its_exception(emu: Emulator, fault: str, kind: Any, code: str | None) -> None:
    emu.fault(fault, None)
    with pytest.raises(kind) as refused:
        azure(emu).chat.completions.create(model="chat", messages=hello())
    assert refused.value.code == code
    assert refused.value.response.headers["apim-request-id"]


def test_a_front_says_it_in_its_own_shape(emu: Emulator) -> None:
    emu.fault("unauthorized_front")
    with pytest.raises(openai.AuthenticationError) as refused:
        azure(emu).chat.completions.create(model="chat", messages=hello())
    assert refused.value.response.json() == {"message": "Access denied.", "statusCode": 401}


def test_the_client_comes_back_when_it_is_told(emu: Emulator) -> None:
    emu.fault("ptu", 1, retry_after_ms=1)
    said = azure(emu, max_retries=1).chat.completions.create(model="chat", messages=hello())
    assert said.choices[0].message.content == "hello"
    assert emu.stats()["counts"]["chat"] == 2


def test_a_filter_may_strike_midway_and_a_stream_may_come_in_one_burst(emu: Emulator) -> None:
    emu.fault("filtered_midway", pieces=1)
    chunks = list(azure(emu).chat.completions.create(model="chat", messages=hello("hello there"), stream=True))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == "hell"
    assert choices[-1].finish_reason == "content_filter"
    emu.fault("burst", seconds=0.05)
    chunks = list(azure(emu).chat.completions.create(model="chat", messages=hello("hello there"), stream=True))
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "hello there"


def test_limits_are_in_the_headers_and_may_mean_nothing(emu: Emulator) -> None:
    emu.set(limits_unknown=True)
    raw = azure(emu).chat.completions.with_raw_response.create(model="chat", messages=hello())
    assert raw.headers["x-ratelimit-remaining-tokens"] == "-1"
    assert raw.parse().choices[0].message.content == "hello"
