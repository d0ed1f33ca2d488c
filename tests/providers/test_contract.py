"""Every provider in every scene, streaming and not, through the real front: one contract, whoever answers.

Scenes and stand-ins are in `scenes.py`. The judge is the official client; every body and chunk is checked against
OpenAI's published shapes on the way (`tests/stack/listening.py`).
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from parley.state import keys
from tests.providers.scenes import MULTILINGUAL, STAND_INS, SUBJECTS, Mishap, cases, parley_yaml
from tests.stack.listening import DONE, Heard, listen
from tests.stack.rests import forget_rests
from tests.stack.running import KEY, Stack, until
from tests.upstreams.running import Emulator

LONG = "!say:" + " ".join(f"word{n}" for n in range(60))
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"town": {"type": "string"}}}},
}
SETTINGS = {
    "ATTEMPTS": "2",
    "HEADER_GRACE_SECONDS": "30",  # longer than any scene's silence, so that each failure keeps its status
}

streaming = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
everybody = pytest.mark.parametrize("name", [subject.name for subject in SUBJECTS])


def playing(scene: str) -> pytest.MarkDecorator:
    """Every subject's mishaps of a scene."""
    found = cases(scene)
    return pytest.mark.parametrize(("name", "mishap"), found, ids=[f"{name}-{mishap}" for name, mishap in found])


class World:
    """The stack, the stand-ins behind it, and the subjects under contract."""

    def __init__(self, stack: Stack, stand_ins: dict[str, Emulator]):
        self.stack = stack
        self.stand_ins = stand_ins
        self.subjects = {subject.name: subject for subject in SUBJECTS}

    def begin(self, name: str, mishap: Mishap | None = None, *, hasty: bool = False) -> None:
        """Everything as new, the credential at hand; then the mishap, until further notice."""
        subject = self.subjects[name]
        if subject.stand_in is None:
            return
        stand_in = self.stand_in(name)
        stand_in.reset()
        stand_in.set(**STAND_INS[subject.stand_in][1])
        upstream = f"{name}-hasty" if hasty else name
        with self.stack.store() as store:
            forget_rests(store, upstream)
        if subject.provider == "h2ogpte":  # the guest whom the stand-in forgot is made anew
            until(lambda: self.ask(name, "!say:ready", upstream=upstream).status_code == 200, 20)
        if mishap:
            self.play(name, mishap)

    def play(self, name: str, mishap: Mishap) -> None:
        """From now on this goes wrong."""
        self.stand_in(name).fault(mishap.fault, times=None, route=mishap.route, **mishap.params)

    def stand_in(self, name: str) -> Emulator:
        stand_in = self.subjects[name].stand_in
        assert stand_in is not None
        return self.stand_ins[stand_in]

    def listen(
        self, name: str, text: str | list[Any], stream: bool, *, upstream: str | None = None, **more: Any
    ) -> Heard:
        return listen(self.stack, text, model=self._model(name, upstream), stream=stream, **more)

    def ask(self, name: str, text: str, *, upstream: str | None = None) -> httpx.Response:
        return self.stack.ask(text, model=self._model(name, upstream))

    def _model(self, name: str, upstream: str | None) -> str:
        return f"{upstream or name}/{self.subjects[name].model}"

    def struck(self, name: str, mishap: Mishap) -> int:
        """How often the mishap met somebody."""
        return int(self.stand_in(name).stats()["counts"].get(f"fault:{mishap.fault}", 0))

    def asked(self, name: str) -> int:
        """How many questions reached the stand-in since the scene began."""
        counts = self.stand_in(name).stats()["counts"] if self.subjects[name].stand_in else {}
        return int(counts.get("chat", 0) + counts.get("question", 0))

    def record(self, heard: Heard) -> dict[str, Any]:
        """The gateway's record of an answer."""
        request_id = heard.headers["x-request-id"]
        until(lambda: bool(self.stack.records(request_id)), 10)
        (record,) = self.stack.records(request_id)
        return record


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with ExitStack() as running:
        stand_ins = {name: running.enter_context(Emulator(kind)) for name, (kind, _) in STAND_INS.items()}
        for name, (_, settings) in STAND_INS.items():
            stand_ins[name].set(**settings)
        urls = {name: stand_in.url for name, stand_in in stand_ins.items()}
        stack = running.enter_context(Stack(SETTINGS, gateways=2, files={"parley.yaml": parley_yaml(urls)}))
        yield World(stack, stand_ins)


# --- what goes well -----------------------------------------------------------------------------------------------


@everybody
def test_hello(world: World, name: str) -> None:
    world.begin(name)
    text = "Hello, is anybody there?"
    whole, streamed = (world.listen(name, text, stream) for stream in (False, True))
    assert whole.answer == streamed.answer == (text, [], "stop")
    for heard in (whole, streamed):
        assert heard.headers["x-parley-upstream"] == name
        assert heard.headers["x-parley-attempts"] == "1"
        assert heard.usage and heard.usage["prompt_tokens"] > 0 and heard.usage["completion_tokens"] > 0
        record = world.record(heard)
        assert (record["outcome"], record["status"]) == ("done", 200)
        assert record["usage"]["completion"] == heard.usage["completion_tokens"]
    assert whole.headers["content-type"] == "application/json"
    assert streamed.headers["content-type"].startswith("text/event-stream")


@everybody
def test_several_turns(world: World, name: str) -> None:
    world.begin(name)
    turns = [
        {"role": "system", "content": "You speak in riddles."},
        {"role": "user", "content": "What has keys and opens nothing?"},
        {"role": "assistant", "content": "A piano, of course."},
        {"role": "user", "content": [{"type": "text", "text": "!report"}]},
    ]
    for stream in (False, True):
        heard = world.listen(name, turns, stream)
        assert heard.finish == "stop"
        match world.subjects[name].provider:
            case "echo":
                assert heard.text == "!report"
            case "openai" | "huggingface":
                told = [turn["content"] for turn in json.loads(heard.text)["body"]["messages"]]
                assert told[:3] == [turn["content"] for turn in turns[:3]]
                assert told[3] in ("!report", turns[3]["content"])
            case "h2ogpte":
                told = json.loads(heard.text)
                assert told["system_prompt"] == "You speak in riddles."
                in_order(told["body"], ["What has keys and opens nothing?", "A piano, of course.", "!report"])
                assert told["history"] == [], "a session is asked once, and remembers nobody else's words"
            case "gptomni":
                said = [str(turn["content"]) for turn in turns[:3]]
                in_order(json.loads(heard.text)["prompt"], [*said, "!report"])


def in_order(told: str, words: list[str]) -> None:
    """All the words are told, one after the other."""
    places = [told.find(word) for word in words]
    assert -1 not in places and places == sorted(places), told


@everybody
def test_text_that_comes_byte_by_byte(world: World, name: str) -> None:
    world.begin(name)
    match world.subjects[name].stand_in:
        case "openai" | "huggingface" | "gptomni":
            world.stand_in(name).fault("bytewise", times=None, size=1)
        case "h2ogpte":  # a socket's message holds whole characters; its shortest piece is one
            world.stand_in(name).set(chunk=1, chunk_by="bytes")
    text = MULTILINGUAL if name == "echo" else f"!say:{MULTILINGUAL}"
    whole, streamed = (world.listen(name, text, stream) for stream in (False, True))
    assert whole.answer == streamed.answer == (MULTILINGUAL, [], "stop")


@everybody
def test_tools_are_called_or_refused_by_name(world: World, name: str) -> None:
    world.begin(name)
    text = '!tool:get_weather:{"town":"Zürich"}\n!tool:get_weather:{"town":"Basel"}'
    whole, streamed = (world.listen(name, text, stream, tools=[TOOL]) for stream in (False, True))
    if world.subjects[name].calls_tools:
        calls = [("get_weather", '{"town":"Zürich"}'), ("get_weather", '{"town":"Basel"}')]
        assert whole.answer == streamed.answer
        assert [(name, json.loads(words)) for name, words in whole.calls] == [
            (name, json.loads(words)) for name, words in calls
        ]
        assert whole.finish == "tool_calls"
        return
    for heard in (whole, streamed):
        assert (heard.status, heard.code) == (400, "unsupported_parameter")
        assert heard.error and heard.error.param == "tools[0]"


# --- what does not ------------------------------------------------------------------------------------------------


@streaming
@playing("refused")
def test_a_refused_credential_is_the_operators_matter(world: World, name: str, mishap: Mishap, stream: bool) -> None:
    world.begin(name, mishap)
    heard = world.listen(name, "hello", stream)
    assert (heard.status, heard.code) == (502, "upstream_authentication_error")
    assert heard.error and heard.error.type == "server_error"
    assert "www-authenticate" not in heard.headers
    again = world.listen(name, "hello", stream)
    assert again.status in (502, 503) and int(again.headers["retry-after"]) > 0
    assert world.struck(name, mishap) == 1, "a refused credential was shown again while it rests"


@streaming
@pytest.mark.parametrize("route", ["rpc/db/create_chat_session", "ws"])
def test_a_guest_whose_sign_in_ran_out_is_renewed(world: World, route: str, stream: bool) -> None:
    world.begin("h2ogpte-guest")
    upstream = world.stand_in("h2ogpte-guest")
    upstream.fault("expire", route=route)
    guests = upstream.stats()["guests_issued"]
    heard = world.listen("h2ogpte-guest", "!say:here I am again", stream)
    assert heard.answer == ("here I am again", [], "stop")
    assert heard.headers["x-parley-attempts"] == "2"
    stats = upstream.stats()
    assert stats["renewals"] >= 1 and stats["guests_issued"] == guests, "renewed is not replaced"
    first = world.record(heard)["attempts"][0]
    assert (first["failure"], first["blames"]) == ("upstream_credential_expired", "credential")


@streaming
@playing("throttled")
def test_a_throttled_credential_rests_as_long_as_it_was_told(
    world: World, name: str, mishap: Mishap, stream: bool
) -> None:
    world.begin(name, mishap)
    guests = guests_of(world, name)
    heard = world.listen(name, "hello", stream)
    assert (heard.status, heard.code) == (429, "rate_limit_exceeded")
    assert 4 <= int(heard.headers["retry-after"]) <= 7
    assert 3000 < int(heard.headers["retry-after-ms"]) <= 7000
    assert "x-should-retry" not in heard.headers
    again = world.listen(name, "hello", stream)
    assert again.status == 429 and 1 <= int(again.headers["retry-after"]) <= 7
    assert world.struck(name, mishap) == 1, "it was asked again while it rests"
    assert guests_of(world, name) == guests, "a new guest was made to escape a limit"


def guests_of(world: World, name: str) -> int:
    return int(world.stand_in(name).stats().get("guests_issued", 0))


@streaming
@playing("challenge page")
def test_a_challenge_page_costs_one_request(world: World, name: str, mishap: Mishap, stream: bool) -> None:
    world.begin(name, mishap)
    heard = world.listen(name, "hello", stream)
    assert (heard.status, heard.code) == (503, "upstream_challenge")
    assert heard.headers["x-parley-attempts"] == "1"
    assert heard.headers["x-should-retry"] == "false"
    again = world.listen(name, "hello", stream)
    assert again.status == 503 and int(again.headers["retry-after"]) > 60
    assert world.struck(name, mishap) == 1, "somebody knocked again at a door that asks for a human"


@streaming
@playing("broken off")
def test_an_answer_that_breaks_off_is_no_answer(world: World, name: str, mishap: Mishap, stream: bool) -> None:
    world.begin(name, mishap)
    heard = world.listen(name, LONG, stream)
    assert heard.code == "upstream_truncated"
    assert heard.finish is None
    assert heard.status == (200 if stream else 502)
    if stream:
        assert heard.text and LONG.startswith(f"!say:{heard.text[:-1]}"), "what came before is still said"
    record = world.record(heard)
    assert (record["outcome"], record["failure"]) == ("failed", "upstream_truncated")
    assert record["attempts"][-1]["blames"] == "upstream"


@streaming
@playing("empty")
def test_an_empty_answer_is_no_answer(world: World, name: str, mishap: Mishap, stream: bool) -> None:
    world.begin(name, mishap)
    heard = world.listen(name, "hello", stream)
    assert (heard.status, heard.code) == (502, "upstream_empty")
    assert int(heard.headers["x-parley-attempts"]) == world.struck(name, mishap) == 2, "it is worth another try"


@streaming
@playing("garbled")
def test_an_answer_that_nobody_can_read_is_no_answer(world: World, name: str, mishap: Mishap, stream: bool) -> None:
    world.begin(name, mishap)
    heard = world.listen(name, LONG, stream)
    assert heard.code == "upstream_malformed"
    assert heard.finish is None
    assert heard.status == 502 or (stream and heard.text)


# --- who keeps us waiting -----------------------------------------------------------------------------------------

Silences = dict[tuple[str, str, bool], Heard]


@pytest.fixture(scope="module")
def silences(world: World) -> Silences:
    """Every subject's silences, waited for side by side."""
    found: Silences = {}
    with ThreadPoolExecutor(16) as waiting:
        for scene in ("silent", "silent midway"):
            named = cases(scene)
            for name, _ in named:
                world.begin(name, hasty=True)
            players = {world.subjects[name].stand_in: (name, mishap) for name, mishap in named}
            for name, mishap in players.values():
                world.play(name, mishap)
            asked = {
                (scene, name, stream): waiting.submit(world.listen, name, LONG, stream, upstream=f"{name}-hasty")
                for name, _ in named
                for stream in (False, True)
            }
            found |= {which: hearing.result() for which, hearing in asked.items()}
    return found


@streaming
@playing("silent")
def test_silence_from_the_start_is_a_time_out(silences: Silences, name: str, mishap: Mishap, stream: bool) -> None:
    heard = silences["silent", name, stream]
    assert (heard.status, heard.code) == (504, "upstream_timeout")
    assert heard.headers["x-parley-attempts"] == "2"


@streaming
@playing("silent midway")
def test_silence_midway_is_a_stall(silences: Silences, name: str, mishap: Mishap, stream: bool) -> None:
    heard = silences["silent midway", name, stream]
    assert heard.finish is None
    if stream:
        assert heard.text and heard.status == 200 and heard.code == "upstream_stalled"
    else:
        assert heard.status == 504 and heard.code in ("upstream_stalled", "upstream_timeout")


# --- who leaves ---------------------------------------------------------------------------------------------------


@streaming
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", ["huggingface", "h2ogpte-key"])
def test_a_hang_up_reaches_the_upstream_within_100_ms(world: World, name: str, moment: str, stream: bool) -> None:
    """The other three are in tests/stack/test_streaming.py."""
    world.begin(name)
    upstream = world.stand_in(name)
    first = 5.0 if moment == "before" else 0.0
    if world.subjects[name].provider == "h2ogpte":
        upstream.set(first_token_delay=first, chunk_delay=0.2)
    else:
        upstream.set(first_delay=first, piece_delay=0.2)
    left = hang_up(world, name, stream, after_words=moment == "after")
    upstream.until(lambda stats: stats["hangups"], 5)
    assert upstream.stats()["hangups"][-1]["at"] - left < 0.1


@streaming
def test_a_hang_up_is_recorded_and_gives_everything_back(world: World, stream: bool) -> None:
    """Echo has no upstream to tell; what was lent comes back all the same."""
    request_id = f"hang-up-{stream}"
    hang_up(world, "echo", stream, after_words=stream, request_id=request_id)
    until(lambda: bool(world.stack.records(request_id)), 5)
    (record,) = world.stack.records(request_id)
    assert (record["outcome"], record["usage"]["source"]) == ("hung_up", "estimated")
    counts = f"{keys.prefix('echo')}counts"
    with world.stack.store() as store:
        until(lambda: store.hget(counts, "taken") == store.hget(counts, "returned"), 5)


def hang_up(world: World, name: str, stream: bool, *, after_words: bool, request_id: str = "somebody-leaves") -> float:
    """Ask for a slow answer and leave; the moment of leaving."""
    body: dict[str, Any] = {"model": f"{name}/{world.subjects[name].model}", "stream": stream}
    body["metadata"] = {"echo_delay_ms": "200"}  # for echo; whoever else is slow was told before
    body["messages"] = [{"role": "user", "content": "!say:" + "word " * 200}]
    payload = json.dumps(body).encode()
    asked = world.asked(name)
    host, port = world.stack.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            f"x-request-id: {request_id}\r\nauthorization: Bearer {KEY}\r\n"
            f"content-length: {len(payload)}\r\n\r\n".encode()
            + payload
        )
        if after_words and stream:
            while b"word" not in connection.recv(4096):
                pass
        elif name != "echo":
            world.stand_in(name).until(lambda _: world.asked(name) > asked, 10)
        time.sleep(0.3)
        return time.time()


# --- every frame boundary -----------------------------------------------------------------------------------------


def test_no_finish_reason_is_said_that_the_upstream_did_not_say(world: World) -> None:
    """The stand-in's own stream, cut behind every frame, politely and not."""
    world.begin("openai")
    upstream = world.stand_in("openai")
    recorded = stream_of(upstream)
    frames = recorded.split(b"\n\n")[:-1]
    assert len(frames) > 6 and frames[-1] == b"data: [DONE]"
    finished = next(at for at, frame in enumerate(frames) if b'"finish_reason":"stop"' in frame)
    for many in range(len(frames) + 1):
        size = sum(len(frame) + 2 for frame in frames[:many])
        for fault in ("cut", "reset"):
            upstream.reset()
            upstream.fault(fault, times=None, bytes=size)
            for stream in (False, True):
                heard = world.listen("openai", WORDS, stream)
                place = f"{fault} behind {many} of {len(frames)} frames, stream={stream}"
                assert (heard.finish is None) or many > finished, f"invented: {place}"
                assert heard.error is not None or many > finished, f"half an answer passed for a whole: {place}"
                if heard.error is not None:
                    assert heard.code in ("upstream_truncated", "upstream_empty", "upstream_error"), place
                    assert not heard.wire.endswith(DONE), place
                else:
                    assert heard.answer == (WORDS.removeprefix("!say:"), [], "stop"), place


WORDS = "!say:one two three four five"


def stream_of(upstream: Emulator) -> bytes:
    """What the gateway gets to read: a stream whose length is the same every time."""
    ask = {
        "model": "demo-mini",
        "messages": [{"role": "user", "content": WORDS}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    headers = {"authorization": "Bearer sk-upstream-1"}
    return httpx.post(f"{upstream.url}/v1/chat/completions", json=ask, headers=headers, timeout=10).content
