"""What a provider declares is what it does: every feature and every knob, both ways, by what reaches its stand-in.

This is what makes the table in docs/upstreams.md true.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from parley.chat.demands import KNOBS, Feature
from parley.providers.optional import ImageAddresses
from tests.providers.subjects import everybody, stood_in
from tests.providers.world import World
from tests.stack.listening import Heard

TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"town": {"type": "string"}}}},
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"town":"Chur"}'}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # 1 by 1
SOUND = base64.b64encode(b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00" * 2).decode()
PAPER = base64.b64encode(b"%PDF-1.4 a page about weather").decode()
CUSTOM = {"type": "custom", "custom": {"name": "write_poem", "description": "Writes a poem."}}
SCHEMA = {"type": "object", "properties": {"colour_of_sky": {"type": "string"}}, "required": ["colour_of_sky"]}
STRICT = {"name": "sky", "strict": True, "schema": {**SCHEMA, "additionalProperties": False}}


class Demand(NamedTuple):
    """A feature asked for: what the question holds beside its text, what else the request says, and what arrives."""

    param: str
    """Which parameter a refusal names."""
    part: dict[str, Any] | None = None
    request: Mapping[str, Any] = MappingProxyType({})
    arrives: str = ""
    """What the stand-in gets to see; empty: anything that it would not see otherwise."""


DEMANDS: dict[Feature, Demand] = {
    "tools": Demand("tools[0]", None, {"tools": [TOOL]}, "get_weather"),
    "custom_tools": Demand("tools[0]", None, {"tools": [CUSTOM]}, "write_poem"),
    "images": Demand(
        "messages[1].content[1]",
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {},
        PIXEL,
    ),
    "audio_input": Demand(
        "messages[1].content[1]", {"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}}, {}, SOUND
    ),
    "files": Demand(
        "messages[1].content[1]",
        {"type": "file", "file": {"filename": "page.pdf", "file_data": f"data:application/pdf;base64,{PAPER}"}},
        {},
        PAPER,
    ),
    "audio_output": Demand(
        "modalities", None, {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, "alloy"
    ),
    "json_object": Demand("response_format", None, {"response_format": {"type": "json_object"}}),
    "json_schema": Demand(
        "response_format", None, {"response_format": {"type": "json_schema", "json_schema": STRICT}}, "colour_of_sky"
    ),
    "n": Demand("n", None, {"n": 2}),
    "logprobs": Demand("logprobs", None, {"logprobs": True, "top_logprobs": 2}),
    "web_search": Demand("web_search_options", None, {"web_search_options": {}}),
}
KNOBS_TURNED: dict[str, Any] = {
    "temperature": 0.3,
    "top_p": 0.6,
    "presence_penalty": 0.4,
    "frequency_penalty": 0.7,
    "logit_bias": {"1234": -7},
    "seed": 4711,
    "parallel_tool_calls": False,
    "reasoning_effort": "low",
    "verbosity": "low",
    "prediction": {"type": "content", "content": "The sky is"},
    "service_tier": "flex",
    "store": True,
    "metadata": {"colour": "blue"},
    "user": "somebody",
    "safety_identifier": "someone-safe",
    "prompt_cache_key": "sky-talk",
}


def asking(words: str, part: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """A question and, beside its words, perhaps a part; some services want to hear of JSON before they speak it."""
    content: Any = [{"type": "text", "text": words}, part] if part else words
    return [{"role": "system", "content": "Where JSON is asked for, speak JSON."}, {"role": "user", "content": content}]


def listen(world: World, name: str, words: str, stream: bool, feature: str, demand: Demand | None = None) -> Heard:
    """Ask for a feature, as the subject needs it asked."""
    part, request = (demand.part, demand.request) if demand else (None, {})
    more = {**request, **world.subjects[name].asks.get(feature, {})}
    model = more.pop("model", None)
    return world.listen(name, asking(words, part), stream, model=model, extra_body=more)


def arrived(world: World, name: str, heard: Heard) -> Any:
    """What the question came to."""
    assert heard.error is None, heard.error
    return world.subjects[name].asked(json.loads(heard.text))


# --- features -----------------------------------------------------------------------------------------------------


@everybody
@pytest.mark.parametrize("feature", DEMANDS)
def test_a_feature_is_honoured_or_refused_by_name(world: World, name: str, feature: Feature) -> None:
    world.begin(name)
    subject, demand = world.subjects[name], DEMANDS[feature]
    if feature not in subject.made.features:
        for stream in (False, True):
            heard = listen(world, name, "!report", stream, feature, demand)
            assert (heard.status, heard.code) == (400, "unsupported_parameter")
            assert heard.error and heard.error.param == demand.param
        assert world.asked(name) == 0 or subject.greets
        return
    plain = "" if demand.arrives else arrived(world, name, listen(world, name, "!report", False, feature))
    for stream in (False, True):
        heard = listen(world, name, "!report", stream, feature, demand)
        seen = arrived(world, name, heard)
        assert demand.arrives in json.dumps(seen, ensure_ascii=False) if demand.arrives else seen != plain


@stood_in
def test_tools_are_called_and_their_results_told(world: World, name: str) -> None:
    world.begin(name)
    subject = world.subjects[name]
    if "tools" not in subject.made.features:
        return  # the refusal is tested above
    towns = ("Zürich", "Basel")[: 1 if subject.one_call else 2]
    words = "\n".join(f'!tool:get_weather:{{"town":"{town}"}}' for town in towns)
    whole, streamed = (listen(world, name, words, stream, "tools", DEMANDS["tools"]) for stream in (False, True))
    assert whole.answer == streamed.answer
    assert [(tool, json.loads(given)) for tool, given in whole.calls] == [
        ("get_weather", {"town": town}) for town in towns
    ]
    assert whole.finish == "tool_calls"
    turns = [
        {"role": "user", "content": "How is the weather in Chur?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny-at-17"},
    ]
    more: dict[str, Any] = {"tools": [TOOL], **subject.asks.get("tools", {})}
    model = more.pop("model", None)
    for stream in (False, True):
        heard = world.listen(name, turns, stream, model=model, extra_body=more)
        assert heard.finish == "stop" and heard.text, "a tool's result can be the last word"
        asked = [*turns, {"role": "assistant", "content": "Sunny."}, {"role": "user", "content": "!report"}]
        heard = world.listen(name, asked, stream, model=model, extra_body=more)
        told = subject.told(json.loads(heard.text))
        places = [told.find(said) for said in ("How is the weather", "get_weather", "sunny-at-17", "!report")]
        assert -1 not in places and places == sorted(places), told


@stood_in
def test_a_choice_of_tool_arrives_or_is_refused(world: World, name: str) -> None:
    world.begin(name)
    if "tools" not in world.subjects[name].made.features:
        return
    demand = DEMANDS["tools"]
    plain = arrived(world, name, listen(world, name, "!report", False, "tools", demand))
    for choice in ("required", "none", {"type": "function", "function": {"name": "get_weather"}}):
        chosen = demand._replace(request={**demand.request, "tool_choice": choice})
        heard = listen(world, name, "!report", False, "tools", chosen)
        if heard.error is not None:
            assert (heard.status, heard.error.param) == (400, "tool_choice")
        elif heard.calls:
            assert choice != "none", "it was forced to, without being told"
        else:
            assert arrived(world, name, heard) != plain, choice


@stood_in
def test_an_image_by_its_address_arrives_or_is_refused_as_declared(world: World, name: str) -> None:
    world.begin(name)
    if "images" not in world.subjects[name].made.features:
        return
    provider = world.subjects[name].made
    declared = provider.image_addresses if isinstance(provider, ImageAddresses) else ""
    with pictures() if declared == "fetched" else nullcontext("https://pictures.example/sky.png") as address:
        demand = DEMANDS["images"]._replace(part={"type": "image_url", "image_url": {"url": address}})
        heard = listen(world, name, "!report", False, "images", demand)
    if declared == "refused":
        assert heard.status == 400
        assert heard.error and heard.error.param and heard.error.param.startswith(demand.param)
    else:
        assert (PIXEL if declared else address) in json.dumps(arrived(world, name, heard))


@contextmanager
def pictures() -> Iterator[str]:
    """The address of a picture, on loopback, while the block lasts."""

    class Picture(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "image/png")
            self.end_headers()
            self.wfile.write(base64.b64decode(PIXEL))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Picture) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/sky.png"
        server.shutdown()


@stood_in
def test_as_many_choices_as_asked_for(world: World, name: str) -> None:
    world.begin(name)
    if "n" not in world.subjects[name].made.features:
        return
    whole, streamed = (listen(world, name, "!say:a sky", stream, "n", DEMANDS["n"]) for stream in (False, True))
    assert whole.text == streamed.text == "a sky"
    assert whole.others == streamed.others and len(whole.others) == 1 and whole.others[0]


@stood_in
def test_probabilities_are_told(world: World, name: str) -> None:
    world.begin(name)
    if "logprobs" not in world.subjects[name].made.features:
        return
    for stream in (False, True):
        heard = listen(world, name, "!say:a sky", stream, "logprobs", DEMANDS["logprobs"])
        assert "".join(one["token"] for one in heard.logprobs) == heard.text == "a sky"


@everybody
def test_stop_sequences_end_the_answer(world: World, name: str) -> None:
    """Where the feature is declared, the gateway leaves it to the upstream; elsewhere it sees to it."""
    world.begin(name)
    text = "the sky §halt is blue"
    words = f"!say:{text}" if world.subjects[name].stand_in else text
    for stream in (False, True):
        heard = listen(world, name, words, stream, "stop", Demand("stop", None, {"stop": ["§halt"]}))
        assert heard.answer == ("the sky ", [], "stop")


@everybody
@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_limit_of_tokens_is_kept(world: World, name: str, limit: str) -> None:
    """Where the feature is declared, the gateway leaves it to the upstream; elsewhere it sees to it."""
    world.begin(name)
    text = "one two three four five six seven eight nine ten eleven twelve"
    words = f"!say:{text}" if world.subjects[name].stand_in else text
    for stream in (False, True):
        heard = listen(world, name, words, stream, limit, Demand(limit, None, {limit: 5}))
        assert heard.finish == "length"
        assert heard.text and text.startswith(heard.text) and heard.text != text


@everybody
def test_usage_is_measured_where_it_is_told(world: World, name: str) -> None:
    world.begin(name)
    for stream in (False, True):
        record = world.record(listen(world, name, "the sky", stream, "usage"))
        measured = "usage" in world.subjects[name].made.features
        assert record["usage"]["source"] == ("measured" if measured else "estimated")


@stood_in
def test_thoughts_are_told_apart(world: World, name: str) -> None:
    world.begin(name)
    if "reasoning" not in world.subjects[name].made.features:
        return
    words, more = "!think:hm, let me see\n!say:it is blue", dict(world.subjects[name].asks.get("reasoning", {}))
    model = more.pop("model", None)
    whole, streamed = (world.listen(name, words, stream, model=model, extra_body=more) for stream in (False, True))
    assert whole.thoughts == streamed.thoughts == "hm, let me see"
    assert whole.answer == streamed.answer == ("it is blue", [], "stop")


# --- knobs --------------------------------------------------------------------------------------------------------


@stood_in
def test_a_knob_arrives_exactly_when_it_is_not_dropped(world: World, name: str) -> None:
    """What is neither dropped nor passed on is refused by its name."""
    world.begin(name)
    made = world.subjects[name].made
    assert list(KNOBS_TURNED) == list(KNOBS), "every knob is turned"
    asks = world.subjects[name].asks
    happened, declared, untouched = {}, {}, {}
    for knob, value in KNOBS_TURNED.items():
        tools = {"tools": [TOOL]} if knob == "parallel_tool_calls" and "tools" in made.features else {}
        beside = json.dumps([tools, asks.get(knob)])
        if beside not in untouched:
            untouched[beside] = arrived(world, name, report(world, name, knob, tools))
        heard = report(world, name, knob, {**tools, knob: value})
        if heard.error is not None and heard.status == 400 and heard.error.param == knob:
            happened[knob] = "not dropped"
        else:
            happened[knob] = "dropped" if arrived(world, name, heard) == untouched[beside] else "not dropped"
        declared[knob] = "dropped" if knob in made.drops else "not dropped"
    assert happened == declared


def report(world: World, name: str, knob: str, request: Mapping[str, Any]) -> Heard:
    """What arrives of such a request, told in one piece: a stream's many chunks take long to judge."""
    return listen(world, name, "!report", False, knob, Demand(knob, None, request))
