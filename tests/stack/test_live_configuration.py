"""Promise 13 through nginx and four gateways: what an operator changes is in force everywhere within a second, without
a restart, without a failed request and without a dropped stream; and it stays so after a restart."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.servers import RedisServer
from tests.stack.running import KEY, Stack, until
from tests.upstreams.running import Emulator

ANY = {"If-Match": "*"}
ONE, TWO, THREE = (f"sk-upstream-{number}" for number in (1, 2, 3))
AT_ONCE = 1.0
"""Seconds after which nobody may act by what was before."""


@dataclass
class World:
    """One stack for all, on a Redis and an upstream that outlive it."""

    stack: Stack
    upstream: Emulator
    settings: dict[str, str]
    admin: httpx.Client

    def change(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """A change that goes well, whatever was there."""
        sent = {} if body is None else {"json": body}
        answer = self.admin.request(method, path, headers=ANY, **sent, **more)
        assert answer.is_success, answer.text
        return answer

    def lists(self) -> list[set[str]]:
        """The models that each gateway offers, past nginx."""
        told = (httpx.get(f"{part.url}/v1/models", headers=_key(KEY)).json() for part in self.stack.gateways)
        return [{model["id"] for model in one["data"]} for one in told]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with RedisServer() as store, Emulator("openai") as upstream:
        settings = {
            "REDIS_URL": store.url,
            "REDIS_PATIENCE_SECONDS": "2",
            "PARLEY_SECRET": "a-secret-of-these-tests",
            "OPENAI_BASE_URL": f"{upstream.url}/v1",
            "OPENAI_CREDENTIALS": json.dumps([{"value": ONE, "alias": "one"}, {"value": TWO, "alias": "two"}]),
            "WRONG_KEYS_PER_MINUTE": "100000",
        }
        with Stack(settings, gateways=4, console=True) as stack, stack.admin() as admin:
            yield World(stack, upstream, settings, admin)


def _key(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@dataclass
class Load:
    """Short requests of a few callers until told to end: when each began, and what came of it."""

    stack: Stack
    key: str
    model: str
    results: list[tuple[float, int, str]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """One caller."""
        body = {"model": self.model, "messages": [{"role": "user", "content": "one two"}]}
        with httpx.Client(base_url=self.stack.url, headers=_key(self.key), timeout=30) as client:
            while not self.over.is_set():
                began = time.monotonic()
                answer = client.post("/v1/chat/completions", json=body)
                self.results.append((began, answer.status_code, answer.text))
                time.sleep(0.005)

    def enough(self, more: int = 40) -> None:
        """Wait until so many more were answered."""
        wanted = len(self.results) + more
        until(lambda: len(self.results) >= wanted, 30)


@contextmanager
def load(stack: Stack, model: str, key: str = KEY, callers: int = 6) -> Iterator[Load]:
    running = Load(stack, key, model)
    threads = [threading.Thread(target=running.ask) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield running
    finally:
        running.over.set()
        for thread in threads:
            thread.join()


def test_a_change_is_seen_by_all_gateways_within_a_second(world: World) -> None:
    for number in range(3):
        name = f"fresh-{number}"
        world.change("PUT", f"routes/{name}", {"targets": ["echo/echo"]})
        until(lambda name=name: all(name in models for models in world.lists()), AT_ONCE)  # type: ignore[misc]
        assert world.stack.ask("hello", model=name).status_code == 200
        world.change("DELETE", f"routes/{name}")
        until(lambda name=name: not any(name in models for models in world.lists()), AT_ONCE)  # type: ignore[misc]


def test_a_revoked_key_is_refused_within_a_second_under_load(world: World) -> None:
    key = world.change("POST", "keys", {"name": "revoked"}).json()["key"]
    until(lambda: world.stack.ask("hello").status_code == 200)
    time.sleep(AT_ONCE)
    with load(world.stack, "echo", key) as running:
        running.enough()
        began = time.monotonic()
        world.change("DELETE", "keys/revoked")
        revoked = time.monotonic()
        time.sleep(AT_ONCE)
        running.enough()
    statuses = {status for _, status, _ in running.results}
    assert statuses == {200, 401}, statuses
    assert all(status == 200 for at, status, _ in running.results if at < began - 0.5), "it was good before"
    late = [at - revoked for at, status, _ in running.results if status == 200 and at > revoked + AT_ONCE]
    assert not late, f"still let in after {late} s"


def test_an_old_key_is_valid_for_its_grace_and_no_longer(world: World) -> None:
    def let_in(key: str) -> bool:
        answers = [httpx.get(f"{part.url}/v1/models", headers=_key(key)) for part in world.stack.gateways]
        statuses = {answer.status_code for answer in answers}
        assert len(statuses) == 1, f"the gateways do not agree: {statuses}"
        return statuses == {200}

    old = world.change("POST", "keys", {"name": "rotated"}).json()["key"]
    time.sleep(AT_ONCE)
    assert let_in(old)
    told = world.change("POST", "keys/rotated/rotate", {"grace": 2.5}).json()
    time.sleep(AT_ONCE)
    assert let_in(told["key"]) and let_in(old)
    time.sleep(max(0.0, told["previous_until"] - time.time()) + 0.1)
    assert let_in(told["key"]) and not let_in(old)
    world.change("DELETE", "keys/rotated")


def test_a_rollback_under_load_fails_no_request(world: World) -> None:
    world.change("PUT", "routes/steady", {"targets": ["openai/demo-mini"]})
    before = world.admin.get("config").json()["revision"]
    time.sleep(AT_ONCE)
    with load(world.stack, "steady") as running:
        for number in range(3):
            running.enough()
            world.change("PATCH", "upstreams/openai", {"timeouts": {"total": 100 + number}, "default_model": "demo"})
            world.change("PUT", "routes/steady", {"targets": ["echo/echo", "openai/demo-mini"], "strategy": "random"})
            world.change("PATCH", "upstreams/openai/credentials/one", {"disabled": True})
            running.enough()
            told = world.change("POST", f"revisions/{before}/rollback").json()
            assert {tuple(one["place"]) for one in told["differences"]} == {
                ("upstreams", "openai"),
                ("routes", "steady"),
                ("credentials", "openai", "one"),
            }
        time.sleep(AT_ONCE)
        running.enough()
    failed = [(status, text) for _, status, text in running.results if status != 200]
    assert not failed, f"{len(failed)} of {len(running.results)}: {failed[:3]}"
    world.change("DELETE", "routes/steady")


def test_a_running_stream_keeps_what_it_began_with(world: World) -> None:
    upstream = {
        "provider": "openai",
        "base_url": f"{world.upstream.url}/v1",
        "credentials": {"own": {"value": THREE}},
    }
    world.change("PUT", "upstreams/passing", upstream)
    world.change("PUT", "routes/passing-model", {"targets": ["passing/demo-mini"]})
    time.sleep(AT_ONCE)
    said = "a stream that goes on for a while although its upstream is gone"
    stream = world.stack.client().chat.completions.create(
        model="passing-model", messages=[{"role": "user", "content": f"!slow:120:{said}"}], stream=True
    )
    pieces = [next(stream)]
    world.change("DELETE", "routes/passing-model")
    world.change("DELETE", "upstreams/passing")
    gone = time.monotonic()
    until(lambda: world.stack.ask("hello", model="passing-model").status_code == 404, AT_ONCE)
    pieces += stream
    assert time.monotonic() - gone > 0.7, "it went on after that"
    told = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert told == said and pieces[-1].choices[0].finish_reason == "stop"


def test_a_credential_that_is_taken_away_is_used_no_more_and_stays_away_after_a_restart(world: World) -> None:
    with load(world.stack, "openai/demo-mini") as running:
        until(lambda: _asked_with(world) >= {ONE, TWO})
        world.change("DELETE", "upstreams/openai/credentials/two")
        time.sleep(AT_ONCE)
        world.upstream.reset()
        running.enough(60)
    assert _asked_with(world) == {ONE}
    assert {status for _, status, _ in running.results} == {200}
    again = {"place": ["credentials", "openai", "two"]}
    with Stack(world.settings, gateways=1, keepers=0) as other:
        assert {other.ask("hello", model="openai/demo-mini").status_code for _ in range(6)} == {200}
        assert _asked_with(world) == {ONE}
        world.change("POST", "config/restore", again)
        time.sleep(AT_ONCE)
        assert {other.ask("hello", model="openai/demo-mini").status_code for _ in range(6)} == {200}
    assert _asked_with(world) == {ONE, TWO}


def _asked_with(world: World) -> set[str]:
    return {key for key, used in world.upstream.stats()["credentials"].items() if used["requests"]}


def test_of_two_authors_one_is_told_what_is_in_force(world: World) -> None:
    world.change("POST", "keys", {"name": "shared"})
    seen = world.admin.get("keys/shared")
    mine = {"If-Match": seen.headers["etag"]}
    outcomes: list[httpx.Response] = []

    def author(notes: str) -> None:
        outcomes.append(world.admin.patch("keys/shared", json={"notes": notes}, headers=mine))

    authors = [threading.Thread(target=author, args=(notes,)) for notes in ("the first", "the second")]
    for one in authors:
        one.start()
    for one in authors:
        one.join()
    good, late = sorted(outcomes, key=lambda answer: answer.status_code)
    assert (good.status_code, late.status_code) == (200, 412)
    assert late.json()["error"]["in_force"]["notes"] == good.json()["entry"]["notes"]
    assert late.json()["error"]["revision"] == int(good.headers["x-parley-revision"])
    world.change("DELETE", "keys/shared")
