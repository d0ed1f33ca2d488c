"""The provider for Gemini, against a stand-in that breaks in every way of its page."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import msgspec
import pytest

from parley import errors
from parley.catalog import CredentialPlan, Timeouts, Upstream
from parley.chat.demands import KNOBS
from parley.chat.events import Stop, Text, ToolCall
from parley.chat.prompt import Prompt
from parley.leases import Lease
from parley.providers.gemini import Gemini
from parley.sealed import Secret
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets
from tests.shared.providers.lending import answered, credential, failed, hung_up_after_the_first_event, lease, said
from tests.upstreams.running import Emulator

STAND_IN = "gemini"
MODEL = "gemini-2.5-demo"
GREETING = "Grüße, 世界 🙂"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {}}}}}


def place(service: Emulator, path: str = "", keys: int = 1, **options: Any) -> Upstream:
    times = Timeouts(connect=2.0, first_token=5.0, between_tokens=5.0)
    plans = tuple(CredentialPlan(f"k{n}", {"value": Secret(f"AIza-demo-{n + 1}")}) for n in range(keys))
    return Upstream(
        name="it", provider="gemini", base_url=service.url + path, credentials=plans, timeouts=times, options=options
    )


def key(upstream: Upstream, value: str = "AIza-demo-1") -> Lease:
    return lease(upstream, credential({"value": value}))


def asking(text: str | list[Any] = GREETING, model: str = MODEL, **fields: Any) -> Prompt:
    """A request as the gateway's wire parses it."""
    messages = [{"role": "user", "content": text}] if isinstance(text, str) else text
    raw = {"model": model, "messages": messages, **fields}
    prompt = msgspec.convert(raw, Prompt)
    prompt.raw = raw
    return prompt


@pytest.mark.parametrize(
    ("path", "options", "version"),
    [
        ("", {}, "v1beta"),
        ("", {"api_version": "v1"}, "v1"),
        ("/v1", {}, "v1"),
        ("/v1beta/", {"api_version": "v1"}, "v1beta"),
    ],
)
async def test_both_versions_are_asked_and_the_key_is_in_a_header_only(
    service: Emulator, net: Net, path: str, options: Any, version: str
):
    upstream = place(service, path, **options)
    answer = await answered(Gemini(upstream, net), asking("!report"), key(upstream))
    report = json.loads(said(answer))
    assert report["path"] == f"/{version}/models/{MODEL}:streamGenerateContent?alt=sse"
    assert report["headers"]["x-goog-api-key"] == "AIza-demo-1"
    assert "AIza" not in report["path"]


async def test_an_answer_has_words_thoughts_calls_and_usage(service: Emulator, net: Net):
    service.set(cached=3)
    upstream = place(service)
    prompt = asking('!think:hm\n!say:Looking.\n!tool:f:{"a":"ü"}', tools=[TOOL])
    answer = await answered(Gemini(upstream, net), prompt, key(upstream))
    choice = answer.choices[0]
    assert (said(answer), "".join(choice.thought), choice.finish) == ("Looking.", "hm", "tool_calls")
    (call,) = choice.calls
    assert (call.name, json.loads("".join(call.arguments))) == ("f", {"a": "ü"})
    assert call.extra_content and set(call.extra_content) == {"google"}
    assert answer.usage and (answer.usage.reasoning, answer.usage.cached) == (1, 3)


async def test_an_operator_may_keep_thoughts_and_set_thresholds(service: Emulator, net: Net):
    upstream = place(service, thoughts=False, safety={"HARM_CATEGORY_HARASSMENT": "OFF"})
    prompt = asking("!think:hm\n!report")
    answer = await answered(Gemini(upstream, net), prompt, key(upstream))
    assert answer.choices[0].thought == []
    read = json.loads(said(answer))["read"]
    assert read["safetySettings"] == [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]
    everywhere = place(service, safety="BLOCK_NONE")
    answer = await answered(Gemini(everywhere, net), asking("!report"), key(everywhere))
    assert len(json.loads(said(answer))["read"]["safetySettings"]) == 4


@pytest.mark.parametrize("options", [{"safety": "SOMETIMES"}, {"api_version": "v2"}, {"unheard_of": 1}])
def test_options_that_mean_nothing_are_refused(service: Emulator, options: Any):
    with pytest.raises(msgspec.ValidationError):
        Gemini(place(service, **options), Net(HTTP(), WebSockets(), Browser()))


async def test_several_candidates_and_log_probabilities(service: Emulator, net: Net):
    upstream = place(service)
    prompt = asking("!say:one two", model="gemini-2.0-demo", n=2, logprobs=True, top_logprobs=2)
    answer = await answered(Gemini(upstream, net), prompt, key(upstream))
    assert ["".join(answer.choices[n].text) for n in (0, 1)] == ["one two", "one two #2"]
    logprobs = answer.choices[0].logprobs
    assert logprobs and [one["token"] for one in logprobs["content"]] == ["one ", "two"]
    assert [len(one["top_logprobs"]) for one in logprobs["content"]] == [2, 2]


async def test_one_call_where_the_caller_wants_no_more(service: Emulator, net: Net):
    upstream = place(service)
    prompt = asking('!tool:f:{"a":1}\n!tool:f:{"a":2}', tools=[TOOL], parallel_tool_calls=False)
    service.set(calls_together=True)
    answer = await answered(Gemini(upstream, net), prompt, key(upstream))
    assert [json.loads("".join(call.arguments)) for call in answer.choices[0].calls] == [{"a": 1}]


# --- oddities and failures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        "bytewise", "gzip", "close_delimited", "several_lines", "comments", "event_named", "no_space", "done",
        "no_final_blank", "array_stream", "last_without_parts", "last_without_content", "usage_frame",
        "missing_candidates", "missing_usage", "safety_ratings", "signed_end", "index_omitted",
    ],
)  # fmt: skip
async def test_odd_answers_are_whole_ones(service: Emulator, net: Net, fault: str):
    upstream = place(service)
    service.fault(fault)
    answer = await answered(Gemini(upstream, net), asking(), key(upstream))
    assert (said(answer), answer.choices[0].finish) == (GREETING, "stop")
    assert (answer.usage is None) == (fault == "missing_usage")


async def test_what_breaks_behind_the_last_word_takes_nothing_back(service: Emulator, net: Net):
    upstream = place(service)
    service.fault("usage_frame")
    recorded = httpx.post(
        f"{service.url}/v1beta/models/{MODEL}:streamGenerateContent?alt=sse",
        json={"contents": [{"parts": [{"text": "!say:Yes."}]}]},
        headers={"x-goog-api-key": "AIza-demo-1"},
    ).content
    ended = recorded.index(b"\r\n\r\n", recorded.index(b"STOP"))
    for fault in ("reset", "cut"):
        service.fault(fault, bytes=ended + 20, also=["usage_frame"])  # within the bill, a frame of its own
        events = [event async for event in Gemini(upstream, net).stream(asking("!say:Yes."), key(upstream))]
        assert events == [Text("Yes."), Stop("stop")]
        service.fault(fault, bytes=ended - 20, also=["usage_frame"])
        events, failure = await failed(Gemini(upstream, net), asking("!say:Yes."), key(upstream))
        assert (events, type(failure)) == ([Text("Yes.")], errors.UpstreamTruncated)


@pytest.mark.parametrize(
    ("fault", "params", "kind"),
    [
        ("api_key_invalid", {}, errors.CredentialRejected),
        ("unauthenticated", {}, errors.CredentialRejected),
        ("unregistered", {}, errors.CredentialRejected),
        ("billing", {}, errors.CredentialRejected),
        ("context_length", {}, errors.ContextTooLong),
        ("invalid_argument", {}, errors.BadRequest),
        ("not_found", {}, errors.ModelNotFound),
        ("too_large", {}, errors.TooLarge),
        ("rate_limit", {"retry_delay": "7s"}, errors.ModelThrottled),
        ("rate_limit_bare", {}, errors.Throttled),
        ("quota_day", {}, errors.ModelExhausted),
        ("quota_zero", {}, errors.ModelExhausted),
        ("cancelled", {}, errors.UpstreamBroken),
        ("internal", {"shape": "html"}, errors.UpstreamBroken),
        ("overloaded", {"shape": "array"}, errors.UpstreamOverloaded),
        ("deadline", {}, errors.UpstreamStalled),
        ("error_frame", {"error": "overloaded"}, errors.UpstreamOverloaded),
        ("error_frame", {"error": "rate_limit", "array": True}, errors.ModelThrottled),
        ("error_bare", {"error": "internal"}, errors.UpstreamBroken),
        ("finish", {"reason": "MALFORMED_FUNCTION_CALL", "also": ["no_words"]}, errors.UpstreamBroken),
        ("call_without_name", {}, errors.UpstreamMalformed),
        ("html_in_200", {}, errors.UpstreamBroken),
    ],
)
async def test_failures(service: Emulator, net: Net, fault: str, params: Any, kind: type[errors.Failure]):
    upstream = place(service)
    service.fault(fault, **params)
    text = '!tool:f:{"a":1}' if fault == "call_without_name" else GREETING
    _, failure = await failed(Gemini(upstream, net), asking(text, tools=[TOOL]), key(upstream))
    assert type(failure) is kind
    assert "AIza" not in failure.message
    assert service.stats()["counts"]["chat"] == 1


async def test_a_model_that_one_of_several_projects_lacks_may_be_anothers(service: Emulator, net: Net):
    upstream = place(service, keys=2)
    _, failure = await failed(Gemini(upstream, net), asking(model="gemini-9"), key(upstream))
    assert type(failure) is errors.ModelElsewhere and failure.try_next


async def test_a_name_that_leads_elsewhere_is_asked_of_nobody(service: Emulator, net: Net):
    upstream = place(service)
    _, failure = await failed(Gemini(upstream, net), asking(model="../files"), key(upstream))
    assert type(failure) is errors.ModelNotFound
    assert "chat" not in service.stats()["counts"]


async def test_a_caller_who_leaves_closes_the_connection_at_once(service: Emulator, net: Net):
    service.set(piece_delay=0.3)
    upstream = place(service)
    left, took = await hung_up_after_the_first_event(Gemini(upstream, net), asking(), key(upstream))
    assert took < 0.1
    stats = await asyncio.to_thread(service.until, lambda stats: stats["hangups"])
    assert stats["hangups"][0]["at"] - left < 0.1


# --- signatures ---------------------------------------------------------------------------------------------------


async def test_a_call_goes_back_with_its_signature_and_in_another_project_without(service: Emulator, net: Net):
    upstream = place(service)
    provider, model = Gemini(upstream, net), "gemini-3-demo"
    question = {"role": "user", "content": "!tool:f:{}"}
    events = [event async for event in provider.stream(asking([question], model, tools=[TOOL]), key(upstream))]
    (call,) = [event for event in events if isinstance(event, ToolCall)]
    made = {
        "id": call.id,
        "type": "function",
        "function": {"name": "f", "arguments": call.arguments},
        "extra_content": call.extra_content,
    }
    turns = [
        question,
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": call.id, "content": "1"},
    ]
    for lent, sent in (("AIza-demo-1", 1), ("AIza-demo-2", 1), ("AIza-demo-3", 2)):
        service.reset()
        answer = await answered(provider, asking(turns, model, tools=[TOOL]), key(upstream, lent))
        assert said(answer) == '{"result": "1"}'
        assert service.stats()["counts"]["chat"] == sent, lent


async def test_what_no_manner_helps_is_refused_and_not_asked_for_ever(service: Emulator, net: Net):
    upstream = place(service)
    service.fault("invalid_argument", times=None, message="Thinking is not something this model does.")
    _, failure = await failed(Gemini(upstream, net), asking(), key(upstream))
    assert type(failure) is errors.BadRequest
    assert service.stats()["counts"]["chat"] == 2


# --- knobs, lists and probes --------------------------------------------------------------------------------------


async def test_what_is_declared_as_dropped_is_a_knob_and_reaches_nobody(service: Emulator, net: Net):
    assert Gemini.drops < set(KNOBS)
    given: dict[str, Any] = {
        **dict.fromkeys(Gemini.drops, "x"),
        "logit_bias": {"5": 1},
        "metadata": {"a": "b"},
        "store": True,
        "parallel_tool_calls": True,
    }
    upstream = place(service)
    answer = await answered(Gemini(upstream, net), asking("!report", **given), key(upstream))
    plain = await answered(Gemini(upstream, net), asking("!report"), key(upstream))
    assert json.loads(said(answer))["body"] == json.loads(said(plain))["body"]


async def test_models_are_listed_over_pages_and_only_those_that_hold_conversations(service: Emulator, net: Net):
    service.set(page=2)
    upstream = place(service)
    found = await Gemini(upstream, net).models(key(upstream))
    assert found[:2] == ["gemini-2.0-demo", "gemini-2.5-demo"]
    assert "gemini-4-preview" in found and "embedding-demo" not in found
    assert service.stats()["counts"]["models"] == 5


@pytest.mark.parametrize("text", ["[]", "{", '{"models": 5}', '{"models": [{"supportedGenerationMethods": 5}]}'])
async def test_a_list_that_cannot_be_read_is_malformed(net: Net, monkeypatch: pytest.MonkeyPatch, text: str):
    async def answer(*_: object, **__: object) -> Any:
        return httpx.Response(200, content=text.encode())

    monkeypatch.setattr(net.http, "request", answer)
    upstream = Upstream(name="it", provider="gemini")
    with pytest.raises(errors.UpstreamMalformed):
        await Gemini(upstream, net).models(key(upstream))


async def test_a_probe_costs_nothing(service: Emulator, net: Net):
    upstream = place(service)
    provider = Gemini(upstream, net)
    await provider.probe(credential({"value": "AIza-demo-1"}))
    with pytest.raises(errors.CredentialRejected):
        await provider.probe(credential({"value": "AIza-nobody"}))
    assert set(service.stats()["counts"]) == {"models", "status:200", "status:400"}


async def test_200_answers_at_once_share_nothing(service: Emulator, net: Net):
    upstream = place(service)
    provider = Gemini(upstream, net)
    service.set(piece_delay=0.001, record=False)
    texts = [f"{n}: {GREETING * (n % 3 + 1)}" for n in range(200)]
    answers = await asyncio.gather(*(answered(provider, asking(f"!say:{text}"), key(upstream)) for text in texts))
    assert [said(answer) for answer in answers] == texts
