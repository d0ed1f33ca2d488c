"""Parts that die, freeze and come back, under load: no request without a response byte is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.servers import RedisServer
from tests.stack.running import KEY, Stack, until
from tests.upstreams.running import Emulator


class Load:
    """Short requests from a few threads until told to end; what each got, and how long it took."""

    def __init__(self, stack: Stack, model: str = "echo", threads: int = 8):
        self.stack, self.model = stack, model
        self.results: list[tuple[float, float, int, str]] = []  # began, seconds, status, body
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def _ask(self) -> None:
        body = {"model": self.model, "messages": [{"role": "user", "content": "one two"}]}
        url, headers = f"{self.stack.url}/v1/chat/completions", {"authorization": f"Bearer {KEY}"}
        with httpx.Client(timeout=30) as client:
            while not self._over.is_set():
                began = time.monotonic()
                try:
                    response = client.post(url, json=body, headers=headers)
                    self.results.append((began, time.monotonic() - began, response.status_code, response.text))
                except httpx.HTTPError as problem:
                    self.results.append((began, time.monotonic() - began, 0, repr(problem)))
                time.sleep(0.01)

    @property
    def failed(self) -> list[tuple[int, str]]:
        return [(status, text[:300]) for _, _, status, text in self.results if status != 200]


@contextmanager
def load(stack: Stack, model: str = "echo") -> Iterator[Load]:
    running = Load(stack, model)
    for thread in running._threads:
        thread.start()
    try:
        yield running
    finally:
        running._over.set()
        for thread in running._threads:
            thread.join()


@pytest.fixture(scope="module")
def fleet() -> Iterator[tuple[Stack, RedisServer]]:
    with RedisServer(persistent=True) as store, Stack({"REDIS_URL": store.url}, gateways=4) as stack:
        yield stack, store


@pytest.fixture
def stack(fleet: tuple[Stack, RedisServer]) -> Stack:
    """Four gateways; whoever died in the test before lives again."""
    stack = fleet[0]
    stack.revive()
    until(lambda: health(stack)["status"] == "ok", 10)
    return stack


@pytest.fixture
def store(fleet: tuple[Stack, RedisServer]) -> RedisServer:
    return fleet[1]


def health(stack: Stack) -> dict[str, object]:
    return dict(httpx.get(f"{stack.url}/health", timeout=5).json())


def test_replicas_killed_under_load_lose_no_request_that_had_no_answer_yet(stack: Stack) -> None:
    with load(stack) as running:
        time.sleep(1)
        stack.kill(stack.gateways[0])
        time.sleep(1.5)
        stack.kill(stack.gateways[1])
        time.sleep(1.5)
        assert len(running.results) > 200
        assert running.failed == []


def test_a_begun_stream_on_a_killed_replica_ends_as_a_broken_socket() -> None:
    with Stack(gateways=1, keepers=0) as stack:
        ask = {
            "model": "echo",
            "stream": True,
            "messages": [{"role": "user", "content": "word " * 100}],
            "metadata": {"echo_delay_ms": "50"},
        }
        got = b""
        with (
            pytest.raises(httpx.HTTPError),
            httpx.stream(
                "POST", f"{stack.url}/v1/chat/completions", json=ask, headers={"authorization": f"Bearer {KEY}"}
            ) as response,
        ):
            for piece in response.iter_raw():
                got += piece
                if got.count(b"data: ") > 3:
                    stack.kill(stack.gateways[0])
        assert b"[DONE]" not in got and b'"finish_reason":"stop"' not in got


def test_what_a_killed_replica_held_is_free_again_by_the_leases_deadline() -> None:
    with Emulator("h2ogpte") as upstream:
        settings = {"H2OGPTE_BASE_URL": upstream.url, "H2OGPTE_POOL_SIZE": "2", "H2OGPTE_CONCURRENCY": "2"}
        with Stack({**settings, "LEASE_SECONDS": "3"}, gateways=2) as stack:
            until(lambda: stack.ask("!say:x", model="h2ogpte/auto").status_code == 200, 15)
            upstream.set(first_token_delay=30)
            threads = [
                threading.Thread(target=lambda: stack.ask("!say:held", model="h2ogpte/auto"), daemon=True)
                for _ in range(2)
            ]
            for thread in threads:
                thread.start()
            upstream.until(lambda stats: stats["sockets"]["now"] == 2, 10)
            for gateway in stack.gateways[:1]:
                stack.kill(gateway)
            upstream.set(first_token_delay=0)
            until(lambda: stack.ask("!say:free", model="h2ogpte/auto").status_code == 200, 12)
            upstream.until(lambda stats: stats["sessions"]["live"] <= 3, 15)
            stack.kill(stack.gateways[1])  # which else would wait for the answer that it holds


def test_a_second_keeper_takes_over_when_the_first_is_killed() -> None:
    with Emulator("h2ogpte") as upstream:
        settings = {"H2OGPTE_BASE_URL": upstream.url, "H2OGPTE_POOL_SIZE": "3"}
        with Stack(settings, gateways=1, keepers=2) as stack:
            upstream.until(lambda stats: stats["sessions"]["live"] == 3, 15)
            for keeper in stack.keepers:  # whichever held the baton is among them; one is left
                if keeper is not stack.keepers[-1]:
                    stack.kill(keeper)
            for _ in range(3):
                assert stack.ask("!say:x", model="h2ogpte/auto").status_code == 200
            took = until(lambda: upstream.stats()["sessions"]["created"] >= 6, 8, "nobody took over")
            assert took < 6
            upstream.until(lambda stats: stats["sessions"]["live"] == 3, 10)


def test_redis_restarted_under_load_loses_nothing(stack: Stack, store: RedisServer) -> None:
    with load(stack) as running:
        time.sleep(1)
        store.restart()
        time.sleep(3)
        assert running.failed == []
        until(lambda: health(stack)["status"] == "ok", 10)


def test_redis_frozen_under_load_keeps_nobody_waiting_and_recovers_by_itself(stack: Stack, store: RedisServer) -> None:
    with load(stack) as running:
        time.sleep(1.5)
        before = sorted(took for _, took, _, _ in running.results)
        frozen_at = time.monotonic()
        with store.paused():
            time.sleep(3)
            assert health(stack)["status"] == "degraded"
            assert httpx.get(f"{stack.url}/health/ready").status_code == 200
        thawed_at = time.monotonic()
        time.sleep(2)
    assert running.failed == []
    during = [took for began, took, _, _ in running.results if frozen_at <= began < thawed_at]
    assert len(during) > 50
    usual = before[int(len(before) * 0.99)]
    assert sorted(during)[int(len(during) * 0.99)] < usual + 0.1, "requests waited for a frozen Redis"
    until(lambda: health(stack)["status"] == "ok", 10)


def test_redis_gone_for_good_leaves_the_gateways_serving(stack: Stack, store: RedisServer) -> None:
    assert stack.ask("before").status_code == 200
    store.kill()
    try:
        until(lambda: health(stack)["status"] == "degraded", 5)
        for _ in range(20):
            assert stack.ask("during").status_code == 200
    finally:
        store.start()


def test_a_gateway_told_to_stop_lets_its_streams_end(stack: Stack) -> None:
    ask = {
        "model": "echo",
        "stream": True,
        "messages": [{"role": "user", "content": "word " * 30}],
        "metadata": {"echo_delay_ms": "60"},
    }
    ends = []

    def listen() -> None:
        response = httpx.post(
            f"{stack.url}/v1/chat/completions", json=ask, headers={"authorization": f"Bearer {KEY}"}, timeout=30
        )
        ends.append(response.text.rstrip().endswith("[DONE]"))

    threads = [threading.Thread(target=listen) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.7)
    os.kill(stack.gateways[0].pid, signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert ends == [True] * 6
    assert stack.ask("after").status_code == 200
