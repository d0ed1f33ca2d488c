"""The same conversation asked of iFlytek Spark's stand-in by its own client and by Parley: same text, calls and usage.

Over HTTP the vendor's advice is OpenAI's client, so that is the one which hears the other side there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import openai
import pytest

from tests.stack.running import Stack
from tests.upstreams.running import Emulator
from tests.upstreams.vendor import saw

CLIENT = Path(__file__).parents[2] / "upstreams" / "clients" / "spark.py"
WEATHER = {
    "name": "get_weather",
    "description": "按城市查天气",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
}
TURNS = [
    {"role": "system", "content": "简短回答"},
    {"role": "user", "content": "你好"},
    {"role": "assistant", "content": "你好!"},
    {"role": "user", "content": "!say:晴。\n\n明天有雨 🌧"},
]


class Question(NamedTuple):
    """What is asked, and where the vendor's client finds the model."""

    path: str
    model: str
    messages: list[dict[str, str]]
    functions: tuple[dict[str, Any], ...] = ()


QUESTIONS = {
    "turns": Question("/v3.5/chat", "generalv3.5", TURNS),
    "call": Question(
        "/v4.0/chat", "4.0Ultra", [{"role": "user", "content": '!tool:get_weather:{"town":"Zürich"}'}], (WEATHER,)
    ),
    "lite": Question("/v1.1/chat", "lite", [{"role": "user", "content": "!say:" + "word " * 30}]),
}
Told = dict[str, Any]


def whole(client: openai.OpenAI, upstream: str, question: Question) -> Told:
    answer = client.chat.completions.create(**asked(upstream, question))
    return told([answer.choices[0].message], answer.usage)


def streamed(client: openai.OpenAI, upstream: str, question: Question) -> Told:
    ask = asked(upstream, question)
    ask |= {"stream_options": {"include_usage": True}} if upstream else {}  # the service counts without being told
    chunks = list(client.chat.completions.create(**ask, stream=True))
    usage = next(chunk.usage for chunk in chunks if chunk.usage)
    return told([chunk.choices[0].delta for chunk in chunks if chunk.choices], usage)


def asked(upstream: str, question: Question) -> dict[str, Any]:
    """To Parley under the upstream's name, or to the service itself, whose switch makes calls a list."""
    ask: dict[str, Any] = {"model": f"{upstream}{question.model}", "messages": question.messages}
    if question.functions:
        ask["tools"] = [{"type": "function", "function": function} for function in question.functions]
        ask |= {} if upstream else {"extra_body": {"tool_calls_switch": True}}
    return ask


def told(messages: list[Any], usage: Any) -> Told:
    calls = [call for message in messages for call in message.tool_calls or ()]
    call = {
        "name": "".join(call.function.name or "" for call in calls),
        "arguments": "".join(call.function.arguments or "" for call in calls),
    }
    return {
        "text": "".join(message.content or "" for message in messages),
        "call": call if calls else None,
        "usage": [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens],
    }


class Heard(NamedTuple):
    """By question, whole and streamed: what each side heard."""

    vendor: dict[str, list[Told]]
    sockets: dict[str, list[Told]]
    plain: dict[str, list[Told]]
    http: dict[str, list[Told]]


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    with Emulator("spark") as upstream:
        settings = {
            "SPARK_APP_ID": "demoapp1",
            "SPARK_API_KEY": "demo-api-key",
            "SPARK_API_SECRET": "demo-api-secret",
            "SPARK_API_PASSWORD": "demo-password",
            "SPARK_BASE_URL": upstream.url.replace("http://", "ws://"),
            "SPARK_HTTP_BASE_URL": upstream.url,
        }
        questions = [
            {"path": one.path, "domain": one.model, "messages": one.messages, "functions": one.functions}
            for one in QUESTIONS.values()
        ]
        vendor: Any = saw("spark", CLIENT, upstream.url, json.dumps(questions))
        for answer in (answer for answers in vendor for answer in answers):
            answer["usage"] = [answer["usage"][f"{name}_tokens"] for name in ("prompt", "completion", "total")]
        direct = openai.OpenAI(base_url=f"{upstream.url}/v1", api_key="demo-password", max_retries=0)
        with Stack(settings, gateways=1) as stack:
            client = stack.client()
            yield Heard(
                dict(zip(QUESTIONS, vendor, strict=True)),
                *(
                    {name: [ask(one, upstream_name, q) for ask in (whole, streamed)] for name, q in QUESTIONS.items()}
                    for one, upstream_name in ((client, "spark/"), (direct, ""), (client, "spark-http/"))
                ),
            )


@pytest.mark.parametrize("question", QUESTIONS)
def test_parley_hears_what_the_vendors_client_hears(heard: Heard, question: str) -> None:
    assert heard.sockets[question] == heard.vendor[question]
    assert heard.sockets[question][0] == heard.sockets[question][1]


@pytest.mark.parametrize("question", QUESTIONS)
def test_over_http_parley_hears_what_openais_client_hears(heard: Heard, question: str) -> None:
    assert heard.http[question] == heard.plain[question]


def test_what_was_asked_for_was_heard(heard: Heard) -> None:
    for side in heard:
        assert side["turns"][1]["text"] == "晴。\n\n明天有雨 🌧"
        assert side["call"][1]["call"] == {"name": "get_weather", "arguments": '{"town":"Zürich"}'}
        assert all(count > 0 for count in side["lite"][0]["usage"])
