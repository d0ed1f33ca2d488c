"""Every look-alike's row against a stand-in that speaks with its accent: fields, limits, oddities, refusals."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from parley import errors
from parley.catalog import Timeouts, Upstream
from parley.chat.prompt import Prompt
from parley.leases import Lease
from parley.providers.openai import OpenAI
from parley.providers.rows import ROWS
from parley.transports import Net
from tests.shared.providers.lending import answered, credential, failed, lease, said
from tests.upstreams.openai.accent_errors import ACCENTED
from tests.upstreams.openai.lookalikes import ACCENTS
from tests.upstreams.running import Emulator

STAND_IN = "openai"
ROW_OF = {name: "openai-compatible" if name == "relay" else name for name in ACCENTS}
"""Which row speaks to which stand-in."""
everyone = pytest.mark.parametrize("name", ACCENTS)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": False}}
KNOBS: dict[str, Any] = {
    "frequency_penalty": 1,
    "logit_bias": {"5": 1},
    "max_completion_tokens": 900,
    "metadata": {"a": "b"},
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "x"},
    "presence_penalty": 1,
    "prompt_cache_key": "k",
    "reasoning_effort": "low",
    "safety_identifier": "s",
    "seed": 7,
    "service_tier": "default",
    "stop": ["\x01"],
    "store": True,
    "temperature": 2,
    "top_p": 0,
    "user": "u",
    "verbosity": "low",
}


def place(service: Emulator, name: str, key: str = "sk-upstream-1") -> tuple[Upstream, Lease]:
    times = Timeouts(connect=2.0, first_token=5.0, between_tokens=5.0)
    upstream = Upstream(name="it", provider=ROW_OF[name], base_url=f"{service.url}/{name}/v1", timeouts=times)
    return upstream, lease(upstream, credential({"value": key} if key else {}))


def asking(*turns: dict[str, Any] | str, model: str = "demo-mini", **fields: Any) -> Prompt:
    messages = [{"role": "user", "content": turn} if isinstance(turn, str) else turn for turn in turns]
    raw = {"model": model, "messages": messages, **fields}
    prompt = msgspec.convert(raw, Prompt)
    prompt.raw = raw
    return prompt


@everyone
async def test_every_knob_may_be_turned_and_what_the_service_does_not_know_stays_at_home(
    service: Emulator, net: Net, name: str
):
    upstream, lent = place(service, name)
    prompt = asking({"role": "developer", "content": "Be brief."}, "!report", tools=[TOOL], **KNOBS)
    provider = OpenAI(upstream, net)
    body = json.loads(said(await answered(provider, prompt, lent)))["body"]
    assert not body.keys() & provider.drops
    assert body["max_tokens"] == 900
    assert "max_completion_tokens" not in body
    assert body["stop"] == ["\x01"]


@everyone
async def test_thoughts_words_and_usage_come_whatever_the_accent(service: Emulator, net: Net, name: str):
    upstream, lent = place(service, name)
    answer = await answered(OpenAI(upstream, net), asking("!think:hm, well\n!say:hello there"), lent)
    assert said(answer) == "hello there"
    assert "".join(answer.choices[0].thought) == "hm, well"
    assert answer.choices[0].finish == "stop"
    if name == "relay":
        assert answer.usage is None
        return
    assert answer.usage is not None
    assert answer.usage.prompt > 0
    assert answer.usage.completion > 0
    counts_cached = name in {"deepseek", "moonshot", "openrouter", "qwen", "ark", "llama.cpp"}
    assert answer.usage.cached == (answer.usage.prompt // 2 if counts_cached else 0)


@everyone
async def test_calls_are_told_apart_whatever_the_accent(service: Emulator, net: Net, name: str):
    upstream, lent = place(service, name)
    prompt = asking('!tool:f:{"a":1}\n!tool:f:{"b":2}', tools=[TOOL])
    choice = (await answered(OpenAI(upstream, net), prompt, lent)).choices[0]
    assert [(call.name, json.loads("".join(call.arguments))) for call in choice.calls] == [
        ("f", {"a": 1}),
        ("f", {"b": 2}),
    ]
    assert len({call.id for call in choice.calls}) == 2
    assert choice.finish == "tool_calls"


@everyone
async def test_a_call_and_its_result_are_told_with_the_thoughts_that_the_service_wants(
    service: Emulator, net: Net, name: str
):
    upstream, lent = place(service, name)
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    prompt = asking(
        "first",
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "hm"},
        {"role": "tool", "tool_call_id": "call_1", "content": "14"},
        {"role": "assistant", "content": "It is 14.", "reasoning_content": "so"},
        "!say:fine",
        model="demo-reasoner",
    )
    assert said(await answered(OpenAI(upstream, net), prompt, lent)) == "fine"
    prompt.raw["messages"][1].pop("reasoning_content")
    if name == "deepseek":
        _, failure = await failed(OpenAI(upstream, net), prompt, lent)
        assert "must be passed back" in failure.message


async def test_the_service_hears_a_demand_for_json(service: Emulator, net: Net):
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "properties": {}}}}
    for name, row in ROW_OF.items():
        upstream, lent = place(service, name)
        provider = OpenAI(upstream, net)
        assert said(await answered(provider, asking("some json", response_format={"type": "json_object"}), lent))
        if "json_schema" in ROWS[row].features:
            assert said(await answered(provider, asking("x", response_format=wanted), lent)) == "{}"
        else:
            _, failure = await failed(provider, asking("x", response_format=wanted), lent)
            assert type(failure) is errors.BadRequest, "the row promises less than the service does"


SITUATIONS: dict[str, type[errors.Failure]] = {
    "no_key": errors.CredentialRejected,
    "wrong_key": errors.CredentialRejected,
    "quota": errors.QuotaExhausted,
    "rate": errors.Throttled,
    "path": errors.ModelNotFound,
    "request": errors.BadRequest,
    "model": errors.ModelNotFound,
    "filtered": errors.BadRequest,
    "flagged": errors.BadRequest,
    "overloaded": errors.UpstreamOverloaded,
    "loading": errors.UpstreamOverloaded,
    "too_long": errors.ContextTooLong,
}


async def test_each_refusal_is_understood_whatever_the_accent(service: Emulator, net: Net):
    names = {name.replace(".", ""): name for name in ACCENTS}
    for fault in sorted(ACCENTED):
        name, _, situation = fault.partition("_")
        upstream, lent = place(service, names[name])
        service.fault(fault)
        events, failure = await failed(OpenAI(upstream, net), asking("hello"), lent)
        assert events == []
        assert type(failure) is SITUATIONS[situation], fault
        if situation in ("filtered", "flagged"):
            assert failure.code == "content_filter"


@everyone
async def test_models_are_listed_and_a_wrong_key_is_found_without_a_completion(service: Emulator, net: Net, name: str):
    service.set(models=["b", "org/a:x"])
    upstream, lent = place(service, name)
    provider = OpenAI(upstream, net)
    assert await provider.models(lent) == ["b", "org/a:x"]
    await provider.probe(lent.credential)
    if ACCENTS[name].open:
        upstream, lent = place(service, name, key="")
        assert said(await answered(OpenAI(upstream, net), asking("hello", model="b"), lent)) == "hello"
        return
    with pytest.raises(errors.CredentialRejected):
        await provider.probe(place(service, name, "sk-wrong-key")[1].credential)
    assert service.stats()["counts"].get("chat", 0) == 0


async def test_an_operator_may_know_better_what_a_server_honours(service: Emulator, net: Net):
    upstream = Upstream("it", "vllm", f"{service.url}/vllm/v1", options={"features": ["tools", "usage"]})
    assert OpenAI(upstream, net).features == {"tools", "usage"}
    with pytest.raises(msgspec.ValidationError):
        OpenAI(Upstream("it", "vllm", options={"features": ["telepathy"]}), net)
