"""Streaming through the real front: paced, unbuffered, honest in its endings, stopped at once by a hang-up."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import openai
import pytest

from tests.stack.running import KEY, Stack, until
from tests.upstreams.running import Emulator


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Stack, dict[str, Emulator]]]:
    with Emulator("openai") as plain, Emulator("h2ogpte") as h2o, Emulator("gptomni") as omni:
        settings = {
            "OPENAI_API_KEY": "sk-upstream-1",
            "OPENAI_BASE_URL": f"{plain.url}/v1",
            "H2OGPTE_BASE_URL": h2o.url,
            "GPTOMNI_BASE_URL": omni.url,
            "GPTOMNI_CREDENTIALS": '["__Secure-next-auth.session-token=tok-1"]',
            "GPTOMNI_PER_MINUTE": "0",
            "GPTOMNI_CONCURRENCY": "0",
            "HEADER_GRACE_SECONDS": "0.5",
            "HEARTBEAT_SECONDS": "0.5",
        }
        with Stack(settings, gateways=2) as stack:
            yield stack, {"openai": plain, "h2ogpte": h2o, "gptomni": omni}


def body(text: str, model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


HEADERS = {"authorization": f"Bearer {KEY}"}


def test_chunks_paced_upstream_arrive_paced(world: tuple[Stack, dict[str, Emulator]]) -> None:
    stack, _ = world
    words = "one two three four five six seven eight nine ten eleven twelve"
    ask = body(words, "echo", stream=True, metadata={"echo_delay_ms": "50"})
    for _ in range(3):  # behind a standstill of the machine chunks come in a lump, but not three times in a row
        chunks = stack.client().chat.completions.create(**ask)
        at = [time.monotonic() for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
        gaps = [b - a for a, b in pairwise(at)]
        if paced := len(gaps) >= 10 and sum(gap > 0.02 for gap in gaps) >= len(gaps) * 0.9:
            break
    assert paced, f"chunks came in lumps: {gaps}"


def test_a_first_token_later_than_every_proxys_patience_survives(world: tuple[Stack, dict[str, Emulator]]) -> None:
    """Scaled: 3 s of silence against a grace of 0.5 s; nginx's own limits are scaled by its own test."""
    stack, _ = world
    ask = body("late", "echo", stream=True, metadata={"echo_first_ms": "3000"})
    began = time.monotonic()
    with httpx.stream("POST", f"{stack.url}/v1/chat/completions", json=ask, headers=HEADERS, timeout=1.5) as response:
        head = time.monotonic() - began
        lines = list(response.iter_lines())
    assert 0.3 < head < 1.5, "headers wait for the first event up to the grace, and no longer"
    assert sum(line.startswith(":") for line in lines) >= 3, "no sign of life while silent"
    assert lines[-2:] == ["data: [DONE]", ""] or lines[-1] == "data: [DONE]"


@pytest.mark.parametrize("model", ["openai/demo-mini", "h2ogpte/auto", "gptomni"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_hang_up_reaches_the_upstream_within_100_ms(
    world: tuple[Stack, dict[str, Emulator]], model: str, stream: bool, moment: str
) -> None:
    stack, upstreams = world
    upstream = upstreams[model.split("/", maxsplit=1)[0]]
    upstream.reset()
    if model.startswith("h2ogpte"):  # what the reset forgot is made anew, so that the hang-up is what is measured
        until(lambda: stack.ask("!say:warm", model=model).status_code == 200, 20)
        upstream.set(first_token_delay=5.0 if moment == "before" else 0.0, chunk_delay=0.2)
    elif model.startswith("openai"):
        upstream.set(first_delay=5.0 if moment == "before" else 0.0, piece_delay=0.2)
    else:
        upstream.set(first_delay=5.0 if moment == "before" else 0.0, piece_delay=0.2)
    for _ in range(3):  # a machine that stands still is late, too, but not three times in a row
        if soon := seconds_to_the_upstream(stack, upstream, model, stream, moment) < 0.1:
            break
    assert soon


def seconds_to_the_upstream(stack: Stack, upstream: Emulator, model: str, stream: bool, moment: str) -> float:
    """How long after a caller hung up the upstream noticed."""
    hangups = len(upstream.stats()["hangups"])
    payload = json.dumps(body("!say:" + "word " * 200, model, stream=stream)).encode()
    host, port = stack.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"authorization: Bearer " + KEY.encode() + b"\r\ncontent-length: %d\r\n\r\n" % len(payload) + payload
        )
        if moment == "after" and stream:
            while b"word" not in connection.recv(4096):
                pass
        else:
            time.sleep(1.0)
        left = time.time()
    upstream.until(lambda stats: len(stats["hangups"]) > hangups, 5)
    return float(upstream.stats()["hangups"][-1]["at"]) - left


def test_an_upstream_that_breaks_off_is_an_error_in_the_stream_and_no_clean_stop(
    world: tuple[Stack, dict[str, Emulator]],
) -> None:
    stack, upstreams = world
    upstreams["openai"].reset()
    upstreams["openai"].set(piece_delay=0.01)  # a reset takes with it what was not read yet
    upstreams["openai"].fault("reset", bytes=3000)
    ask = body("!say:" + "word " * 200, "openai/demo-mini", stream=True)
    response = httpx.post(f"{stack.url}/v1/chat/completions", json=ask, headers=HEADERS, timeout=20)
    frames = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert response.status_code == 200 and "[DONE]" not in frames
    assert json.loads(frames[-1])["error"]["code"] == "upstream_truncated"
    assert all(choice["finish_reason"] is None for f in frames[:-1] for choice in json.loads(f)["choices"])
    upstreams["openai"].fault("reset", bytes=3000)
    with pytest.raises(openai.APIError, match=r"broke off|truncated|ended"):
        for _ in stack.client().chat.completions.create(**ask):
            pass


def test_an_early_refusal_keeps_its_true_status(world: tuple[Stack, dict[str, Emulator]]) -> None:
    stack, upstreams = world
    upstreams["openai"].reset()
    upstreams["openai"].fault("context_length_exceeded")
    with pytest.raises(openai.BadRequestError) as refused:
        stack.client().chat.completions.create(**body("hi", "openai/demo-mini", stream=True))
    assert refused.value.code == "context_length_exceeded"


def test_one_failure_before_the_first_token_is_repaired_by_another_attempt(
    world: tuple[Stack, dict[str, Emulator]],
) -> None:
    stack, upstreams = world
    upstreams["openai"].reset()
    upstreams["openai"].fault("server_error")
    answer = stack.ask("!say:fine", model="openai/demo-mini")
    assert answer.json()["choices"][0]["message"]["content"] == "fine"
    assert answer.headers["x-parley-attempts"] == "2"
    until(lambda: bool(stack.records(answer.headers["x-request-id"])), 5)
    record = stack.records(answer.headers["x-request-id"])[0]
    first, second = record["attempts"]
    assert (first["failure"], first["blames"], first["status"]) == ("upstream_error", "upstream", 500)
    assert first["next"] and "failure" not in second
