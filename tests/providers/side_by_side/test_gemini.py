"""The same conversation asked of Gemini's stand-in by Google's client and by Parley: same text, thoughts, calls, usage.

And what only a gateway between two APIs must keep: signatures of calls, through a client of OpenAI's, over keys of
several projects; and questions that are put again in the manner that a refusal asks for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.stack.listening import listen
from tests.stack.running import Stack
from tests.upstreams.running import Emulator
from tests.upstreams.vendor import saw

TALK = Path(__file__).parents[2] / "upstreams" / "clients" / "gemini_talk.py"
PNG = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Weather by town", "parameters": SCHEMA},
}
DECLARED = {
    "function_declarations": [
        {"name": "get_weather", "description": "Weather by town", "parameters_json_schema": SCHEMA}
    ]
}
THOUGHTFUL = {"thinking_config": {"include_thoughts": True}}
TWO_CALLS = '!tool:get_weather:{"town":"Zürich"}\n!tool:get_weather:{"town":"Basel"}'
FINISH = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}

QUESTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "words": (
        {"contents": "!think:hm, let me see\n!say:Grüße, 世界 🙂\n\nzweite Zeile", "config": THOUGHTFUL},
        {"messages": [{"role": "user", "content": "!think:hm, let me see\n!say:Grüße, 世界 🙂\n\nzweite Zeile"}]},
    ),
    "calls": (
        {
            "contents": TWO_CALLS,
            "config": {**THOUGHTFUL, "tools": [DECLARED], "automatic_function_calling": {"disable": True}},
        },
        {"messages": [{"role": "user", "content": TWO_CALLS}], "tools": [TOOL]},
    ),
    "picture and rules": (
        {
            "contents": [
                {"parts": [{"text": "!say:A dot."}, {"inline_data": {"mime_type": "image/png", "data": PNG}}]}
            ],
            "config": {**THOUGHTFUL, "system_instruction": "Be brief.", "temperature": 0.5},
        },
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "!say:A dot."},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    ],
                },
            ],
            "temperature": 0.5,
        },
    ),
    "limit": (
        {"contents": "!say:" + "word " * 30, "config": {**THOUGHTFUL, "max_output_tokens": 5}},
        {"messages": [{"role": "user", "content": "!say:" + "word " * 30}], "max_tokens": 5},
    ),
    "refusal": (
        {"contents": "!refuse:no", "config": THOUGHTFUL},
        {"messages": [{"role": "user", "content": "!refuse:no"}]},
    ),
}


class World:
    """Gemini's stand-in, and Parley with keys of two projects in front of it."""

    def __init__(self, upstream: Emulator, stack: Stack):
        self.upstream = upstream
        self.stack = stack
        self.client = stack.client()

    def report(self, name: str, content: Any = "!report", **more: Any) -> Any:
        """What reached the stand-in."""
        messages: list[Any] = content if isinstance(content, list) else [{"role": "user", "content": content}]
        said = self.client.chat.completions.create(model=f"gemini/{name}", messages=messages, **more)
        return json.loads(said.choices[0].message.content or "")["read"]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Emulator("gemini") as upstream:
        settings = {
            "GEMINI_CREDENTIALS": json.dumps(["AIza-demo-1", {"value": "AIza-demo-3", "alias": "other-project"}]),
            "GEMINI_BASE_URL": upstream.url,
        }
        look_alike = {
            "name": "look-alike",
            "provider": "openai-compatible",
            "base_url": f"{upstream.url}/v1beta/openai",
            "credentials": ["AIza-demo-1"],
        }
        files = {"parley.yaml": json.dumps({"upstreams": [look_alike]})}
        with Stack(settings, gateways=1, files=files) as stack:
            yield World(upstream, stack)


def whole(client: openai.OpenAI, asked: dict[str, Any]) -> dict[str, Any]:
    answer = client.chat.completions.create(**asked)
    return told([answer.choices[0].message], answer.choices[0].finish_reason, answer.usage)


def streamed(client: openai.OpenAI, asked: dict[str, Any]) -> dict[str, Any]:
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    return told([choice.delta for choice in choices], choices[-1].finish_reason, chunks[-1].usage)


def told(messages: list[Any], finish: str | None, usage: Any) -> dict[str, Any]:
    calls = [call for message in messages for call in message.tool_calls or ()]
    return {
        "text": "".join(message.content or "" for message in messages),
        "thought": "".join(getattr(message, "reasoning_content", None) or "" for message in messages),
        "calls": [[call.function.name, json.loads(call.function.arguments)] for call in calls],
        "finish": finish,
        "usage": [
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.completion_tokens_details.reasoning_tokens,
            usage.prompt_tokens_details.cached_tokens,
        ],
    }


def test_parley_hears_what_googles_client_hears(world: World):
    world.upstream.reset()
    world.upstream.set(cached=3)
    asked = [{"model": "gemini-2.5-demo", **question} for question, _ in QUESTIONS.values()]
    theirs = dict(zip(QUESTIONS, saw("gemini", TALK, world.upstream.url, json.dumps(asked)), strict=True))  # type: ignore[arg-type]
    for name, (_, question) in QUESTIONS.items():
        ours = [ask(world.client, {"model": "gemini/gemini-2.5-demo", **question}) for ask in (whole, streamed)]
        for one in theirs[name]:
            (reason,) = one["finish"]
            one["finish"] = "tool_calls" if one["calls"] else FINISH[reason]
        assert ours == theirs[name], name
        assert ours[0] == ours[1], name
        assert ours[0]["usage"][0] > 0 and ours[0]["usage"][3] == 3
    assert theirs["words"][0]["thought"] == "hm, let me see"
    assert len(theirs["calls"][0]["calls"]) == 2


# --- signatures ---------------------------------------------------------------------------------------------------


def rounds(world: World, model: str, *, stream: bool, forgetful: bool = False) -> list[dict[str, Any]]:
    """Three questions to a model, each with two calls; the requests that reached the stand-in."""
    world.upstream.reset()
    client = world.client
    history: list[Any] = []
    for _ in range(3):
        history.append({"role": "user", "content": TWO_CALLS})
        message = asked_for_calls(client, model, history, stream=stream)
        assert len(message["tool_calls"]) == 2
        if forgetful:
            for call in message["tool_calls"]:
                call.pop("extra_content", None)
        history.append(message)
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "14 C"} for call in message["tool_calls"]]
        history += results
        answer = client.chat.completions.create(model=model, messages=history, tools=[TOOL])
        assert answer.choices[0].message.content == '{"result": "14 C"}; {"result": "14 C"}'
        history.append({"role": "assistant", "content": "14 degrees."})
    return [entry for entry in world.upstream.stats()["log"] if entry["what"] == "chat"]


def asked_for_calls(client: openai.OpenAI, model: str, history: list[Any], *, stream: bool) -> dict[str, Any]:
    if not stream:
        return client.chat.completions.create(model=model, messages=history, tools=[TOOL]).choices[0].message.to_dict()
    calls: dict[int, dict[str, Any]] = {}
    for chunk in client.chat.completions.create(model=model, messages=history, tools=[TOOL], stream=True):
        for delta in chunk.choices[0].delta.tool_calls or ():
            said = delta.to_dict()
            calls.setdefault(said.pop("index"), said)  # type: ignore[call-overload]
    return {"role": "assistant", "content": None, "tool_calls": [calls[at] for at in sorted(calls)]}


def signatures(entry: dict[str, Any]) -> list[str | None]:
    parts = [part for turn in entry["body"]["contents"] for part in turn["parts"]]
    return [part.get("thoughtSignature") for part in parts if "functionCall" in part]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_signatures_survive_a_client_of_openais(world: World, stream: bool):
    """Keys take turns, and some questions come to a project that did not sign; there the documented stand-in serves."""
    entries = rounds(world, "gemini/gemini-3-demo", stream=stream)
    assert {entry["key"] for entry in entries} == {"AIza-demo-1", "AIza-demo-3"}
    sent = [signature for entry in entries for signature in signatures(entry)]
    assert any(signature and signature != "skip_thought_signature_validator" for signature in sent)
    assert all(both[1::2] == [None] * (len(both) // 2) for both in map(signatures, entries)), "the first one carries it"


def test_a_client_that_loses_signatures_is_helped(world: World):
    entries = rounds(world, "gemini/gemini-3-demo", stream=False, forgetful=True)
    assert len(entries) == 6, "nothing was asked twice"
    sent = {signature for entry in entries for signature in signatures(entry)}
    assert sent == {"skip_thought_signature_validator", None}


def test_a_model_of_which_nothing_is_known_gets_what_it_asks_for(world: World):
    entries = rounds(world, "gemini/demo-tuner", stream=False, forgetful=True)
    assert len(entries) == 9, "each question with results was refused once, and put again"


def test_signatures_pass_through_the_vendors_look_alike_of_openais_api(world: World):
    assert len(rounds(world, "look-alike/models/gemini-3-demo", stream=False)) == 6
    with pytest.raises(openai.BadRequestError, match="missing a thought_signature"):
        rounds(world, "look-alike/models/gemini-3-demo", stream=False, forgetful=True)


# --- manners ------------------------------------------------------------------------------------------------------


def test_each_refusal_that_another_manner_avoids_is_no_answer_for_the_caller(world: World):
    upstream = world.upstream
    upstream.reset()
    assert "generationConfig" not in world.report("gemini-demo-latest", presence_penalty=1)
    assert upstream.stats()["counts"]["chat"] == 3, "thinking, then penalties, then the answer"
    upstream.reset()
    upstream.set(plain_schemas=[])
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": {**SCHEMA, "additionalProperties": False}}}
    read = world.report("gemini-3-demo", tools=[TOOL], response_format=wanted)
    assert read["tools"][0]["functionDeclarations"][0]["parameters"] == SCHEMA
    assert read["generationConfig"]["responseSchema"] == SCHEMA
    rules = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "!report"}]
    with pytest.raises(json.JSONDecodeError):  # its first words are the rules: no directive is read, all is said back
        world.report("gemma-demo", rules)
    assert upstream.stats()["log"][-1]["body"]["contents"][0]["parts"][0] == {"text": "Be brief."}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_blocked_prompt_is_a_filtered_answer_and_no_error(world: World, stream: bool):
    world.upstream.reset()
    world.upstream.fault("prompt_blocked", reason="PROHIBITED_CONTENT")
    heard = listen(world.stack, "Hello", model="gemini/gemini-2.5-demo", stream=stream)
    assert heard.answer == ("", [], "content_filter")
    assert b"The prompt was blocked by Gemini: PROHIBITED_CONTENT." in heard.wire
    assert heard.usage and heard.usage["completion_tokens"] == 0
