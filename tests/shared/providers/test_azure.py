"""The provider for Azure OpenAI against its stand-in: both surfaces, every version, the filter in all its modes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from parley import errors
from parley.catalog import CredentialPlan, Timeouts, Upstream
from parley.chat.events import Stop
from parley.chat.prompt import Prompt
from parley.leases import Lease
from parley.providers.azure import Azure
from parley.providers.openai import OpenAI
from parley.sealed import Secret
from parley.settings import ConfigurationError
from parley.transports import Net
from tests.shared.providers.lending import answered, credential, failed, lease, said
from tests.upstreams.running import Emulator

STAND_IN = "azure"
KEY = {"api_key": "azure-key-1"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
VERSIONS = ["2023-12-01-preview", "2024-02-01", "2024-06-01", "2024-09-01-preview", "2024-10-21"]
LATER = ["2024-12-01-preview", "2025-04-01-preview", "v1", "preview"]


def place(service: Emulator, version: str = "2024-10-21", path: str = "", **facts: Any) -> Upstream:
    options = {"api_version": version, "deployments": {"gpt-4o": "my dep"}}
    times = Timeouts(connect=2.0, first_token=5.0, between_tokens=5.0)
    return Upstream("it", "azure", service.url + path, timeouts=times, options=options, **facts)


def lent(upstream: Upstream, parts: Mapping[str, str] = KEY, **facts: Any) -> Lease:
    return lease(upstream, credential(parts, **facts))


def asking(text: str = "hello", model: str = "gpt-4o", **fields: Any) -> Prompt:
    raw = {"model": "asked", "messages": [{"role": "user", "content": text}], **fields}
    prompt = msgspec.convert(raw, Prompt)
    prompt.raw, prompt.model = raw, model
    return prompt


@pytest.mark.parametrize("version", [*VERSIONS, *LATER])
async def test_every_knob_may_be_turned_at_every_version(service: Emulator, net: Net, version: str):
    knobs: dict[str, Any] = {
        "max_completion_tokens": 900,
        "metadata": {"a": "b"},
        "moderation": {},
        "parallel_tool_calls": False,
        "prediction": {"type": "content", "content": "x"},
        "prompt_cache_key": "k",
        "reasoning_effort": "low",
        "safety_identifier": "s",
        "seed": 7,
        "service_tier": "default",
        "store": True,
        "temperature": 0.5,
        "tools": [TOOL],
        "user": "u",
        "verbosity": "low",
    }
    upstream = place(service, version)
    answer = await answered(Azure(upstream, net), asking("!report", **knobs), lent(upstream))
    report = json.loads(said(answer))
    assert report["body"]["temperature"] == 0.5
    dated = f"/openai/deployments/my%20dep/chat/completions?api-version={version}"
    query = "?api-version=preview" if version == "preview" else ""
    assert report["path"] == (dated if version[0] == "2" else f"/openai/v1/chat/completions{query}")
    assert report["body"]["model"] == "my dep"
    assert (answer.usage is not None) == ("stream_options" in report["body"]) == (version >= "2024-10-21")


@pytest.mark.parametrize("mode", ["buffered", "annotations", "asynchronous", "down"])
async def test_the_filters_own_chunks_are_nobodys_words(service: Emulator, net: Net, mode: str):
    service.set(filter=mode)
    upstream = place(service)
    answer = await answered(Azure(upstream, net), asking("!think:hm\n!say:hello there"), lent(upstream))
    assert (said(answer), "".join(answer.choices[0].thought)) == ("hello there", "hm")
    assert (answer.choices[0].finish, list(answer.choices)) == ("stop", [0])
    assert answer.usage is not None
    assert answer.usage.measured


async def test_a_filter_that_strikes_midway_ends_the_answer_and_says_so(service: Emulator, net: Net):
    service.fault("filtered_midway", pieces=1)
    upstream = place(service)
    answer = await answered(Azure(upstream, net), asking("hello there"), lent(upstream))
    assert (said(answer), answer.choices[0].finish) == ("hell", "content_filter")


async def test_a_filtered_question_is_the_callers_matter_and_says_which_filter_struck(service: Emulator, net: Net):
    service.fault("content_filter")
    upstream = place(service)
    events, failure = await failed(Azure(upstream, net), asking(), lent(upstream))
    assert events == []
    assert (failure.code, failure.param, failure.blames) == ("content_filter", "prompt", "caller")
    assert failure.details["innererror"]["content_filter_result"]["hate"] == {"filtered": True, "severity": "high"}


async def test_a_long_silence_and_then_everything_at_once_is_an_answer(service: Emulator, net: Net):
    service.fault("burst", seconds=0.3)
    upstream = place(service)
    assert said(await answered(Azure(upstream, net), asking("hello there"), lent(upstream))) == "hello there"


async def test_tools_are_called(service: Emulator, net: Net):
    upstream = place(service)
    prompt = asking('!tool:f:{"a":1}\n!tool:f:{"b":2}', tools=[TOOL])
    choice = (await answered(Azure(upstream, net), prompt, lent(upstream))).choices[0]
    assert ["".join(call.arguments) for call in choice.calls] == ['{"a":1}', '{"b":2}']
    assert choice.finish == "tool_calls"


async def test_a_token_opens_it_and_a_private_gateways_path_stays(service: Emulator, net: Net):
    upstream = place(service, path="/team-a/openai/deployments/other?api-version=2023-05-15")
    report = json.loads(
        said(await answered(Azure(upstream, net), asking("!report"), lent(upstream, {"token": "entra-token-1"})))
    )
    assert report["path"].startswith("/team-a/openai/deployments/my%20dep/chat/completions")
    assert report["headers"]["authorization"] == "Bearer entra-token-1"
    assert "api-key" not in report["headers"]


async def test_the_address_tells_the_surface_when_nothing_else_does(service: Emulator, net: Net):
    for path, asked in (("", "/openai/deployments/chat/"), ("/openai/v1/", "/openai/v1/chat/")):
        upstream = Upstream("it", "azure", service.url + path)
        await answered(Azure(upstream, net), asking(model="chat"), lent(upstream))
        assert service.stats()["log"][-1]["path"].startswith(asked)


async def test_a_name_that_is_not_mapped_is_a_deployments_own(service: Emulator, net: Net):
    upstream = place(service)
    assert said(await answered(Azure(upstream, net), asking(model="chat"), lent(upstream))) == "hello"
    _, failure = await failed(Azure(upstream, net), asking(model="gpt.4o"), lent(upstream))
    assert (type(failure), failure.status) == (errors.ModelNotFound, 404)


@pytest.mark.parametrize("several", [False, True])
async def test_what_one_resource_does_not_have_another_may(service: Emulator, net: Net, several: bool):
    plans = tuple(CredentialPlan(f"c{n}", {"api_key": Secret("azure-key-1")}) for n in range(1 + several))
    upstream = place(service, credentials=plans)
    _, failure = await failed(Azure(upstream, net), asking(model="nobody"), lent(upstream))
    assert (failure.status, failure.code, failure.try_next) == (404, "model_not_found", several)


async def test_a_key_is_probed_without_a_completion_and_only_mapped_models_are_known(service: Emulator, net: Net):
    for version in ("2024-10-21", "v1"):
        upstream = place(service, version)
        provider = Azure(upstream, net)
        await provider.probe(lent(upstream).credential)
        assert await provider.models(lent(upstream)) == ["gpt-4o"]
        with pytest.raises(errors.CredentialRejected):
            await provider.probe(lent(upstream, {"api_key": "wrong"}).credential)
    with pytest.raises(errors.CredentialRejected):
        await Azure(upstream, net).probe(lent(upstream, {"alias": "only"}).credential)
    assert service.stats()["counts"].get("chat", 0) == 0


async def test_a_resource_of_a_credentials_own_is_asked_there(service: Emulator, net: Net):
    upstream = Upstream("it", "azure", "http://127.0.0.1:1", options={"deployments": {"gpt-4o": "my dep"}})
    there = lent(upstream, base_url=f"{service.url}/openai/v1/")
    assert said(await answered(Azure(upstream, net), asking(), there)) == "hello"


async def test_a_provisioned_deployment_that_is_full_says_when_to_come_back(service: Emulator, net: Net):
    service.fault("ptu", retry_after_ms=2500)
    upstream = place(service)
    _, failure = await failed(Azure(upstream, net), asking(), lent(upstream))
    assert (type(failure), failure.retry_after) == (errors.Throttled, 2.5)


async def test_what_breaks_after_the_first_words_is_a_failure_after_them(service: Emulator, net: Net):
    upstream = place(service)
    service.fault("reset", bytes=1400)
    events, failure = await failed(Azure(upstream, net), asking("word " * 60), lent(upstream))
    assert type(failure) is errors.UpstreamTruncated
    assert events
    assert not any(isinstance(event, Stop) for event in events)


async def test_two_hundred_answers_at_a_time_do_not_mix(service: Emulator, net: Net):
    upstream = place(service)
    provider = Azure(upstream, net)
    texts = [f"{n}: " + "x" * n for n in range(200)]
    answers = await asyncio.gather(*[answered(provider, asking(text), lent(upstream)) for text in texts])
    assert [said(answer) for answer in answers] == texts


def test_what_cannot_be_asked_is_refused_when_it_is_made(net: Net):
    with pytest.raises(ConfigurationError, match="api-version is a date"):
        Azure(Upstream("it", "azure", "https://a.example", options={"api_version": "newest"}), net)
    with pytest.raises(ConfigurationError, match="needs an endpoint"):
        Azure(Upstream("it", "azure", credentials=(CredentialPlan("c", {"api_key": Secret("k1")}),)), net)
    with pytest.raises(msgspec.ValidationError):
        Azure(Upstream("it", "azure", "https://a.example", options={"deployment": "x"}), net)


async def test_a_model_that_one_account_of_openai_lacks_another_may_have(net: Net):
    with Emulator("openai") as service:
        plans = tuple(CredentialPlan(f"c{n}", {"value": Secret("sk-upstream-1")}) for n in range(2))
        upstream = Upstream("it", "openai", f"{service.url}/v1", credentials=plans)
        there = lent(upstream, {"value": "sk-upstream-1"})
        _, failure = await failed(OpenAI(upstream, net), asking(model="nobody"), there)
        assert (type(failure), failure.status) == (errors.ModelElsewhere, 404)
