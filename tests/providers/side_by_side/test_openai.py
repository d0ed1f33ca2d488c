"""The same conversation asked of a stand-in by the vendor's client and by Parley: same text, calls and usage.

OpenAI's own client is the vendor's advice for every look-alike, and AzureOpenAI for Azure; the router of Hugging Face
has a client of its own. All of them are asked through one stack.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.stack.running import Stack
from tests.upstreams.openai.lookalikes import ACCENTS
from tests.upstreams.running import Emulator
from tests.upstreams.vendor import saw

TALK = Path(__file__).parents[2] / "upstreams" / "clients" / "huggingface_talk.py"
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"town": {"type": "string"}}}},
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"town":"Basel"}'}}
QUESTIONS: dict[str, dict[str, Any]] = {
    "words": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "!think:well, let me see\n!say:Grüße, 世界 🙂\n\nnext line"},
        ]
    },
    "calls": {
        "messages": [
            {"role": "user", "content": '!tool:get_weather:{"town": "Zürich"}\n!tool:get_weather:{"town":"Basel"}'}
        ],
        "tools": [TOOL],
    },
    "results": {
        "messages": [
            {"role": "user", "content": "How warm is Basel?"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "content": "14 C", "tool_call_id": "call_1"},
            {"role": "user", "content": "Thank you"},
        ],
        "tools": [TOOL],
    },
    "limit": {"messages": [{"role": "user", "content": "!say:" + "word " * 30}], "max_tokens": 5},
}
UNCOUNTED = ("relay",)
"""They tell no usage in a stream, so that the gateway counts for itself."""
THOUGHTS = ("reasoning_content", "reasoning")
UPSTREAMS = ["openai", *ACCENTS, "azure", "h2ogpte-openai", "huggingface"]
MODELS = {"azure": "chat", "h2ogpte-openai": "gpt-4o", "huggingface": "demo-org/demo-120b:together"}

Told = dict[str, Any]


def told(messages: list[Any], finish: str | None, usage: Any) -> Told:
    calls: dict[int, list[str]] = {}
    for message in messages:
        for call in message.tool_calls or ():
            # Some give every call the same index, and some none at all: what opens a call is its name.
            index = getattr(call, "index", None)
            new = call.function.name and (index is None or index in calls)
            said = calls.setdefault(len(calls) if new or index is None else index, ["", ""])
            said[0] += call.function.name or ""
            said[1] += call.function.arguments or ""
    return {
        "text": "".join(message.content or "" for message in messages),
        "thought": "".join(next((t for n in THOUGHTS if (t := getattr(m, n, None))), "") for m in messages),
        "calls": list(calls.values()),
        "finish": finish,
        "usage": [usage.prompt_tokens, usage.completion_tokens] if usage else None,
    }


def both(client: openai.OpenAI, asked: dict[str, Any]) -> list[Told]:
    """Whole and streamed."""
    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    usage = next((chunk.usage for chunk in reversed(chunks) if chunk.usage), None)
    finish = next((choice.finish_reason for choice in reversed(choices) if choice.finish_reason), None)
    return [
        told([whole.choices[0].message], whole.choices[0].finish_reason, whole.usage),
        told([choice.delta for choice in choices if choice.delta], finish, usage),
    ]


class Heard:
    """What everybody heard: by upstream and question, the vendor's client first, then Parley's caller."""

    def __init__(self, urls: dict[str, str], stack: Stack):
        self._urls = urls
        self._client = stack.client()
        self._router: dict[str, list[Told]] = {}

    def of(self, upstream: str, question: str) -> tuple[list[Told], list[Told]]:
        model = MODELS.get(upstream, "demo-mini")
        asked = QUESTIONS[question]
        theirs = self._theirs(upstream, question, {"model": model, **asked})
        return theirs, both(self._client, {"model": f"{upstream}/{model}", **asked})

    def _theirs(self, upstream: str, question: str, asked: dict[str, Any]) -> list[Told]:
        if upstream == "huggingface":
            if not self._router:
                every = [{"model": MODELS[upstream], **one} for one in QUESTIONS.values()]
                heard: Any = saw("huggingface", TALK, f"{self._urls['openai']}/huggingface", json.dumps(every))
                self._router = dict(zip(QUESTIONS, heard, strict=True))
            return self._router[question]
        if upstream == "azure":
            azure = openai.AzureOpenAI(
                azure_endpoint=self._urls["azure"], api_version="2024-10-21", api_key="azure-key-1", max_retries=0
            )
            return both(azure, asked)
        client = openai.OpenAI(base_url=base_of(upstream, self._urls), api_key=key_of(upstream), max_retries=0)
        return both(client, asked)


def base_of(upstream: str, urls: dict[str, str]) -> str:
    match upstream:
        case "openai":
            return f"{urls['openai']}/v1"
        case "h2ogpte-openai":
            return f"{urls['h2ogpte']}/openai_api/v1"
        case "azure":
            return urls["azure"]
    return f"{urls['openai']}/{upstream}/v1"


def key_of(upstream: str) -> str:
    return {"azure": "azure-key-1", "h2ogpte-openai": "sk-h2o-test", "huggingface": "hf_demo"}.get(
        upstream, "sk-upstream-1"
    )


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    with ExitStack() as running:
        urls = {name: running.enter_context(Emulator(name)).url for name in ("openai", "azure", "h2ogpte")}
        entries = [
            {
                "name": name,
                "provider": "openai-compatible" if name == "relay" else name,
                "base_url": base_of(name, urls),
                "credentials": [key_of(name)],
                "models": [MODELS.get(name, "demo-mini")],
            }
            for name in UPSTREAMS
        ]
        files = {"parley.yaml": json.dumps({"upstreams": entries})}
        yield Heard(urls, running.enter_context(Stack(gateways=1, files=files)))


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_parley_hears_what_the_vendors_client_hears(heard: Heard, upstream: str) -> None:
    for question in QUESTIONS:
        theirs, ours = heard.of(upstream, question)
        for one in theirs:
            # The names that Parley gives to what services call otherwise.
            one["finish"] = "tool_calls" if one["calls"] else "length" if question == "limit" else "stop"
        if upstream in UNCOUNTED:
            assert all(one.pop("usage") for one in ours)
            assert [one.pop("usage") for one in theirs]
        assert ours == theirs, question
        assert [one["finish"] for one in ours] == [one["finish"] for one in theirs]


def test_what_was_asked_for_was_heard(heard: Heard) -> None:
    _, (_, words) = heard.of("openai", "words")
    assert (words["text"], words["thought"]) == ("Grüße, 世界 🙂\n\nnext line", "well, let me see")
    _, (_, calls) = heard.of("azure", "calls")
    assert calls["calls"] == [["get_weather", '{"town": "Zürich"}'], ["get_weather", '{"town":"Basel"}']]
    _, (_, results) = heard.of("deepseek", "results")
    assert results["text"] == "Thank you"
    _, (limit, _) = heard.of("huggingface", "limit")
    assert (limit["finish"], limit["usage"][1]) == ("length", 5)
