"""The same conversation asked of Anthropic's stand-in by its own client and by Parley.

It gives the same text, thoughts, calls and usage; and what arrived there is the same, down to the signed thoughts.
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

TALK = Path(__file__).parents[2] / "upstreams" / "clients" / "anthropic_talk.py"
KEY, MODEL = "sk-ant-one", "claude-demo-4-5"
PNG = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}
CALLS = '!think:hm, 汉字\n!say:Let me look.\n!tool:get_weather:{"town":"Zürich"}\n!tool:get_weather:{"town":"Basel"}'
LONG = "word " * 2000
MARK = {"cache_control": {"type": "ephemeral"}}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


class Question(NamedTuple):
    """One question in the words of both APIs."""

    native: dict[str, Any]
    ours: dict[str, Any]


QUESTIONS: dict[str, Question] = {
    "words": Question(
        {"system": "Be brief.", "messages": [user(text("!say:Grüße, 世界! 🙂\n\nBye"))], "stop_sequences": ["Bye"]},
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "!say:Grüße, 世界! 🙂\n\nBye"},
            ],
            "stop": "Bye",
        },
    ),
    "tools": Question(
        {
            "messages": [user(text(CALLS))],
            "tools": [{"name": "get_weather", "description": "Weather by town", "input_schema": SCHEMA}],
            "thinking": {"type": "enabled", "budget_tokens": 1024},
        },
        {
            "messages": [{"role": "user", "content": CALLS}],
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "get_weather", "description": "Weather by town", "parameters": SCHEMA},
                }
            ],
            "reasoning_effort": "low",
        },
    ),
    "picture": Question(
        {
            "messages": [
                user(
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    text("What is it?"),
                )
            ]
        },
        {
            "messages": [
                user(
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    text("What is it?"),
                )
            ]
        },
    ),
    "schema": Question(
        {
            "messages": [user(text("Basel"))],
            "output_config": {"format": {"type": "json_schema", "schema": {**SCHEMA, "additionalProperties": False}}},
        },
        {
            "messages": [{"role": "user", "content": "Basel"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "town", "schema": SCHEMA}},
        },
    ),
    "cache": Question(
        {"system": [text(LONG, **MARK)], "messages": [user(text("Hello"))]},
        {"messages": [{"role": "system", "content": [text(LONG, **MARK)]}, {"role": "user", "content": "Hello"}]},
    ),
}


def told(completion: Any) -> dict[str, Any]:
    message, bill = completion.choices[0].message, completion.usage
    return {
        "text": message.content or "",
        "thought": getattr(message, "reasoning_content", None) or "",
        "calls": [[call.function.name, json.loads(call.function.arguments)] for call in message.tool_calls or ()],
        "usage": [bill.prompt_tokens, bill.completion_tokens, bill.prompt_tokens_details.cached_tokens],
    }


def whole(client: openai.OpenAI, asked: dict[str, Any]) -> Any:
    return client.chat.completions.create(**asked)


def streamed(client: openai.OpenAI, asked: dict[str, Any]) -> Any:
    """What the official client's own helper adds up: thinking_blocks, too."""
    with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
        return stream.get_final_completion()


def talk(client: openai.OpenAI, ask: Any, asked: dict[str, Any]) -> list[Any]:
    completion = ask(client, asked)
    heard = [told(completion)]
    message = completion.choices[0].message
    if message.tool_calls:
        spoken = message.to_dict()
        for call in spoken["tool_calls"]:
            call["function"].pop("parsed_arguments", None)
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "14 C"} for call in spoken["tool_calls"]]
        heard.append(told(ask(client, {**asked, "messages": [*asked["messages"], spoken, *results]})))
    return heard


class Both(NamedTuple):
    """What the vendor's client heard and Parley's caller did, by question; and the questions as they arrived."""

    theirs: dict[str, Any]
    ours: dict[str, Any]
    arrived: tuple[list[Any], list[Any]]


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with Emulator("anthropic") as upstream:
        fields = {"model": MODEL, "max_tokens": 3000}
        native = [{**fields, **question.native} for question in QUESTIONS.values()]
        theirs = saw("anthropic", TALK, upstream.url, KEY, json.dumps(native))["heard"]
        first = arrived(upstream)
        upstream.reset()
        settings = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": upstream.url}
        with Stack(settings, gateways=1) as stack:
            client = stack.client()
            asked = [{**fields, "model": f"anthropic/{MODEL}", **question.ours} for question in QUESTIONS.values()]
            ours = [[talk(client, ask, one) for ask in (whole, streamed)] for one in asked]
        yield Both(
            dict(zip(QUESTIONS, theirs, strict=True)),
            dict(zip(QUESTIONS, ours, strict=True)),
            (first, arrived(upstream)),
        )


def arrived(upstream: Emulator) -> list[Any]:
    """The bodies of all questions, but for what differs by its nature: whether it was streamed, and ids of calls."""
    bodies = [entry["body"] for entry in upstream.stats()["log"] if entry["what"] == "chat"]
    for body in bodies:
        body.pop("stream", None)
        for turn in body["messages"]:
            for block in turn["content"]:
                for name in ("id", "tool_use_id"):
                    block.pop(name, None)
    return bodies


@pytest.mark.parametrize("question", QUESTIONS)
def test_parley_hears_what_the_vendors_client_hears(both: Both, question: str) -> None:
    assert both.ours[question] == both.theirs[question]


def test_parley_says_what_the_vendors_client_says(both: Both) -> None:
    theirs, ours = both.arrived
    assert len(ours) == len(theirs) == 12
    for said, wanted in zip(ours, theirs, strict=True):
        assert said == wanted


def test_what_was_asked_for_was_heard(both: Both) -> None:
    for way in (0, 1):
        assert both.ours["words"][way][0]["text"] == "Grüße, 世界! 🙂\n\n"
        first, second = both.ours["tools"][way]
        assert (first["text"], first["thought"]) == ("Let me look.", "hm, 汉字")
        assert first["calls"] == [["get_weather", {"town": "Zürich"}], ["get_weather", {"town": "Basel"}]]
        assert (second["text"], second["thought"]) == ("14 C 14 C", "Let me see."), "it thought on, as signed"
        assert both.ours["schema"][way][0]["text"] == '{"town": "text"}'
    assert both.ours["cache"][0][0]["usage"][2] == 0
    assert both.ours["cache"][1][0]["usage"][2] > 2000
