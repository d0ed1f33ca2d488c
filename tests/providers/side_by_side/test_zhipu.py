"""The same conversation asked of Zhipu's stand-in by its own client and by Parley: same text, calls and usage."""

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

TALK = Path(__file__).parents[2] / "upstreams" / "clients" / "zhipu_talk.py"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "按城市查天气",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}
RULES = {"role": "system", "content": "简短回答"}
CALL = {"id": "call_-83", "type": "function", "function": {"name": "get_weather", "arguments": '{"town":"Basel"}'}}
QUESTIONS: dict[str, dict[str, Any]] = {
    "words": {"messages": [RULES, {"role": "user", "content": "!think:嗯, 让我想想\n!say:你好, 世界 🙂\n\n第二行"}]},
    "calls": {
        "messages": [
            {"role": "user", "content": '!tool:get_weather:{"town": "Zürich"}\n!tool:get_weather:{"town":"Basel"}'}
        ],
        "tools": [TOOL],
    },
    "results": {
        "messages": [
            {"role": "user", "content": "这里天气怎么样?"},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            {"role": "tool", "content": "晴", "tool_call_id": "call_-83"},
            {"role": "user", "content": "谢谢"},
        ],
        "tools": [TOOL],
    },
    "limit": {"messages": [{"role": "user", "content": "!say:" + "word " * 30}], "max_tokens": 5},
}


def told(messages: list[Any], finish: str | None, usage: Any) -> dict[str, Any]:
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
        "finish": finish,
        "usage": [usage.prompt_tokens, usage.completion_tokens, usage.prompt_tokens_details.cached_tokens],
    }


def whole(client: openai.OpenAI, asked: dict[str, Any]) -> dict[str, Any]:
    answer = client.chat.completions.create(**asked)
    return told([answer.choices[0].message], answer.choices[0].finish_reason, answer.usage)


def streamed(client: openai.OpenAI, asked: dict[str, Any]) -> dict[str, Any]:
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    return told([choice.delta for choice in choices], choices[-1].finish_reason, chunks[-1].usage)


@pytest.fixture(scope="module")
def heard() -> Iterator[dict[str, tuple[list[Any], list[Any]]]]:
    """By question: what the vendor's client heard, and what Parley's caller did; each whole and streamed."""
    with Emulator("zhipu") as upstream:
        settings = {
            "ZHIPU_API_KEY": "demoid0123456789.demosecret",
            "ZHIPU_BASE_URL": f"{upstream.url}/api/paas/v4",
            "ZHIPU_SIGN_IN": "jwt",
        }
        asked = [{"model": "glm-4.6", **question} for question in QUESTIONS.values()]
        theirs = saw("zhipu", TALK, upstream.url, json.dumps(asked))
        with Stack(settings, gateways=1) as stack:
            client = stack.client()
            ours = [[whole(client, one), streamed(client, one)] for one in asked]
        yield dict(zip(QUESTIONS, zip(theirs, ours, strict=True), strict=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("question", QUESTIONS)
def test_parley_hears_what_the_vendors_client_hears(heard: dict[str, tuple[list[Any], list[Any]]], question: str):
    theirs, ours = heard[question]
    assert ours == theirs
    assert ours[0]["usage"][1] > 0


def test_what_was_asked_for_was_heard(heard: dict[str, tuple[list[Any], list[Any]]]):
    ours = {question: both[1][1] for question, both in heard.items()}
    assert (ours["words"]["text"], ours["words"]["thought"]) == ("你好, 世界 🙂\n\n第二行", "嗯, 让我想想")
    assert ours["calls"]["calls"] == [["get_weather", '{"town": "Zürich"}'], ["get_weather", '{"town":"Basel"}']]
    assert ours["calls"]["finish"] == "tool_calls"
    assert ours["results"]["text"] == "谢谢"
    assert ours["limit"]["finish"] == "length"
