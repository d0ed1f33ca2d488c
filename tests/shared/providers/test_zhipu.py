"""The providers for Zhipu's platform, against a stand-in that breaks in every way the real one does."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import msgspec
import pytest

from parley import errors
from parley.catalog import Timeouts, Upstream
from parley.chat.prompt import Prompt
from parley.leases import Lease
from parley.providers.zhipu import Zhipu, ZhipuV3
from parley.transports import Net
from tests.shared.providers.lending import answered, credential, failed, hung_up_after_the_first_event, lease, said
from tests.upstreams.openai.frames import FRAMES
from tests.upstreams.running import Emulator

STAND_IN = "zhipu"
KEY = "demoid0123456789.demosecret"
WORDS = "!say:汉字, words and 🙂: " + " ".join(f"number {n}" for n in range(8))
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALLS = '!tool:f:{"a":1}\n!tool:f:{"b":2}'


def v4(service: Emulator, net: Net, **options: Any) -> tuple[Zhipu, Lease]:
    upstream = place(f"{service.url}/api/paas/v4", options)
    return Zhipu(upstream, net), key(upstream)


def v3(service: Emulator, net: Net) -> tuple[ZhipuV3, Lease]:
    upstream = place(f"{service.url}/api/paas/v3/model-api", {})
    return ZhipuV3(upstream, net), key(upstream)


def place(base_url: str, options: dict[str, Any]) -> Upstream:
    times = Timeouts(connect=2.0, first_token=5.0, between_tokens=5.0)
    return Upstream(name="it", provider="zhipu", base_url=base_url, timeouts=times, options=options)


def key(upstream: Upstream, value: str = KEY) -> Lease:
    return lease(upstream, credential({"value": value}))


def asking(text: str = WORDS, model: str = "glm-4.6", **fields: Any) -> Prompt:
    """A request as the gateway's wire parses it, with the upstream's name of the model."""
    raw = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
    prompt = msgspec.convert(raw, Prompt)
    prompt.raw = raw
    return prompt


async def reported(provider: Zhipu, prompt: Prompt, lent: Lease) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(said(await answered(provider, prompt, lent)))
    return report


@pytest.mark.parametrize("sign_in", ["bearer", "jwt"])
async def test_an_answer_comes_with_its_ending_usage_and_thoughts(service: Emulator, net: Net, sign_in: str):
    provider, lent = v4(service, net, sign_in=sign_in)
    answer = await answered(provider, asking("!think:嗯, well\n" + WORDS), lent)
    assert said(answer) == WORDS.removeprefix("!say:")
    assert "".join(answer.choices[0].thought) == "嗯, well"
    assert answer.choices[0].finish == "stop"
    assert answer.usage is not None and answer.usage.measured and answer.usage.reasoning > 0 and answer.usage.cached > 0
    assert (await reported(provider, asking("!report"), lent))["way"] == sign_in


async def test_the_request_says_what_it_must_and_no_more(service: Emulator, net: Net):
    provider, lent = v4(service, net)
    asked = await reported(provider, asking("!report", temperature=2, user="user-42", stream_options={}, n=1), lent)
    assert asked["path"] == "/api/paas/v4/chat/completions"
    assert set(asked["headers"]) <= {
        *("host", "accept", "accept-encoding", "content-type", "content-length", "user-agent", "authorization"),
    }
    assert asked["body"] == {
        "model": "glm-4.6",
        "messages": [{"role": "user", "content": "!report"}],
        "temperature": 1.0,
        "user_id": "user-42",
        "stream": True,
    }


@pytest.mark.parametrize("name", ["chatglm_lite", "chatglm_turbo", "characterglm"])
async def test_a_model_of_old_is_answered_by_the_one_that_took_its_place(service: Emulator, net: Net, name: str):
    provider, lent = v4(service, net)
    assert (await reported(provider, asking("!report", name), lent))["body"]["model"] == "glm-4-flash"
    provider, lent = v4(service, net, legacy_model="glm-4.6")
    assert (await reported(provider, asking("!report", name), lent))["body"]["model"] == "glm-4.6"


ODDITIES = [
    *(name for name in FRAMES if name not in ("garbage_frame", "line_separators")),
    *("bytewise", "gzip", "close_delimited", "fixed_length", "web_search", "content_filter", "object"),
]


@pytest.mark.parametrize("fault", ODDITIES)
async def test_an_oddity_changes_nothing_in_the_answer(service: Emulator, net: Net, fault: str):
    service.fault(fault)
    answer = await answered(*_with(v4(service, net), asking()))
    assert service.stats()["counts"][f"fault:{fault}"] == 1
    assert said(answer) == WORDS.removeprefix("!say:")
    assert answer.choices[0].finish == "stop" and answer.usage is not None


@pytest.mark.parametrize(
    ("fault", "pieces"),
    [
        *((fault, False) for fault in (None, "ids_missing", "ids_equal", "arguments_twice", "arguments_loose")),
        *((fault, True) for fault in (None, "ids_missing")),
    ],
)
async def test_calls_come_right_however_they_are_written(service: Emulator, net: Net, fault: str | None, pieces: bool):
    if fault:
        service.fault(fault)
    answer = await answered(*_with(v4(service, net), asking(CALLS, tools=[TOOL], tool_stream=pieces)))
    calls = answer.choices[0].calls
    assert [json.loads("".join(call.arguments)) for call in calls] == [{"a": 1}, {"b": 2}]
    assert [call.name for call in calls] == ["f", "f"]
    assert len({call.id for call in calls}) == 2
    assert answer.choices[0].finish == "tool_calls"


async def test_a_call_whose_later_pieces_have_neither_name_nor_id_is_one_call(service: Emulator, net: Net):
    service.fault("ids_once")
    answer = await answered(*_with(v4(service, net), asking('!tool:f:{"a":123456}', tools=[TOOL], tool_stream=True)))
    (call,) = answer.choices[0].calls
    assert (call.name, "".join(call.arguments)) == ("f", '{"a":123456}')
    assert len(call.arguments) > 1


async def test_a_call_without_arguments_has_an_empty_object_of_them(service: Emulator, net: Net):
    service.fault("arguments_empty")
    answer = await answered(*_with(v4(service, net), asking("!tool:f:{}", tools=[TOOL])))
    assert ["".join(call.arguments) for call in answer.choices[0].calls] == ["{}"]


@pytest.mark.parametrize(
    ("reason", "finish"), [("sensitive", "content_filter"), ("model_context_window_exceeded", "length")]
)
async def test_the_platforms_reasons_to_stop_are_told_in_openais_words(
    service: Emulator, net: Net, reason: str, finish: str
):
    service.fault("finish", reason=reason)
    answer = await answered(*_with(v4(service, net), asking()))
    assert answer.choices[0].finish == finish
    assert said(answer) == WORDS.removeprefix("!say:")


@pytest.mark.parametrize(
    ("fault", "params", "kind"),
    [
        ("finish", {"reason": "network_error"}, errors.UpstreamBroken),
        ("error_frame", {"code": "1301"}, errors.BadRequest),
        ("error_frame", {"code": "1302"}, errors.Throttled),
        ("error_frame", {"code": "1113"}, errors.QuotaExhausted),
        ("error_frame", {"code": "1234"}, errors.UpstreamBroken),
        ("reset", {"bytes": 600}, errors.UpstreamTruncated),
    ],
)
async def test_a_failure_in_the_stream_comes_after_the_words_before_it(
    service: Emulator, net: Net, fault: str, params: dict[str, Any], kind: type[errors.Failure]
):
    service.fault(fault, **params)
    events, failure = await failed(*_with(v4(service, net), asking()))
    assert type(failure) is kind
    assert events


@pytest.mark.parametrize("which", [v4, v3])
async def test_an_expired_token_is_signed_anew_by_the_platforms_clock(service: Emulator, net: Net, which: Any):
    service.set(skew=3600)
    provider, lent = which(service, net, sign_in="jwt") if which is v4 else which(service, net)
    model = "glm-4.6" if which is v4 else "chatglm_lite"
    assert said(await answered(provider, asking("hello", model), lent)) == "hello"
    assert service.stats()["counts"]["chat"] == 2
    await provider.probe(lent.credential)


@pytest.mark.parametrize("sign_in", ["bearer", "jwt"])
async def test_what_stays_expired_is_the_operators_matter(service: Emulator, net: Net, sign_in: str):
    service.fault("code_1003", None)
    _, failure = await failed(*_with(v4(service, net, sign_in=sign_in), asking()))
    assert type(failure) is errors.CredentialRejected
    assert failure.upstream_status == 401
    assert service.stats()["counts"]["chat"] == (1 if sign_in == "bearer" else 2)


async def test_a_request_id_that_was_used_is_given_up(service: Emulator, net: Net):
    provider, lent = v4(service, net)
    for _ in range(2):
        assert said(await answered(provider, asking("hello", request_id="req-demo-1"), lent)) == "hello"
    assert service.stats()["counts"]["chat"] == 3
    service.fault("code_1231", None)
    _, failure = await failed(provider, asking("hello"), lent)
    assert (type(failure), failure.param) == (errors.BadRequest, "request_id")


@pytest.mark.parametrize("which", [v4, v3])
async def test_a_probe_costs_nothing_and_tells_a_key_that_opens_from_one_that_does_not(
    service: Emulator, net: Net, which: Any
):
    provider, lent = which(service, net)
    await provider.probe(lent.credential)
    kinds: dict[str, type[errors.Failure]] = {
        **dict.fromkeys(("code_1002", "code_1112", "code_1003"), errors.CredentialRejected),
        "code_1305": errors.UpstreamOverloaded,
    }
    for fault, kind in kinds.items():
        service.fault(fault, None)
        with pytest.raises(kind):
            await provider.probe(lent.credential)
        service.reset()
    assert "chat" not in service.stats()["counts"]


@pytest.mark.parametrize("which", [v4, v3])
async def test_a_caller_who_leaves_closes_the_connection_at_once(service: Emulator, net: Net, which: Any):
    service.set(piece_delay=0.05)
    provider, lent = which(service, net)
    prompt = asking(WORDS, "glm-4.6" if which is v4 else "chatglm_lite")
    left, took = await hung_up_after_the_first_event(provider, prompt, lent)
    stats = await asyncio.to_thread(service.until, lambda stats: stats["hangups"])
    assert stats["hangups"][0]["at"] - left < 0.1 and took < 0.1


async def test_the_old_api_answers_in_its_own_words(service: Emulator, net: Net):
    provider, lent = v3(service, net)
    text = " 汉字\n\n two  blanks \n"
    answer = await answered(provider, asking(f"!say:{text}", "chatglm_lite"), lent)
    assert said(answer) == text
    assert answer.usage is not None and answer.usage.completion > 0
    (entry,) = service.stats()["log"]
    assert entry["path"] == "/api/paas/v3/model-api/chatglm_lite/sse-invoke"
    assert not entry["headers"]["authorization"].startswith("Bearer")
    service.fault("interrupted")
    assert (await answered(provider, asking(WORDS, "chatglm_lite"), lent)).choices[0].finish == "content_filter"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("code_1002", errors.CredentialRejected),
        ("code_1003", errors.CredentialRejected),
        ("code_1113", errors.QuotaExhausted),
        ("code_1301", errors.BadRequest),
        ("code_1305", errors.UpstreamOverloaded),
        ("front_500", errors.UpstreamBroken),
        ("error_event", errors.UpstreamBroken),
        ("raw", errors.UpstreamEmpty),
    ],
)
async def test_the_old_apis_refusals_come_with_status_200(
    service: Emulator, net: Net, fault: str, kind: type[errors.Failure]
):
    service.fault(fault, None)
    _, failure = await failed(*_with(v3(service, net), asking(WORDS, "chatglm_lite")))
    assert type(failure) is kind


async def test_a_credential_of_the_international_platform_is_asked_to_speak_english(service: Emulator, net: Net):
    upstream = place(f"{service.url}/api/paas/v4", {})
    lent = lease(upstream, credential({"value": KEY}, base_url=f"{service.url}/api.z.ai"))
    _, failure = await failed(Zhipu(upstream, net), asking(), lent)
    assert type(failure) is errors.UpstreamBroken and "base_url" in failure.message
    (entry,) = service.stats()["log"]
    assert (entry["path"], entry["headers"]["accept-language"]) == ("/api.z.ai/chat/completions", "en-US,en")


async def test_silence_is_a_time_out(service: Emulator, net: Net):
    service.fault("hang")
    upstream = place(f"{service.url}/api/paas/v4", {})
    lent = lease(upstream, credential({"value": KEY}, timeouts={"first_token": 0.3}))
    began = time.monotonic()
    _, failure = await failed(Zhipu(upstream, net), asking(), lent)
    assert isinstance(failure, errors.FirstTokenTimeout)
    assert time.monotonic() - began < 3


def _with(made: tuple[Any, Lease], prompt: Prompt) -> tuple[Any, Prompt, Lease]:
    provider, lent = made
    return provider, prompt, lent
