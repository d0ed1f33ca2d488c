"""The provider for Anthropic's API, against a stand-in that breaks in every way of its page."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from parley import errors
from parley.catalog import Timeouts, Upstream
from parley.chat.answer import Answer
from parley.chat.events import Stop, Text
from parley.chat.prompt import Prompt
from parley.leases import Lease
from parley.providers.anthropic import Anthropic
from parley.transports import Net
from tests.shared.providers.lending import answered, credential, failed, lease, said
from tests.upstreams.anthropic.frames import FRAMES
from tests.upstreams.anthropic.settings import MODELS
from tests.upstreams.running import Emulator

STAND_IN = "anthropic"
KEY, MODEL = "sk-ant-one", "claude-demo-4-5"
WORDS = "汉字, words and 🙂: " + " ".join(f"number {n}" for n in range(8))
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}
CALLS = '!say:Let me look.\n!tool:get_weather:{"town":"Zürich"}\n!tool:get_weather:{"town":"Basel"}'


def place(service: Emulator, path: str = "", **options: Any) -> Upstream:
    times = Timeouts(connect=2.0, first_token=5.0, between_tokens=5.0)
    return Upstream(name="it", provider="anthropic", base_url=service.url + path, timeouts=times, options=options)


def key(upstream: Upstream, **parts: str) -> Lease:
    return lease(upstream, credential(parts or {"value": KEY}))


def asking(text: str | list[Any] = WORDS, **fields: Any) -> Prompt:
    """A request as the gateway's wire parses it."""
    messages = [{"role": "user", "content": text}] if isinstance(text, str) else text
    raw = {"model": MODEL, "messages": messages, **fields}
    prompt = msgspec.convert(raw, Prompt)
    prompt.raw = raw
    return prompt


async def asked(service: Emulator, net: Net, prompt: Prompt, **options: Any) -> Answer:
    upstream = place(service, **options)
    return await answered(Anthropic(upstream, net), prompt, key(upstream))


async def reported(service: Emulator, net: Net, lent: Lease, prompt: Prompt | None = None) -> dict[str, Any]:
    """What arrived."""
    told: dict[str, Any] = json.loads(
        said(await answered(Anthropic(lent.upstream, net), prompt or asking("!report"), lent))
    )
    return told


async def test_an_answer_comes_with_its_ending_and_usage(service: Emulator, net: Net):
    answer = await asked(service, net, asking())
    assert said(answer) == WORDS
    assert answer.choices[0].finish == "stop"
    assert answer.usage is not None
    assert answer.usage.measured
    assert answer.usage.prompt > 0
    assert answer.usage.completion == -(-len(WORDS) // 4)


async def test_the_request_carries_the_key_the_version_and_no_more(service: Emulator, net: Net):
    told = await reported(service, net, key(place(service, betas=["one", "two"], headers={"x-more": "1"})))
    assert (told["key"], told["auth"], told["path"]) == (KEY, "x-api-key", "/v1/messages")
    headers = told["headers"]
    assert headers["anthropic-version"] == "2023-06-01"
    assert headers["anthropic-beta"] == "one,two"
    assert headers["x-more"] == "1"
    assert headers["accept-encoding"] == "identity"
    assert set(headers) <= {
        *("host", "accept", "accept-encoding", "content-type", "content-length", "user-agent", "x-api-key"),
        *("anthropic-version", "anthropic-beta", "x-more"),
    }


async def test_tokens_go_as_a_bearer(service: Emulator, net: Net):
    upstream = place(service)
    token = await reported(service, net, key(upstream, auth_token="plain-token"))
    assert (token["key"], token["auth"], "x-api-key" in token["headers"]) == ("plain-token", "bearer", False)
    assert (await reported(service, net, key(upstream, value="sk-ant-oat-token")))["auth"] == "bearer"


@pytest.mark.parametrize(
    ("path", "arrives"), [("/", "/v1/messages"), ("/v1", "/v1/messages"), ("/a/b", "/a/b/v1/messages")]
)
async def test_a_path_is_kept_and_a_version_not_doubled(service: Emulator, net: Net, path: str, arrives: str):
    assert (await reported(service, net, key(place(service, path))))["path"] == arrives


async def test_the_newer_version_and_its_models(service: Emulator, net: Net):
    upstream = place(service, version="2026-10-21")
    knobs = {"temperature": 0.3, "top_p": 0.5, "top_k": 4, "reasoning_effort": "xhigh", "max_tokens": 3000}
    told = await reported(service, net, key(upstream), asking("!report", **{**knobs, "model": "claude-demo-4-7"}))
    assert told["headers"]["anthropic-version"] == "2026-10-21"
    assert told["body"]["thinking"] == {"type": "adaptive"}
    assert told["body"]["output_config"] == {"effort": "xhigh"}
    assert not told["body"].keys() & {"temperature", "top_p", "top_k"}
    provider = Anthropic(upstream, net)
    assert {"temperature", "top_p"} <= provider.drops
    assert not {"temperature", "top_p"} & Anthropic(place(service), net).drops


async def test_a_model_that_takes_no_sampling_is_asked_without(service: Emulator, net: Net):
    """Its name says nothing of it, so it is found out."""
    told = await asked(service, net, asking("!say:hi", model="mystery", temperature=0.3))
    assert said(told) == "hi"
    bodies = [entry["body"] for entry in service.stats()["log"]]
    assert [body.get("temperature") for body in bodies] == [0.3, None]


async def test_wrong_options_are_refused_when_the_provider_is_made(service: Emulator, net: Net):
    for wrong in ({"versions": "2023-06-01"}, {"version": "2024-01-01"}, {"max_tokens": "x"}):
        with pytest.raises(msgspec.ValidationError):
            Anthropic(place(service, **wrong), net)


async def test_what_is_promised_follows_the_options(service: Emulator, net: Net):
    plain = Anthropic(place(service), net).features
    assert {"json_object", "reasoning", "tools"} <= plain
    assert "stop" not in plain, "the API takes no blank sequences; the gateway does"
    assert "json_object" not in Anthropic(place(service, json_object="refuse"), net).features
    assert "reasoning" not in Anthropic(place(service, thoughts="hidden"), net).features


# --- tools and thoughts -------------------------------------------------------------------------------------------


async def test_signed_thoughts_survive_a_round_of_tools(service: Emulator, net: Net):
    question = {"role": "user", "content": "!think:hm, 汉字\n" + CALLS}
    wish: dict[str, Any] = {"tools": [WEATHER], "reasoning_effort": "low", "max_tokens": 4000}
    first = (await asked(service, net, asking([question], **wish))).choices[0]
    assert "".join(first.thought) == "hm, 汉字"
    assert "".join(first.text) == "Let me look."
    assert first.finish == "tool_calls"
    # As a client of OpenAI's API keeps the message: with whatever else is in it.
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": "".join(call.arguments)}}
        for call in first.calls
    ]
    spoken = {"role": "assistant", "content": "".join(first.text), "tool_calls": calls, **first.extra}
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "14 C"} for call in calls]
    again = await asked(service, net, asking([question, spoken, *results], **wish))
    assert said(again) == "14 C 14 C"
    assert again.choices[0].thought, "it thinks on"
    del spoken["thinking_blocks"]
    without = await asked(service, net, asking([question, spoken, *results], **wish))
    assert said(without) == "14 C 14 C"
    assert not without.choices[0].thought, "thoughts that were lost are not asked for"
    for place_ in (0, 1):
        spoken["thinking_blocks"] = json.loads(json.dumps(first.extra["thinking_blocks"]))
        spoken["thinking_blocks"][0][("thinking", "signature")[place_]] += "x"
        upstream = place(service)
        _, failure = await failed(Anthropic(upstream, net), asking([question, spoken, *results], **wish), key(upstream))
        assert isinstance(failure, errors.BadRequest), "whoever changes a thought is told so"


async def test_hidden_thoughts_are_told_in_no_way(service: Emulator, net: Net):
    wish: dict[str, Any] = {"tools": [WEATHER], "reasoning_effort": "low", "max_tokens": 4000}
    choice = (await asked(service, net, asking("!think:hm\n!say:yes", **wish), thoughts="hidden")).choices[0]
    assert (choice.text, choice.thought, choice.extra) == (["yes"], [], {})


@pytest.mark.parametrize("model", [MODEL, "claude-demo-4-7", "claude-3-5-demo-20241022"])
async def test_a_schema_is_kept_by_every_model(service: Emulator, net: Net, model: str):
    schema = {"type": "object", "properties": {"town": {"type": "string"}, "n": {"type": "integer", "minimum": 1}}}
    shape = {"type": "json_schema", "json_schema": {"name": "s", "schema": {**schema, "required": ["town", "n"]}}}
    answer = await asked(service, net, asking("Basel", model=model, response_format=shape))
    assert json.loads(said(answer)) == {"town": "text", "n": 1}
    assert answer.choices[0].finish == "stop"
    assert not answer.choices[0].calls


async def test_an_object_of_any_kind_is_asked_for_in_words(service: Emulator, net: Net):
    answer = await asked(service, net, asking("Basel", response_format={"type": "json_object"}))
    assert json.loads(said(answer)) == {"echo": "Basel"}


async def test_a_remembered_beginning_is_part_of_the_prompt(service: Emulator, net: Net):
    mark = {"type": "text", "text": "word " * 2000, "cache_control": {"type": "ephemeral"}}
    prompt = asking([{"role": "system", "content": [mark]}, {"role": "user", "content": "Hello"}])
    first, second = [(await asked(service, net, prompt)).usage for _ in range(2)]
    assert first is not None
    assert second is not None
    assert first.prompt == second.prompt > 2000
    assert first.cached == 0
    assert second.cached > 2000


async def test_thoughts_are_counted(service: Emulator, net: Net):
    answer = await asked(service, net, asking("!think:hm, let me see\n!say:yes", reasoning_effort="low"))
    assert answer.usage is not None
    assert answer.usage.reasoning == 4
    assert answer.usage.completion == 5


# --- oddities and failures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        *(name for name in FRAMES if name != "garbage_frame"),
        *("unknown_events", "unknown_deltas", "unknown_blocks", "pings", "usage_in_delta", "no_block_stop"),
        *("no_message_stop", "whole_input", "json_for_stream", "pause_turn", "stop_reason", "redacted"),
        *("bytewise", "gzip", "close_delimited", "fixed_length"),
    ],
)
async def test_an_oddity_changes_nothing_in_the_answer(service: Emulator, net: Net, fault: str):
    upstream = place(service)
    provider = Anthropic(upstream, net)
    prompt = asking(CALLS, tools=[WEATHER])
    plain = await answered(provider, prompt, key(upstream))
    service.fault(fault, None)
    odd = await answered(provider, prompt, key(upstream))
    assert said(odd) == said(plain)
    assert odd.choices[0].finish == plain.choices[0].finish == "tool_calls"
    assert [(call.name, json.loads("".join(call.arguments))) for call in odd.choices[0].calls] == [
        ("get_weather", {"town": "Zürich"}),
        ("get_weather", {"town": "Basel"}),
    ]
    assert odd.usage == plain.usage


async def test_a_tool_without_a_word_of_input_gets_an_empty_object(service: Emulator, net: Net):
    service.fault("no_partial_json")
    answer = await asked(service, net, asking(CALLS, tools=[WEATHER]))
    assert ["".join(call.arguments) for call in answer.choices[0].calls] == ["{}", "{}"]


async def test_usage_is_taken_where_it_is_and_not_made_up(service: Emulator, net: Net):
    service.fault("delta_usage_missing")
    begun = (await asked(service, net, asking())).usage
    assert begun is not None
    assert begun.completion == 1
    service.fault("usage_missing")
    assert (await asked(service, net, asking())).usage is None


async def test_an_answer_may_be_empty(service: Emulator, net: Net):
    service.fault("no_content")
    answer = await asked(service, net, asking())
    assert (said(answer), answer.choices[0].finish) == ("", "stop")


async def test_a_refusal_says_why(service: Emulator, net: Net):
    service.fault("refusal", explanation="Not this.")
    choice = (await asked(service, net, asking("some words"))).choices[0]
    assert ("".join(choice.refusal), choice.finish) == ("Not this.", "content_filter")
    assert "".join(choice.text) == "some words"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "stop"),
        ("refusal", "content_filter"),
        ("tomorrow's", "stop"),
    ],
)
async def test_every_reason_to_stop_has_its_name(service: Emulator, net: Net, reason: str, finish: str):
    service.fault("stop_reason", reason=reason)
    assert (await asked(service, net, asking())).choices[0].finish == finish


@pytest.mark.parametrize(
    ("fault", "params", "kind"),
    [
        ("invalid_request", {}, errors.BadRequest),
        ("authentication", {}, errors.CredentialRejected),
        ("billing", {}, errors.QuotaExhausted),
        ("permission", {}, errors.CredentialRejected),
        ("forbidden", {}, errors.CredentialRejected),
        ("not_found", {}, errors.ModelNotFound),
        ("conflict", {}, errors.UpstreamBroken),
        ("too_large", {}, errors.TooLarge),
        ("rate_limit", {"retry_after": 7}, errors.Throttled),
        ("spend_cap", {}, errors.QuotaExhausted),
        ("spend_limit", {}, errors.QuotaExhausted),
        ("credit_balance", {}, errors.QuotaExhausted),
        ("api_error", {}, errors.UpstreamBroken),
        ("html", {}, errors.UpstreamBroken),
        ("timeout", {}, errors.FirstTokenTimeout),
        ("overloaded", {"retry_after": 2}, errors.UpstreamOverloaded),
        ("context_too_long", {}, errors.ContextTooLong),
        ("context_limit", {}, errors.ContextTooLong),
        ("max_tokens_too_large", {}, errors.BadRequest),
        ("content_filter", {}, errors.BadRequest),
        ("redirect", {"location": "http://127.0.0.1:9/"}, errors.UpstreamBroken),
        ("empty_body", {}, errors.UpstreamEmpty),
        ("not_json", {}, errors.UpstreamMalformed),
        ("html_in_200", {}, errors.UpstreamBroken),
        ("error_event", {"events": 1, "type": "api_error"}, errors.UpstreamBroken),
    ],
)
async def test_every_failure_has_its_meaning(
    service: Emulator, net: Net, fault: str, params: dict[str, Any], kind: type[errors.Failure]
):
    service.fault(fault, None, **params)
    upstream = place(service)
    events, failure = await failed(Anthropic(upstream, net), asking(), key(upstream))
    assert type(failure) is kind
    assert failure.retry_after == params.get("retry_after")
    assert events == []


@pytest.mark.parametrize(
    ("fault", "params", "kind"),
    [
        ("garbage_frame", {}, errors.UpstreamMalformed),
        ("error_event", {}, errors.UpstreamOverloaded),
        ("error_event", {"type": "rate_limit_error"}, errors.Throttled),
        ("error_event", {"type": "invalid_request_error"}, errors.BadRequest),
        ("reset", {"bytes": 900}, errors.UpstreamTruncated),
        ("cut", {"bytes": 900}, errors.UpstreamTruncated),
    ],
)
async def test_what_fails_midway_keeps_what_was_said_and_gets_no_end(
    service: Emulator, net: Net, fault: str, params: dict[str, Any], kind: type[errors.Failure]
):
    service.fault(fault, None, **params)
    upstream = place(service)
    events, failure = await failed(Anthropic(upstream, net), asking(), key(upstream))
    assert type(failure) is kind
    words = "".join(event.text for event in events if isinstance(event, Text))
    assert words
    assert WORDS.startswith(words)
    assert not any(isinstance(event, Stop) for event in events)


async def test_pings_show_that_it_is_alive(service: Emulator, net: Net):
    service.fault("ping_for", seconds=1.0)
    upstream = place(service)
    lent = key(upstream)
    loop = asyncio.get_running_loop()
    stream = Anthropic(upstream, net).stream(asking(), lent)
    began = loop.time()
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.8)
    assert not waiting.done()
    assert lent.active > began + 0.2, "whoever waits for a first token must see that it is only thinking"
    assert isinstance(await waiting, Text)
    await stream.aclose()


# --- beside answers -----------------------------------------------------------------------------------------------


async def test_all_models_are_listed_page_by_page(service: Emulator, net: Net):
    service.set(page=2)
    upstream = place(service)
    assert await Anthropic(upstream, net).models(key(upstream)) == list(MODELS)
    assert service.stats()["counts"]["models"] == 3


async def test_a_probe_asks_for_nothing_that_costs(service: Emulator, net: Net):
    upstream = place(service)
    provider = Anthropic(upstream, net)
    await provider.probe(credential({"value": KEY}))
    with pytest.raises(errors.CredentialRejected):
        await provider.probe(credential({"value": "sk-ant-nobody"}))
    service.fault("overloaded", route="models")
    with pytest.raises(errors.UpstreamOverloaded):
        await provider.probe(credential({"value": KEY}))
    counts = service.stats()["counts"]
    assert counts["models"] == 3
    assert "chat" not in counts


async def test_two_hundred_answers_side_by_side_share_nothing(service: Emulator, net: Net):
    upstream = place(service)
    provider = Anthropic(upstream, net)
    service.set(piece_delay=0.001, record=False)
    texts = [f"answer {n}: " + f"{n} " * 12 for n in range(200)]
    answers = await asyncio.gather(*(answered(provider, asking(f"!say:{text}"), key(upstream)) for text in texts))
    assert [said(answer) for answer in answers] == texts
