"""The stand-in for iFlytek Spark: the vendor's own client works with it, and what the vendor refuses it refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import openai
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.upstreams.running import Emulator
from tests.upstreams.vendor import saw

CLIENT = Path(__file__).parent / "clients" / "spark.py"
NEW_YEAR = "Mon, 01 Jan 2024 00:00:00 GMT"
A = "wt+HbOIA98ew66z9LQ7I+A4Ilci4oGhIgmD7RBhBTJQ="
B = "/RsVr9VUzbMDWPRLQ3ewHGaQ09CNCqiT518CxHy6vIs="
"""The worked examples of the vendor page: paths `/v3.5/chat` and `/v1.1/chat`."""
WEATHER = {
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
}


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator("spark") as emulator:
        yield emulator


@pytest.fixture
def upstream(running: Emulator) -> Emulator:
    running.reset()
    return running


# --- the vendor's client ------------------------------------------------------------------------------------------


def test_the_official_client_works_unmodified(upstream: Emulator) -> None:
    told = saw("spark", CLIENT, upstream.url)
    usage = {"question_tokens": 3, "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert told["whole"] == ["晴。明天有雨。", None, usage]
    assert told["streamed"] == [["晴。明天", "有雨。"], usage]
    assert told["async"] == ["晴。"]
    assert told["report"]["frame"] == {
        "header": {"app_id": "demoapp1", "uid": "spark_sdk_user"},
        "parameter": {"chat": {"domain": "generalv3.5", "temperature": 0.5, "top_k": 4, "max_tokens": 2048}},
        "payload": {
            "message": {
                "text": [
                    {"role": "system", "content": "简短"},
                    {"role": "user", "content": "你好"},
                    {"role": "assistant", "content": "你好!"},
                    {"role": "user", "content": "!report"},
                ]
            }
        },
    }
    origin = base64.b64decode(told["report"]["query"]["authorization"]).decode()
    assert f'algorithm="hmac-sha256",{" " * 9}headers=' in origin, "the client's own way, and accepted"
    assert told["called"][:2] == ["", {"name": "get_weather", "arguments": '{"town":"Basel"}'}]
    assert told["versions"] == ["general", "lite", "generalv3", "pro-128k", "max-32k", "4.0Ultra", "kjwx", "x1"]
    assert told["image"] == "一只猫"
    for name, code in {"wrong_domain": 10404, "wrong_app": 11200, "empty": 10003}.items():
        kind, told_code, text = told[name]
        assert (kind, told_code) == ("SparkAIConnectionError", code)
        assert text.startswith(f"Error Code: {code}, Error: ")
    for code in (10013, 10014, 11202):
        no = f"Error Code: {code}, Error: no (code={code})"
        assert told[f"code_{code}"] == ["SparkAIConnectionError", code, no]
    assert "HMAC signature does not match" in told["wrong_secret"][2]


# --- the handshake ------------------------------------------------------------------------------------------------


def authorization(signature: str, form: str = 'api_key="{key}", algorithm="hmac-sha256", {list}, {signature}') -> str:
    listed, signed = 'headers="host date request-line"', f'signature="{signature}"'
    return base64.b64encode(form.format(key="demo-api-key", list=listed, signature=signed).encode()).decode()


def opened(upstream: Emulator, path: str, **query: str) -> AbstractContextManager[ClientConnection]:
    return connect(f"ws://127.0.0.1:{upstream.port}{path}?{urlencode(query)}", proxy=None)


def refusal(upstream: Emulator, path: str, **query: str) -> tuple[int, Any]:
    with pytest.raises(InvalidStatus) as refused:
        opened(upstream, path, **query).__enter__()
    return refused.value.response.status_code, json.loads(refused.value.response.body)["message"]


@pytest.mark.parametrize(
    ("path", "host", "signature"),
    [("/v3.5/chat", "spark-api.xf-yun.com", A), ("/v1.1/chat", "127.0.0.1:9300", B)],
    ids=["A", "B"],
)
def test_the_worked_examples_are_accepted_and_changed_bytes_are_not(
    upstream: Emulator, path: str, host: str, signature: str
) -> None:
    upstream.set(now=parsedate_to_datetime(NEW_YEAR).timestamp() + 299)
    right = {"authorization": authorization(signature), "date": NEW_YEAR, "host": host}
    with opened(upstream, path, **right):
        pass
    wrong = (401, "HMAC signature does not match")
    assert refusal(upstream, "/v4.0/chat", **right) == wrong
    assert refusal(upstream, path, **{**right, "host": "localhost"}) == wrong
    assert refusal(upstream, path, **{**right, "date": NEW_YEAR.replace("00:00:00", "00:00:01")}) == wrong
    assert refusal(upstream, path, **{**right, "authorization": authorization("x" + signature[1:])}) == wrong
    upstream.set(now=parsedate_to_datetime(NEW_YEAR).timestamp() + 301)
    status, message = refusal(upstream, path, **right)
    assert (status, "a valid date or x-date header is required" in message) == (403, True)


@pytest.mark.parametrize(
    "form",
    [
        'hmac username="{key}", algorithm="hmac-sha256", {list}, {signature}',
        'api_key="{key}",algorithm="hmac-sha256",{list},{signature}',
        "api_key='{key}', algorithm='hmac-sha256', {list}, {signature}",
    ],
)
def test_other_clients_forms_of_the_authorization_are_accepted(upstream: Emulator, form: str) -> None:
    upstream.set(now=parsedate_to_datetime(NEW_YEAR).timestamp())
    query = {"authorization": authorization(A, form), "date": NEW_YEAR, "host": "spark-api.xf-yun.com"}
    with opened(upstream, "/v3.5/chat", **query):
        pass


def test_a_handshake_is_refused_in_the_gateways_words(upstream: Emulator) -> None:
    now = formatdate(usegmt=True)
    assert refusal(upstream, "/v3.5/chat") == (401, "Unauthorized")
    unknown = base64.b64encode(b'api_key="nobody", signature="x"').decode()
    for garbage in ("%%%", unknown):
        told = refusal(upstream, "/v3.5/chat", authorization=garbage, date=now, host="x")
        assert told == (401, "HMAC signature cannot be verified: fail to retrieve credential")
    form = 'api_key="{key}", algorithm="hmac-sha256", headers="date request-line", {signature}'
    told = refusal(upstream, "/v3.5/chat", authorization=authorization(A, form), date=now, host="x")
    assert told == (401, "HMAC signature cannot be verified:enforced header 'host' not used for signature creation")
    assert refusal(upstream, "/v3.5/chat", authorization=authorization(A), date="soon", host="x")[0] == 403
    assert refusal(upstream, "/v9/chat", authorization=authorization(A), date=now, host="x")[0] == 404


# --- questions ----------------------------------------------------------------------------------------------------


def frame(text: Any = "hello", domain: str = "generalv3.5", **chat: Any) -> dict[str, Any]:
    texts = [{"role": "user", "content": text}] if isinstance(text, str) else text
    return {
        "header": {"app_id": "demoapp1"},
        "parameter": {"chat": {"domain": domain, **chat}},
        "payload": {"message": {"text": texts}},
    }


@pytest.fixture
def ask(upstream: Emulator) -> Iterator[Any]:
    """Frames of an answer to a frame, on a socket of its own."""
    upstream.set(now=parsedate_to_datetime(NEW_YEAR).timestamp(), linger=0)
    query = {"authorization": authorization(A), "date": NEW_YEAR, "host": "spark-api.xf-yun.com"}

    def asking(question: Any) -> list[dict[str, Any]]:
        with opened(upstream, "/v3.5/chat", **query) as socket:
            socket.send(question if isinstance(question, str) else json.dumps(question))
            return [json.loads(message) for message in socket]

    yield asking
    assert not upstream.stats()["counts"].get("slip")


def test_an_answer_has_the_recorded_shape(ask: Any) -> None:
    first, middle, last = ask(frame("!say:eleven char"))
    sid = first["header"]["sid"]
    for status, one in enumerate((first, middle, last)):
        assert one["header"] == {"code": 0, "message": "Success", "sid": sid, "status": status}
        assert (one["payload"]["choices"]["status"], one["payload"]["choices"]["seq"]) == (status, status)
        assert one["payload"]["choices"]["text"][0].keys() == {"content", "role", "index"}
    assert [one["payload"].keys() for one in (first, middle)] == [{"choices"}, {"choices"}]
    assert last["payload"]["usage"]["text"]["completion_tokens"] == 3
    (only,) = ask(frame('!tool:f:{"a":1}'))
    assert only["payload"]["choices"]["text"][0] == {
        "content": "",
        "role": "assistant",
        "content_type": "text",
        "function_call": {"name": "f", "arguments": '{"a":1}'},
        "index": 0,
    }


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ("what?", 10003),
        ({}, 10004),
        (frame() | {"header": {"app_id": "nobody"}}, 11200),
        (frame() | {"header": {"app_id": "demoapp1", "uid": "u" * 33}}, 10005),
        (frame(domain="lite"), 10404),
        (frame(temperature=0), 10005),
        (frame(temperature=1.5), 10005),
        (frame(top_k=7), 10005),
        (frame(max_tokens=8193), 10005),
        (frame(top_p=0.5), 10004),
        (frame(tools=[]), 10005),
        (frame([]), 10004),
        (frame(" "), 10003),
        (frame([{"role": "tool", "content": "14 C"}]), 10004),
        (frame([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]), 10004),
        (frame([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]), 10004),
        (frame([{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]), 10004),
        (frame("x" * 40000), 10907),
    ],
    ids=lambda value: value if isinstance(value, int) else "",
)
def test_what_the_vendor_refuses_is_refused_by_code(ask: Any, question: Any, code: int) -> None:
    (only,) = ask(question)
    assert (only["header"]["code"], only["header"]["status"], "payload" in only) == (code, 2, False)


def test_a_socket_answers_one_question_and_waits_only_so_long_for_it(upstream: Emulator) -> None:
    upstream.set(now=parsedate_to_datetime(NEW_YEAR).timestamp(), idle=0.1)
    query = {"authorization": authorization(A), "date": NEW_YEAR, "host": "spark-api.xf-yun.com"}
    with opened(upstream, "/v3.5/chat", **query) as socket, pytest.raises(ConnectionClosed):
        socket.recv(5)
    upstream.set(idle=60)
    with opened(upstream, "/v3.5/chat", **query) as socket:
        socket.send(json.dumps(frame("!slow:50:one two three four")))
        socket.send(json.dumps(frame("again")))
        codes = [json.loads(message)["header"]["code"] for message in socket]
    assert codes[-1] == 10007
    assert upstream.stats()["counts"]["second_question"] == 1


@pytest.mark.parametrize(
    ("settings", "code"),
    [({"daily": 0}, 11201), ({"rate": {"requests": 0}}, 11202)],
)
def test_what_is_used_up_is_refused_by_code(ask: Any, upstream: Emulator, settings: Any, code: int) -> None:
    upstream.set(**settings)
    assert ask(frame())[-1]["header"]["code"] == code


# --- the HTTP API -------------------------------------------------------------------------------------------------


@pytest.fixture
def client(upstream: Emulator) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{upstream.url}/v1", api_key="demo-password", max_retries=0)


def told(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_openais_client_reads_the_http_api(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="generalv3.5", messages=told("!say:晴。明天有雨。"))
    assert whole.choices[0].message.content == "晴。明天有雨。"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (3, 2)
    assert not (whole.id or whole.choices[0].finish_reason), "the vendor does not say them"
    chunks = list(client.chat.completions.create(model="lite", messages=told("!say:晴。明天有雨。"), stream=True))
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["晴。明天", "有雨。"]
    assert [chunk.usage is not None for chunk in chunks] == [False, True]


def test_a_call_is_an_object_unless_the_switch_is_on(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {
        "model": "generalv3.5",
        "messages": told('!tool:get_weather:{"town":"Basel"}'),
        "tools": [{"type": "function", "function": WEATHER}],
    }
    alone: Any = client.chat.completions.create(**ask).choices[0].message.tool_calls
    listed = client.chat.completions.create(**ask, extra_body={"tool_calls_switch": True}).choices[0].message
    assert listed.tool_calls is not None
    assert listed.tool_calls[0].to_dict()["function"] == alone["function"]
    assert alone["function"] == {"arguments": '{"town":"Basel"}', "name": "get_weather"}


def test_openais_client_raises_what_the_http_api_refuses(client: openai.OpenAI, upstream: Emulator) -> None:
    def refused(**more: Any) -> openai.APIStatusError:
        ask: dict[str, Any] = {"model": "generalv3.5", "messages": told("?")} | more
        with pytest.raises(openai.APIStatusError) as raised:
            client.chat.completions.create(**ask)
        return raised.value

    wrong = refused(extra_headers={"Authorization": "Bearer nobody"})
    assert isinstance(wrong, openai.AuthenticationError)
    assert wrong.body == {"message": "invalid user", "type": "api_error", "param": None, "code": None}
    other = refused(extra_headers={"Authorization": "Bearer demo-password-lite"})
    assert (type(other), other.code) == (openai.AuthenticationError, "11200")
    wrongs: dict[str, dict[str, Any]] = {
        "10404": {"model": "gpt-4o"},
        "10005": {"top_p": 0},
        "10004": {"seed": 1},
        "10003": {"messages": told("")},
    }
    for code, more in wrongs.items():
        error = refused(**more)
        assert (type(error), error.code) == (openai.BadRequestError, code)
    upstream.set(errors="code")
    said = httpx.post(
        f"{upstream.url}/v1/chat/completions",
        json={"model": "nobody", "messages": told("?")},
        headers={"authorization": "Bearer demo-api-key:demo-api-secret"},
        trust_env=False,
    )
    assert (said.status_code, said.json()["code"], said.json()["sid"][:3]) == (200, 10404, "cha")
