"""The same conversation asked of Qianfan's stand-in by its own client and by Parley: same text, calls and usage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.stack.running import Stack
from tests.upstreams.running import Emulator
from tests.upstreams.vendor import saw

TALK = Path(__file__).parents[2] / "upstreams" / "clients" / "qianfan_talk.py"
FUNCTION = {
    "name": "get_weather",
    "description": "按城市查天气",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
}
TOOL = {"type": "function", "function": FUNCTION}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"town":"Basel"}'}}
WORDS = {"role": "user", "content": "!say:你好, 世界 🙂\n\n第二行"}
WEATHER = {"role": "user", "content": '!think:需要查询\n!tool:get_weather:{"town":"Zürich"}'}
LONG = {"role": "user", "content": "!say:" + "word " * 30}
RULES = {"role": "system", "content": "简短"}
TALKED = [{"role": "user", "content": "这里天气怎么样?"}, {"role": "assistant", "content": "晴"}, WORDS]
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "晴"}
CALLED = [WORDS, {"role": "assistant", "content": "", "tool_calls": [CALL]}, RESULT]
TOLD = [
    WORDS,
    {"role": "assistant", "content": "", "function_call": CALL["function"]},
    {"role": "function", "name": "get_weather", "content": "晴"},
]

# upstream, question: what its client is told, and what Parley is
QUESTIONS: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {
    ("qianfan-legacy", "words"): ({"messages": TALKED, "system": "简短"}, {"messages": [RULES, *TALKED]}),
    ("qianfan-legacy", "call"): (
        {"messages": [WEATHER], "functions": [FUNCTION]},
        {"messages": [WEATHER], "tools": [TOOL]},
    ),
    ("qianfan-legacy", "result"): (
        {"messages": TOLD, "functions": [FUNCTION]},
        {"messages": CALLED, "tools": [TOOL]},
    ),
    ("qianfan-legacy", "limit"): ({"messages": [LONG], "max_output_tokens": 5}, {"messages": [LONG], "max_tokens": 5}),
    ("qianfan", "words"): ({"messages": [RULES, *TALKED]},) * 2,
    ("qianfan", "call"): ({"messages": [WEATHER], "tools": [TOOL]},) * 2,
    ("qianfan", "limit"): ({"messages": [LONG], "max_tokens": 5},) * 2,
}
MODELS = {"qianfan-legacy": "ERNIE-4.0-8K", "qianfan": "ernie-4.0-8k"}


def told(messages: list[Any], usage: Any) -> dict[str, Any]:
    calls: dict[int, list[str]] = {}
    for message in messages:
        for place, call in enumerate(message.tool_calls or ()):
            said = calls.setdefault(getattr(call, "index", place), ["", ""])
            said[0] += call.function.name or ""
            said[1] += call.function.arguments or ""
    return {
        "text": "".join(message.content or "" for message in messages),
        "thought": "".join(getattr(message, "reasoning_content", None) or "" for message in messages),
        "calls": list(calls.values()),
        "usage": [usage.prompt_tokens, usage.completion_tokens],
    }


def heard_by(client: openai.OpenAI, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Whole, and streamed."""
    answer = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    return [told([answer.choices[0].message], answer.usage), told(deltas, chunks[-1].usage)]


@pytest.fixture(scope="module")
def heard() -> Iterator[dict[tuple[str, str], tuple[list[Any], list[Any]]]]:
    """By question: what the vendor's client heard, and what Parley's caller did; each whole and streamed."""
    with Emulator("qianfan") as upstream:
        upstream.set(rpm=60000, tpm=60000000)
        settings = {
            "QIANFAN_AK": "demoapikey1",
            "QIANFAN_SK": "demosecretkey1",
            "QIANFAN_ACCESS_KEY": "DEMOAK",
            "QIANFAN_SECRET_KEY": "DEMOSK",
            "QIANFAN_BASE_URL": f"{upstream.url}/v2",
            "QIANFAN_LEGACY_BASE_URL": upstream.url,
        }
        for_them = [[name, {"model": MODELS[name], **theirs}] for (name, _), (theirs, _) in QUESTIONS.items()]
        theirs = saw("qianfan", TALK, upstream.url, json.dumps(for_them))
        with Stack(settings, gateways=1) as stack:
            client = stack.client()
            ours = [
                heard_by(client, {"model": f"{name}/{MODELS[name]}", **asked})
                for (name, _), (_, asked) in QUESTIONS.items()
            ]
        yield dict(zip(QUESTIONS, zip(theirs, ours, strict=True), strict=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("question", QUESTIONS, ids="-".join)
def test_parley_hears_what_the_vendors_client_hears(
    heard: dict[tuple[str, str], tuple[list[Any], list[Any]]], question: tuple[str, str]
) -> None:
    theirs, ours = heard[question]
    assert ours == theirs
    assert ours[0]["usage"][1] > 0


def test_what_was_asked_for_was_heard(heard: dict[tuple[str, str], tuple[list[Any], list[Any]]]) -> None:
    ours = {question: both[1][1] for question, both in heard.items()}
    for name in MODELS:
        assert ours[name, "words"]["text"] == "你好, 世界 🙂\n\n第二行"
        assert ours[name, "call"]["calls"] == [["get_weather", '{"town":"Zürich"}']]
        assert ours[name, "call"]["thought"] == "需要查询"
        assert ours[name, "limit"]["usage"][1] == 5
    assert ours["qianfan-legacy", "result"]["text"] == "你好, 世界 🙂\n\n第二行"
