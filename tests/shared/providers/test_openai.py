"""The provider for OpenAI-like services, against a stand-in that breaks in every way there is."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from parley import errors
from parley.catalog import Timeouts, Upstream
from parley.chat.events import Event, Stop, Text
from parley.chat.prompt import Prompt
from parley.leases import Lease
from parley.providers.openai import OpenAI
from parley.providers.rows import ROWS
from parley.sealed import Secret
from parley.transports import Net
from tests.shared.providers.lending import answered, credential, failed, lease, said
from tests.shared.transports.peer import Peer, playing
from tests.upstreams.openai.faults import NAMES
from tests.upstreams.openai.frames import FRAMES
from tests.upstreams.openai.twists import CHUNK_TWISTS
from tests.upstreams.running import Emulator

STAND_IN = "openai"
KEY = "sk-upstream-1"
WORDS = "汉字, words and 🙂: " + " ".join(f"number {n}" for n in range(8))
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def place(service: Emulator, provider: str = "openai", **facts: Any) -> Upstream:
    times = Timeouts(connect=2.0, first_token=5.0, between_tokens=5.0)
    return Upstream(name="it", provider=provider, base_url=f"{service.url}/v1", timeouts=times, **facts)


def key(upstream: Upstream, value: str = KEY) -> Lease:
    return lease(upstream, credential({"value": value}))


def asking(text: str = WORDS, **fields: Any) -> Prompt:
    """A request as the gateway's wire parses it, with the upstream's name of the model."""
    raw = {"model": "demo-mini", "messages": [{"role": "user", "content": text}], **fields}
    prompt = msgspec.convert(raw, Prompt)
    prompt.raw = raw
    return prompt


async def test_an_answer_comes_with_its_ending_and_usage(service: Emulator, net: Net):
    upstream = place(service)
    answer = await answered(OpenAI(upstream, net), asking(), key(upstream))
    assert said(answer) == WORDS
    assert answer.choices[0].finish == "stop"
    assert answer.usage is not None
    assert answer.usage.measured
    assert answer.usage.prompt > 0


async def test_the_request_carries_the_key_the_organisation_and_no_more(service: Emulator, net: Net):
    upstream = place(service, options={"organization": "org-1", "project": "p-1", "headers": {"x-more": "1"}})
    reported = json.loads(said(await answered(OpenAI(upstream, net), asking("!report", user="u"), key(upstream))))
    headers = reported["headers"]
    assert reported["key"] == KEY
    assert headers["openai-organization"] == "org-1"
    assert headers["openai-project"] == "p-1"
    assert headers["x-more"] == "1"
    assert headers["accept-encoding"] == "identity"
    assert set(headers) <= {
        *("host", "accept", "accept-encoding", "content-type", "content-length", "user-agent", "authorization"),
        *("openai-organization", "openai-project", "x-more"),
    }
    assert reported["body"]["user"] == "u"


async def test_hugging_face_bills_whom_it_is_told_to(service: Emulator, net: Net):
    service.set(dialect="huggingface")
    upstream = place(service, "huggingface", options={"bill_to": "acme"})
    prompt = asking("!think:hm\n!say:hello")
    prompt.model = "demo-org/demo-120b"
    answer = await answered(OpenAI(upstream, net), prompt, key(upstream, "hf_demo"))
    assert said(answer) == "hello"
    assert "".join(answer.choices[0].thought) == "hm"
    assert any(entry.get("bill_to") == "acme" for entry in service.stats()["log"])


async def test_wrong_options_are_refused_when_the_provider_is_made(service: Emulator, net: Net):
    with pytest.raises(msgspec.ValidationError):
        OpenAI(place(service, options={"organisation": "org-1"}), net)


@pytest.mark.parametrize(
    "fault",
    sorted({*FRAMES, *CHUNK_TWISTS} - {"error_frame", "garbage_frame", "no_finish", "long_line", "missing_usage"}
    | {"bytewise", "gzip", "close_delimited", "fixed_length", "slow_headers", "wrong_content_type", "json_for_stream"}),
)  # fmt: skip
async def test_an_oddity_changes_nothing_in_the_answer(service: Emulator, net: Net, fault: str):
    upstream = place(service)
    provider = OpenAI(upstream, net)
    tools = fault.startswith("tool_") or fault == "finish_stop"
    prompt = asking('!tool:f:{"a":1}\n!tool:f:{"b":2}', tools=[TOOL]) if tools else asking()
    plain = await answered(provider, prompt, key(upstream))
    service.fault(fault, None)
    odd = await answered(provider, prompt, key(upstream))
    extra = "\u2028\u2029\u0085" if fault == "line_separators" else ""
    assert said(odd).replace(extra, "") == said(plain)
    assert odd.choices[0].finish == plain.choices[0].finish == ("tool_calls" if tools else "stop")
    assert [(call.name, "".join(call.arguments)) for call in odd.choices[0].calls] == [
        (call.name, "".join(call.arguments).replace(" ", "")) for call in plain.choices[0].calls
    ]
    assert len({call.id for call in odd.choices[0].calls}) == len(plain.choices[0].calls) == (2 if tools else 0)
    assert odd.usage is not None
    assert plain.usage is not None
    assert (odd.usage.prompt, odd.usage.completion) == (plain.usage.prompt, plain.usage.completion)


async def test_no_usage_is_made_up_and_a_long_line_is_read(service: Emulator, net: Net):
    upstream = place(service)
    service.fault("missing_usage")
    assert (await answered(OpenAI(upstream, net), asking(), key(upstream))).usage is None
    service.fault("long_line")
    assert len(said(await answered(OpenAI(upstream, net), asking(), key(upstream)))) >= 2**20


@pytest.mark.parametrize(
    ("fault", "params", "kind", "wait"),
    [
        ("bad_request", {}, errors.BadRequest, None),
        ("context_length_exceeded", {}, errors.ContextTooLong, None),
        ("unsupported_value", {}, errors.BadRequest, None),
        ("content_policy_violation", {}, errors.BadRequest, None),
        ("invalid_api_key", {}, errors.CredentialRejected, None),
        ("no_api_key", {}, errors.CredentialRejected, None),
        ("account_deactivated", {}, errors.CredentialRejected, None),
        ("unsupported_country", {}, errors.CredentialRejected, None),
        ("model_not_found", {}, errors.ModelNotFound, None),
        ("unknown_url", {}, errors.ModelNotFound, None),
        ("rate_limit", {"retry_after": 9}, errors.Throttled, 9),
        ("rate_limit_tokens", {"retry_after_ms": 500}, errors.Throttled, 0.5),
        ("insufficient_quota", {}, errors.QuotaExhausted, None),
        ("credit_balance_exhausted", {}, errors.QuotaExhausted, None),
        ("server_error", {}, errors.UpstreamBroken, None),
        ("overloaded", {}, errors.UpstreamOverloaded, None),
        ("slow_down", {}, errors.UpstreamOverloaded, None),
        ("html", {}, errors.UpstreamBroken, None),
        ("hf_model_not_found", {}, errors.ModelNotFound, None),
        ("hf_model_not_supported", {}, errors.ModelNotFound, None),
        ("hf_unauthorized", {}, errors.CredentialRejected, None),
        ("hf_credits", {}, errors.QuotaExhausted, None),
        ("hf_permission", {}, errors.CredentialRejected, None),
        ("hf_too_large", {}, errors.TooLarge, None),
        ("hf_template", {}, errors.BadRequest, None),
        ("hf_validation", {}, errors.BadRequest, None),
        ("hf_generation", {}, errors.UpstreamBroken, None),
        ("hf_rate_limit", {}, errors.Throttled, None),
        ("hf_loading", {}, errors.UpstreamOverloaded, 20),
        ("hf_overloaded", {}, errors.UpstreamOverloaded, None),
        ("status", {"status": 500, "shape": "empty"}, errors.UpstreamBroken, None),
        ("redirect", {"location": "http://127.0.0.1:1/"}, errors.UpstreamBroken, None),
        ("error_in_200", {}, errors.UpstreamBroken, None),
        ("html_in_200", {}, errors.UpstreamBroken, None),
        ("empty_body", {}, errors.UpstreamEmpty, None),
        ("no_choices", {}, errors.UpstreamEmpty, None),
        ("truncated_json", {}, errors.UpstreamMalformed, None),
    ],
)
async def test_a_refusal_comes_before_any_word(
    service: Emulator, net: Net, fault: str, params: dict[str, Any], kind: type[errors.Failure], wait: float | None
):
    assert fault in NAMES
    upstream = place(service)
    service.fault(fault, None, **params)
    events, failure = await failed(OpenAI(upstream, net), asking(), key(upstream))
    assert events == []
    assert type(failure) is kind
    if wait is not None:
        assert failure.retry_after == wait
    assert KEY not in failure.message
    assert service.stats()["counts"]["chat"] == 1


@pytest.mark.parametrize(
    ("fault", "params", "kind"),
    [
        ("reset", {"bytes": 900}, errors.UpstreamTruncated),
        ("cut", {"bytes": 900}, errors.UpstreamTruncated),
        ("error_frame", {"chunks": 4}, errors.UpstreamBroken),
        ("garbage_frame", {}, errors.UpstreamMalformed),
    ],
)
async def test_what_breaks_after_the_first_words_is_a_failure_after_them(
    service: Emulator, net: Net, fault: str, params: dict[str, Any], kind: type[errors.Failure]
):
    upstream = place(service)
    service.fault(fault, None, **params)
    events, failure = await failed(OpenAI(upstream, net), asking(), key(upstream))
    assert type(failure) is kind
    words = "".join(event.text for event in events if isinstance(event, Text))
    assert words
    assert WORDS.startswith(words)
    assert not any(isinstance(event, Stop) for event in events)


async def test_an_answer_without_a_finish_reason_gets_none(service: Emulator, net: Net):
    upstream = place(service)
    service.fault("no_finish", None)
    async with aclosing(OpenAI(upstream, net).stream(asking(), key(upstream))) as stream:
        events = [event async for event in stream]
    assert "".join(event.text for event in events if isinstance(event, Text)) == WORDS
    assert not any(isinstance(event, Stop) for event in events)


@pytest.mark.parametrize(("fault", "kind"), [("hang", errors.FirstTokenTimeout), ("stall", errors.UpstreamStalled)])
async def test_silence_ends_even_without_the_relays_patience(
    service: Emulator, net: Net, fault: str, kind: type[errors.Failure]
):
    upstream = replace(place(service), timeouts=Timeouts(first_token=0.3, between_tokens=0.3))
    service.fault(fault, None)
    _, failure = await failed(OpenAI(upstream, net), asking(), key(upstream))
    assert type(failure) is kind


async def test_a_server_that_does_not_know_stream_options_is_asked_without(service: Emulator, net: Net):
    upstream = place(service)
    service.fault(
        "unknown_parameter", 1, message="Unrecognized request argument supplied: stream_options", param="stream_options"
    )
    answer = await answered(OpenAI(upstream, net), asking(), key(upstream))
    assert said(answer) == WORDS
    bodies = [entry["body"] for entry in service.stats()["log"] if entry["what"] == "chat"]
    assert ["stream_options" in body for body in bodies] == [True, False]
    service.fault("unknown_parameter", None, message="stream_options!", param="stream_options")
    _, failure = await failed(OpenAI(upstream, net), asking(), key(upstream))
    assert type(failure) is errors.BadRequest


async def _closed(service: Emulator, left: float) -> float:
    """How long after `left` (time.time()) the stand-in saw its connection closed."""
    stats = await asyncio.to_thread(service.until, lambda stats: stats["hangups"])
    seen: float = stats["hangups"][0]["at"]
    return seen - left


async def test_a_hang_up_before_the_first_token_reaches_the_service_at_once(service: Emulator, net: Net):
    upstream = place(service)
    service.set(first_delay=30)
    stream = OpenAI(upstream, net).stream(asking(), key(upstream))
    waiting: asyncio.Task[Event] = asyncio.ensure_future(anext(stream))  # type: ignore[arg-type]
    await asyncio.to_thread(service.until, lambda stats: stats["counts"].get("chat"))
    await asyncio.sleep(0.1)
    left = time.time()
    waiting.cancel()
    assert await _closed(service, left) < 0.1


async def test_a_hang_up_between_tokens_reaches_the_service_at_once(service: Emulator, net: Net):
    upstream = place(service)
    service.set(piece_delay=0.05)
    stream = OpenAI(upstream, net).stream(asking(), key(upstream))
    for _ in range(3):
        await anext(stream)
    left = time.time()
    await stream.aclose()
    assert await _closed(service, left) < 0.1


async def test_connections_are_used_again_after_whole_answers(service: Emulator, net: Net):
    upstream = place(service)
    provider = OpenAI(upstream, net)
    before = service.stats()["connections"]["opened"]
    for _ in range(5):
        await answered(provider, asking(), key(upstream))
    assert service.stats()["connections"]["opened"] - before <= 1 + 2  # and those of the control calls


async def test_an_upstream_that_keeps_the_line_after_done_does_not_keep_the_caller(net: Net):
    async def keeping(peer: Peer) -> None:
        await peer.asked()
        body = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(body), body))
        await peer.left()

    async with playing(keeping) as stage:
        upstream = Upstream(name="it", provider="openai-compatible", base_url=stage.url)
        begun = time.monotonic()
        assert said(await answered(OpenAI(upstream, net), asking(), key(upstream))) == "a"
        assert time.monotonic() - begun < 0.5
        await stage.left


async def test_two_hundred_answers_at_a_time_do_not_mix(service: Emulator, net: Net):
    upstream = place(service)
    provider = OpenAI(upstream, net)
    texts = [f"{n}: " + "x" * n for n in range(200)]
    answers = await asyncio.gather(*[answered(provider, asking(text), key(upstream)) for text in texts])
    assert [said(answer) for answer in answers] == texts


async def test_several_choices_and_logprobs_pass(service: Emulator, net: Net):
    upstream = place(service)
    answer = await answered(OpenAI(upstream, net), asking("hello", n=3), key(upstream))
    assert ["".join(answer.choices[index].text) for index in range(3)] == ["hello", "hello #2", "hello #3"]


async def test_models_are_listed_and_a_key_is_probed_without_a_completion(service: Emulator, net: Net):
    upstream = place(service)
    provider = OpenAI(upstream, net)
    service.set(models=["b", "org/a:x"])
    assert await provider.models(key(upstream)) == ["b", "org/a:x"]
    await provider.probe(key(upstream).credential)
    with pytest.raises(errors.CredentialRejected):
        await provider.probe(key(upstream, "sk-wrong-key").credential)
    assert service.stats()["counts"].get("chat", 0) == 0
    assert service.stats()["counts"]["models"] == 3


@pytest.mark.parametrize("body", ["[]]", '{"data":[{"name":"x"}]}', "{}", "null", '{"data":7}', "<html></html>"])
async def test_a_list_of_models_that_cannot_be_read_is_malformed(net: Net, body: str):
    async def listing(peer: Peer) -> None:
        await peer.asked()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body.encode()))

    async with playing(listing) as stage:
        upstream = Upstream(name="it", provider="openai-compatible", base_url=stage.url)
        with pytest.raises(errors.UpstreamMalformed):
            await OpenAI(upstream, net).models(key(upstream))


async def test_a_credential_may_have_its_own_place(service: Emulator, net: Net):
    upstream = Upstream(name="it", provider="openai", base_url="http://127.0.0.1:1")
    lent = lease(upstream, credential({"value": KEY}, base_url=f"{service.url}/v1/"))
    assert said(await answered(OpenAI(upstream, net), asking(), lent)) == WORDS
    await OpenAI(upstream, net).probe(lent.credential)
    proxied = lease(upstream, credential({"value": KEY}, proxy=Secret(service.url)))
    _, failure = await failed(OpenAI(upstream, net), asking(), proxied)
    assert not isinstance(failure, errors.Unreachable), "the proxy was asked, and it answered"


def test_every_row_can_be_made(net: Net):
    for name, row in ROWS.items():
        provider = OpenAI(Upstream(name="it", provider=name, base_url=row.base_url), net)
        assert provider.features == row.features
