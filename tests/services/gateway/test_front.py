"""The mirror tells what arrived, only to who has a key, and what it may be asked for is bounded."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import httpx
import msgspec
import pytest

from gateway import front
from parley.chat.events import Events
from parley.doctor.reflection import PATH, TRIAL, Reflection
from tests.services.gateway.serving import Front
from tests.stack.running import until

KEY = "mirror-test-key"


async def nothing(prompt: Any, tally: Any) -> Events:
    raise AssertionError("nobody chats")
    yield


@pytest.fixture
def gateway():
    with Front(nothing, key=KEY, max_body_mb=1) as it:
        it.status["processes"] = ["gateway-a", "gateway-b", "keeper-1"]
        yield it


@pytest.fixture
def client(gateway: Front):
    with httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {KEY}"}) as it:
        yield it


def reflection(answer: httpx.Response) -> Reflection:
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Reflection)


def test_nothing_is_told_without_a_key(gateway: Front) -> None:
    answer = httpx.post(gateway.url + PATH, params={"broken_at": "test-1"})
    assert answer.status_code == 401
    assert answer.json()["error"]["message"].startswith("You didn't provide"), "the doctor goes by that"


def test_names_of_headers_are_told_and_values_of_those_that_nginx_writes(client: httpx.Client) -> None:
    sent = {"x-forwarded-for": "192.0.2.7, 127.0.0.1", "cookie": "canary", "x-other": "canary", TRIAL: "here" * 200}
    answer = client.post(PATH, headers=sent, content=b"x" * 1000)
    seen = reflection(answer)
    assert {"authorization", "cookie", "x-other", TRIAL} <= set(seen.names)
    assert seen.values["x-forwarded-for"] == "192.0.2.7, 127.0.0.1"
    assert seen.values[TRIAL] == "here" * 100
    assert (seen.replica, seen.replicas, seen.client) == ("test-1", ("gateway-a", "gateway-b"), "127.0.0.1")
    assert (seen.http_version, seen.body_bytes, seen.max_body_mb) == ("1.1", 1000, 1)
    assert "canary" not in answer.text
    assert KEY not in answer.text


def test_while_redis_is_away_nobody_says_who_lives(gateway: Front, client: httpx.Client) -> None:
    gateway.status["redis"]["status"] = "gone"
    assert reflection(client.get(PATH)).replicas == ()


def test_a_connection_is_known_by_its_other_end(gateway: Front, client: httpx.Client) -> None:
    assert reflection(client.get(PATH)).peer == reflection(client.get(PATH)).peer
    other = httpx.get(gateway.url + PATH, headers={"authorization": f"Bearer {KEY}"})
    assert reflection(other).peer != reflection(client.get(PATH)).peer


@pytest.mark.parametrize(
    "params",
    [
        {"pieces": "101"},
        {"pieces": "-1"},
        {"pieces": "many"},
        {"pause_ms": "600001"},
        {"pieces": "3", "pause_ms": "300000"},
    ],
)
def test_what_would_last_too_long_is_refused(client: httpx.Client, params: dict[str, str]) -> None:
    answer = client.get(PATH, params=params)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] in params


def test_a_body_above_the_limit_is_refused(client: httpx.Client) -> None:
    assert client.post(PATH, content=b"x" * (2**20 + 1)).status_code == 413


@pytest.mark.parametrize("plain", [False, True])
def test_a_stream_begins_with_what_arrived_and_may_be_of_a_length_that_is_known(
    client: httpx.Client, plain: bool
) -> None:
    answer = client.get(PATH, params={"pieces": "3", "pause_ms": "10", **({"plain": "1"} if plain else {})})
    first, *more = [json.loads(frame.removeprefix("data: ")) for frame in answer.text.split("\n\n")[:-1]]
    assert first["replica"] == "test-1"
    assert more == [{"piece": 1}, {"piece": 2}]
    assert ("content-length" in answer.headers) is plain
    assert (answer.headers.get("x-accel-buffering") == "no") is not plain


def test_it_knows_which_reader_has_left_and_forgets_old_ones(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client.stream("GET", PATH, params={"pieces": "2", "pause_ms": "60000"}, headers={TRIAL: "left"}) as answer:
        pieces = answer.iter_raw()  # kept: it hangs up when it is forgotten
        next(pieces)
        here = reflection(client.get(PATH, params={"about": "left"})).about
        assert here is not None
        assert (here.arrivals, here.hung_up) == (1, False)
    until(lambda: getattr(reflection(client.get(PATH, params={"about": "left"})).about, "hung_up", False))
    monkeypatch.setattr(front, "_REMEMBERED", 3)
    for number in range(3):
        client.get(PATH, headers={TRIAL: f"later-{number}"})
    assert reflection(client.get(PATH, params={"about": "left"})).about is None


def test_streams_at_a_time_are_few(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "_MOST_STREAMS", 2)
    params = {"pieces": "2", "pause_ms": "60000"}
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(client.stream("GET", PATH, params=params)).iter_raw() for _ in range(2)]
        assert all(next(pieces) for pieces in streams)
        assert client.get(PATH, params=params).status_code == 429
    until(lambda: client.get(PATH, params={"pieces": "1"}).status_code == 200)


def test_connections_are_broken_without_a_word_and_rarely(client: httpx.Client) -> None:
    assert reflection(client.post(PATH, params={"broken_at": "another"})).spared is False
    for _ in range(front._MOST_BREAKS):
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            client.post(PATH, params={"broken_at": "test-1"}, headers={TRIAL: "broken"}, content=b"{}")
    spared = reflection(client.post(PATH, params={"broken_at": "test-1", "about": "broken"}))
    assert spared.spared is True
    assert spared.about is not None
    assert spared.about.arrivals == front._MOST_BREAKS
