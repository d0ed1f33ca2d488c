"""The chat endpoint on a real socket: honest statuses, honest endings, and nobody left running."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.accounting import Tally
from parley import errors
from parley.chat.events import Events, Stop, Text, ToolCall, Usage
from parley.chat.prompt import Prompt
from parley.errors import BadRequest, Failure, Throttled, UpstreamStalled, UpstreamTruncated
from tests.schema import check_completion, check_error, check_stream
from tests.services.gateway.serving import Front

HI: list[Any] = [{"role": "user", "content": "hi"}]
ASK = {"model": "plain", "messages": HI}
KEY = "sk-parley-4d1f0a"


async def hello(prompt: Prompt, tally: Tally) -> Events:
    tally.attempt("one", "plain").credential = "first"
    yield Text("Hel")
    yield Text("lo")
    yield Stop("stop")
    tally.usage = Usage(1, 2)
    yield tally.usage


async def wait(prompt: Prompt, tally: Tally) -> Events:
    if prompt.user == "after":
        yield Text("so")
    await asyncio.sleep(60)
    yield Stop("stop")


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with Front(hello) as front:
        yield front


@pytest.fixture
def client(front: Front) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{front.url}/v1", api_key="any", max_retries=0)


def post(front: Front, body: Any = None, **options: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps({**ASK, **(body or {})}).encode()
    return httpx.post(f"{front.url}/v1/chat/completions", content=content, timeout=10, **options)


def chunks(text: str) -> list[Any]:
    return [json.loads(frame[6:]) for frame in text.split("\n\n") if frame.startswith("data: {")]


def raw_request(front: Front, body: Any) -> socket.socket:
    """A socket with a request written on it."""
    text = json.dumps({**ASK, **body}).encode()
    connection = socket.create_connection(("127.0.0.1", front.port))
    connection.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
    )
    return connection


# --- answers ------------------------------------------------------------------------------------------------------


def test_an_answer(front: Front) -> None:
    response = post(front)
    check_completion(response.json())
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-parley-attempts"] == "1"
    assert response.headers["x-parley-upstream"] == "one"
    assert response.json()["model"] == "plain"


def test_a_stream(front: Front) -> None:
    response = post(front, {"stream": True, "stream_options": {"include_usage": True}})
    check_stream(chunks(response.text), include_usage=True)
    assert response.text.endswith("data: [DONE]\n\n")
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-parley-attempts"] == "1"
    assert len(response.headers["x-request-id"]) == 32


def test_the_official_client_reads_both(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="plain", messages=HI)
    assert whole.choices[0].message.content == "Hello"
    assert whole._request_id
    with client.chat.completions.stream(model="plain", messages=HI) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "Hello"


async def test_the_official_async_client_reads_streams(front: Front) -> None:
    async with openai.AsyncOpenAI(base_url=f"{front.url}/v1", api_key="any") as client:
        stream = await client.chat.completions.create(model="plain", messages=HI, stream=True)
        said = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(said) == "Hello"


def test_an_estimated_usage_is_marked() -> None:
    async def counted(prompt: Prompt, tally: Tally) -> Events:
        tally.attempt("one", "plain").credential = "first"
        yield Text("x")
        yield Stop("stop")
        tally.usage = Usage(1, 1, measured=False)
        yield tally.usage

    with Front(counted) as front:
        assert post(front).headers["x-parley-usage"] == "estimated"
        streamed = post(front, {"stream": True, "stream_options": {"include_usage": True}})
        assert ": x-parley-usage: estimated\n\n" in streamed.text
        assert front.records(2)[1]["usage"]["source"] == "estimated"


def test_who_named_no_model_learns_who_answered() -> None:
    with Front(hello) as front:
        content = json.dumps({"messages": HI}).encode()
        assert post(front, content).json()["model"] == "plain"
        assert {c["model"] for c in chunks(post(front, content[:-1] + b', "stream": true}').text)} == {"plain"}


def test_the_old_way_to_call_functions() -> None:
    async def call(prompt: Prompt, tally: Tally) -> Events:
        assert prompt.tools
        yield ToolCall(0, id="call_1", name="weather")
        yield ToolCall(0, arguments="{}")
        yield Stop("tool_calls")

    with Front(call) as front:
        client = openai.OpenAI(base_url=f"{front.url}/v1", api_key="any", max_retries=0)
        options: Any = {"model": "plain", "messages": HI, "functions": [{"name": "weather", "parameters": {}}]}
        whole = client.chat.completions.create(**options)
        assert whole.choices[0].finish_reason == "function_call"
        assert whole.choices[0].message.function_call is not None
        assert whole.choices[0].message.function_call.name == "weather"
        last = list(client.chat.completions.create(stream=True, **options))[-1]
        assert last.choices[0].finish_reason == "function_call"


# --- failures -----------------------------------------------------------------------------------------------------


def kinds(root: type[Failure] = Failure) -> Iterator[type[Failure]]:
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
            yield from kinds(kind)


@pytest.fixture(scope="module")
def failing() -> Iterator[Front]:
    async def fail(prompt: Prompt, tally: Tally) -> Events:
        tally.attempt("one", "plain").credential = "first"
        if prompt.metadata and prompt.metadata.get("said"):
            yield Text("half")
        raise getattr(errors, prompt.user or "")("It failed.", retry_after=None)

    async def fail_simply(prompt: Prompt, tally: Tally) -> Events:
        if prompt.user == "BadRequest":
            raise BadRequest("It failed.", param="n", code="invalid_value")
        async for event in fail(prompt, tally):
            yield event

    with Front(fail_simply) as front:
        yield front


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
def test_a_failure_before_the_first_word_is_a_true_status(failing: Front, kind: type[Failure], stream: bool) -> None:
    response = post(failing, {"user": kind.__name__, "stream": stream})
    assert response.status_code == kind.status
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    check_error(response.json())


def test_official_exceptions_carry_the_facts(failing: Front) -> None:
    client = openai.OpenAI(base_url=f"{failing.url}/v1", api_key="any", max_retries=0)
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model="plain", messages=HI, user="BadRequest")
    assert (wrong.value.param, wrong.value.code, wrong.value.type) == ("n", "invalid_value", "invalid_request_error")
    assert wrong.value.request_id
    with pytest.raises(openai.RateLimitError) as slow:
        client.chat.completions.create(model="plain", messages=HI, user="Throttled")
    assert slow.value.code == "rate_limit_exceeded"
    assert int(slow.value.response.headers["retry-after"]) >= 1


@pytest.mark.parametrize("kind", [Throttled, UpstreamTruncated, UpstreamStalled])
def test_a_failure_after_the_first_word_is_told_inside_the_stream(failing: Front, kind: type[Failure]) -> None:
    response = post(failing, {"user": kind.__name__, "stream": True, "metadata": {"said": "1"}})
    assert response.status_code == 200
    assert "[DONE]" not in response.text
    last = chunks(response.text)[-1]
    check_error(last)
    assert last["error"]["code"] == kind.code
    assert '"finish_reason":"' not in response.text
    client = openai.OpenAI(base_url=f"{failing.url}/v1", api_key="any", max_retries=0)
    with pytest.raises(openai.APIError) as raised:
        list(client.chat.completions.create(
            model="plain", messages=HI, stream=True, user=kind.__name__, metadata={"said": "1"}
        ))  # fmt: skip
    assert raised.value.code == kind.code


def test_half_a_whole_answer_is_an_error(failing: Front) -> None:
    response = post(failing, {"user": "UpstreamTruncated", "metadata": {"said": "1"}})
    assert response.status_code == 502
    assert "half" not in response.text


@pytest.mark.parametrize("stream", [False, True])
def test_an_end_that_nobody_said_is_not_invented(stream: bool) -> None:
    async def broken_off(prompt: Prompt, tally: Tally) -> Events:
        yield Text("half")

    async def silent(prompt: Prompt, tally: Tally) -> Events:
        return
        yield

    for script in (broken_off, silent):
        with Front(script) as front:
            text = post(front, {"stream": stream}).text
            assert '"code":"upstream_truncated"' in text
            assert "[DONE]" not in text


@pytest.mark.parametrize("said", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_a_bug_is_a_500_that_tells_nothing_but_its_request_id(
    stream: bool, said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def buggy(prompt: Prompt, tally: Tally) -> Events:
        if said:
            yield Text("half")
        raise RuntimeError("sk-canary-secret")

    with Front(buggy) as front:
        response = post(front, {"stream": stream}, headers={"x-request-id": "my-request-1"})
        assert "canary" not in response.text
        assert "my-request-1" in response.text
        assert response.status_code == (200 if stream and said else 500)
        assert front.records()[0]["outcome"] == "failed"
    assert "a request failed unexpectedly" in caplog.text


# --- the door -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked() -> Iterator[Front]:
    with Front(hello, key=KEY) as front:
        yield front


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, None),
        ("", None),
        ("Bearer", None),
        (f"Basic {KEY}", None),
        (KEY, None),
        ("Bearer wrong-key-1", "invalid_api_key"),
        (f"Bearer {KEY}x", "invalid_api_key"),
        (f"Bearer {KEY[:-1]}", "invalid_api_key"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1/models/plain"])
def test_without_the_key_nobody_enters(locked: Front, path: str, authorization: str | None, code: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    method = "POST" if path.endswith("completions") else "GET"
    response = httpx.request(method, f"{locked.url}{path}", headers=headers, content=b"not even JSON")
    assert response.status_code == 401
    check_error(response.json())
    assert response.json()["error"]["code"] == code
    assert response.headers["www-authenticate"] == "Bearer"
    assert "wrong-key-1" not in response.text


def test_with_the_key_one_enters(locked: Front) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert post(locked, headers={"authorization": f"{scheme} {KEY}"}).status_code == 200
    client = openai.OpenAI(base_url=f"{locked.url}/v1", api_key="nonsense", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        client.models.list()


# --- bodies -------------------------------------------------------------------------------------------------------


def test_a_large_body_is_refused_by_its_length_and_by_its_size() -> None:
    with Front(hello, max_body_mb=1) as front:
        large = b'{"messages":"' + b"x" * (1 << 20) + b'"}'
        for content in (large, iter([large[:1000], large[1000:]])):
            response = httpx.post(f"{front.url}/v1/chat/completions", content=content)
            assert response.status_code == 413
            assert response.json()["error"]["code"] == "request_too_large"


def test_a_wrong_body_is_named(front: Front) -> None:
    response = post(front, {"n": "many"})
    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": "Invalid type for 'n': expected an integer, but got a string instead.",
        "type": "invalid_request_error",
        "param": "n",
        "code": "invalid_type",
    }


@given(
    st.binary(max_size=100)
    | st.dictionaries(st.sampled_from([*Prompt.__struct_fields__]), st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(HI),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
        max_leaves=5,
    ))
)  # fmt: skip
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_makes_a_500(front: Front, body: Any) -> None:
    content = body if isinstance(body, bytes) else json.dumps({"messages": HI, **body}).encode("utf-8", "replace")
    response = post(front, content)
    assert response.status_code in (200, 400), response.text
    if response.status_code == 400:
        check_error(response.json())


# --- time ---------------------------------------------------------------------------------------------------------


def test_a_late_first_word_gets_headers_after_the_grace_and_comments_meanwhile() -> None:
    async def late(prompt: Prompt, tally: Tally) -> Events:
        await asyncio.sleep(1.0)
        yield Text("late")
        await asyncio.sleep(0.5)
        yield Stop("stop")

    with Front(late, grace=0.2, heartbeat=0.2) as front:
        began = time.monotonic()
        with httpx.stream("POST", f"{front.url}/v1/chat/completions", json={**ASK, "stream": True}) as response:
            assert 0.15 < time.monotonic() - began < 0.6
            assert response.status_code == 200
            text = "".join(response.iter_text())
        before, after = text.split('"late"')
        assert before.count(": keep-alive\n\n") >= 3
        assert after.count(": keep-alive\n\n") >= 1
        check_stream(chunks(text), include_usage=False)
        assert text.endswith("data: [DONE]\n\n")


def test_an_early_refusal_is_a_true_one_and_a_late_one_is_told_inside() -> None:
    async def refuse(prompt: Prompt, tally: Tally) -> Events:
        await asyncio.sleep(float(prompt.user or 0))
        raise Throttled("Slow down.", retry_after=2)
        yield

    with Front(refuse, grace=0.4) as front:
        early = post(front, {"stream": True, "user": "0.1"})
        assert (early.status_code, early.headers["retry-after"]) == (429, "2")
        late = post(front, {"stream": True, "user": "0.9"})
        assert late.status_code == 200
        assert chunks(late.text)[-1]["error"]["code"] == "rate_limit_exceeded"
        assert "[DONE]" not in late.text


def test_a_stream_that_talks_gets_no_comments() -> None:
    async def talk(prompt: Prompt, tally: Tally) -> Events:
        for _ in range(30):
            await asyncio.sleep(0.02)
            yield Text("x")
        yield Stop("stop")

    with Front(talk, grace=0.3, heartbeat=0.3) as front:
        assert "keep-alive" not in post(front, {"stream": True}).text


def test_words_are_sent_when_they_are_said() -> None:
    async def paced(prompt: Prompt, tally: Tally) -> Events:
        for _ in range(5):
            yield Text("x")
            await asyncio.sleep(0.1)
        yield Stop("stop")

    with (
        Front(paced) as front,
        httpx.stream("POST", f"{front.url}/v1/chat/completions", json={**ASK, "stream": True}) as response,
    ):
        moments = [time.monotonic() for piece in response.iter_raw() if b'"x"' in piece]
    gaps = [b - a for a, b in itertools.pairwise(moments)]
    assert len(moments) == 5
    assert all(0.05 < gap < 0.3 for gap in gaps), gaps


# --- hanging up ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", ["close", "reset"])
def test_a_hang_up_reaches_the_upstream_at_once(moment: str, stream: bool, way: str) -> None:
    with Front(wait) as front:
        connection = raw_request(front, {"stream": stream, "user": moment})
        if stream and moment == "after":
            heard = b""
            while b'"so"' not in heard:
                heard += connection.recv(65536)
        else:
            time.sleep(0.3)
        assert len(front.asked) == 1
        assert not front.closed.is_set()
        if way == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        began = time.monotonic()
        connection.close()
        assert front.closed.wait(1)
        assert time.monotonic() - began < 0.1
        (record,) = front.records()
        assert record["outcome"] == "hung_up"
        assert record["stream"] is stream


def test_a_hang_up_during_the_wait_for_headers_stops_the_comments_too() -> None:
    with Front(wait, grace=0.1, heartbeat=0.1) as front:
        connection = raw_request(front, {"stream": True})
        heard = b""
        while b"keep-alive" not in heard:
            heard += connection.recv(65536)
        connection.close()
        assert front.closed.wait(10)


def test_a_slow_reader_holds_the_answer_back_and_can_still_hang_up() -> None:
    said = 0

    async def flood(prompt: Prompt, tally: Tally) -> Events:
        nonlocal said
        for said in range(1, 5000):  # noqa: B007
            yield Text("x" * 10_000)
        yield Stop("stop")

    with Front(flood, grace=0.1, heartbeat=0.1) as front:
        connection = raw_request(front, {"stream": True})
        time.sleep(1)
        held = said
        time.sleep(0.5)
        assert said == held < 4000
        connection.close()
        assert front.closed.wait(1)
        assert front.records()[0]["outcome"] == "hung_up"


def test_a_caller_who_leaves_before_the_body_is_complete_costs_nothing() -> None:
    with Front(hello) as front:
        connection = socket.create_connection(("127.0.0.1", front.port))
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        time.sleep(0.1)
        connection.close()
        assert front.records()[0]["outcome"] == "hung_up"
        assert front.asked == []


def test_one_connection_serves_many_requests_after_refusals_and_answers(front: Front) -> None:
    with httpx.Client() as client:
        for body in ({}, {"n": 0}, {"stream": True}, {"messages": []}, {}):
            response = client.post(f"{front.url}/v1/chat/completions", json={**ASK, **body})
            assert response.status_code in (200, 400)


# --- the record ---------------------------------------------------------------------------------------------------


def test_every_request_has_one_record() -> None:
    with Front(hello, key=KEY) as front:
        key = {"authorization": f"Bearer {KEY}"}
        post(front, headers={**key, "x-request-id": "request-0001", "x-forwarded-for": "203.0.113.9"})
        post(front, {"n": 0}, headers=key)
        post(front)
        httpx.get(f"{front.url}/nowhere")
        httpx.get(f"{front.url}/health/live")
        records = front.records(4)
        time.sleep(0.3)
        assert len(front.records(4)) == 4
    answered, malformed, locked_out, nowhere = records
    assert answered["request_id"] == "request-0001"
    assert (answered["outcome"], answered["status"], answered["level"]) == ("done", 200, "info")
    assert (answered["caller"], answered["client"]) == ("master", "203.0.113.9")
    assert answered["usage"] == {"prompt": 1, "completion": 2, "cached": 0, "reasoning": 0, "source": "measured"}
    assert [attempt["upstream"] for attempt in answered["attempts"]] == ["one"]
    assert (malformed["outcome"], malformed["status"], malformed["failure"]) == ("refused", 400, "invalid_value")
    assert (locked_out["outcome"], locked_out["status"], locked_out["failure"]) == ("refused", 401, "no_api_key")
    assert (nowhere["outcome"], nowhere["status"], nowhere["path"]) == ("refused", 404, "/nowhere")
    assert KEY not in json.dumps(records)


@pytest.mark.parametrize("streamed", [False, True])
def test_answers_leave_nothing_for_the_garbage_collector(front: Front, streamed: bool) -> None:
    """What it finds, it finds all at once: a pause of all streams of the process."""

    def ask(times: int) -> None:
        for _ in range(times):
            with raw_request(front, {"stream": streamed}) as connection:
                said = b""
                while not said.endswith((b"0\r\n\r\n", b"}}")):
                    said += connection.recv(65536)
                assert b" 200 OK" in said

    ask(5)
    gc.collect()
    gc.disable()
    try:
        ask(20)
        time.sleep(0.1)
        assert gc.collect() < 20 * 5
    finally:
        gc.enable()
