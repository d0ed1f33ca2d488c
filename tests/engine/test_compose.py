"""docker-compose.yml on a real engine. Not part of `make test`; `make test-engine`, and .ci/run, run it."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.engine.compose import Composed, port_for_the_test

pytestmark = pytest.mark.timeout(900)  # the first build installs everything


def composes() -> list[str]:
    """What this machine has: Compose 1 (docker-compose), Compose 2 or later (docker compose)."""
    known = ["docker-compose"] if shutil.which("docker-compose") else []
    plugin = ["docker", "compose", "version"]
    if shutil.which("docker") and subprocess.run(plugin, capture_output=True, check=False).returncode == 0:
        known.append("docker compose")
    return known


@pytest.fixture(scope="module", autouse=True)
def engine() -> None:
    found = shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, check=False)
    if not found or found.returncode:
        pytest.fail("No Docker engine answers here. Start one (DOCKER_HOST names it) and run `make test-engine` again.")
    assert composes(), "neither docker-compose nor `docker compose` is installed"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    with Composed(tmp_path_factory.mktemp("clone"), composes()[0], port_for_the_test()) as composed:
        yield composed


def test_a_fresh_clone_answers_without_any_configuration(stack: Composed) -> None:
    answer = stack.ask("Hello from a container")
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "Hello from a container"
    streamed = stack.ask("one two three", stream=True)
    pieces = [line[6:] for line in streamed.text.splitlines() if line.startswith("data: ")]
    assert pieces[-1] == "[DONE]"
    said = "".join(choice["delta"].get("content") or "" for p in pieces[:-1] for choice in json.loads(p)["choices"])
    assert said == "one two three"
    assert len(stack.containers("gateway")) == 2


def test_containers_have_no_rights_and_cannot_write_to_their_image(stack: Composed) -> None:
    for service in ("nginx", "gateway", "keeper", "console", "redis"):
        container = stack.containers(service)[0]
        assert stack.docker("exec", container, "id", "-u").strip() != "0"
        status = stack.docker("exec", container, "cat", "/proc/1/status")
        assert "CapEff:\t0000000000000000" in status
        assert "CapBnd:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        root = stack.docker("exec", container, "sh", "-c", "touch /written 2>&1 || true")
        assert "Read-only file system" in root


def test_every_container_becomes_healthy(stack: Composed) -> None:
    deadline = time.monotonic() + 60
    while True:
        ids = stack("ps", "-q").split()
        states = stack.docker("inspect", "-f", "{{.State.Health.Status}}", *ids).split()
        if states == ["healthy"] * 6:
            return
        assert time.monotonic() < deadline, states
        time.sleep(1)


def test_a_running_stream_ends_properly_when_its_replica_is_told_to_stop(stack: Composed) -> None:
    said = " ".join(f"word{number}" for number in range(40))
    results: list[str] = []

    def listen() -> None:
        results.append(stack.ask(said, stream=True, metadata={"echo_delay_ms": "100"}).text)

    listeners = [threading.Thread(target=listen) for _ in range(6)]  # so that each replica has some
    for listener in listeners:
        listener.start()
    time.sleep(1.5)
    stack.scale(1)
    for listener in listeners:
        listener.join()
    stack.scale(2)
    assert len(results) == 6
    assert all(text.rstrip().endswith("data: [DONE]") for text in results)
    assert all('"error"' not in text for text in results)


def test_replicas_come_go_and_die_and_redis_restarts_without_a_failed_request(stack: Composed) -> None:
    with Load(stack) as load:
        time.sleep(2)
        stack.scale(4)
        time.sleep(5)
        seen_with_four = len(load.gateways_since(4))
        stack.scale(1)
        time.sleep(3)
        stack.scale(2)
        time.sleep(4)
        stack.docker("kill", "-s", "KILL", stack.containers("gateway")[0])
        time.sleep(4)
        stack("restart", "-t", "5", "redis")
        time.sleep(4)
    assert not load.failures, "\n".join(load.failures)
    assert load.answered > 200
    assert seen_with_four == 4, "every replica gets its share, with no reload of nginx"


class Load:
    """Some short requests a second, for the length of a `with` block; what is not answered rightly is a failure."""

    def __init__(self, stack: Composed, clients: int = 4, pause: float = 0.1) -> None:
        self._stack = stack
        self._pause = pause
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]
        self.failures: list[str] = []
        self.answered = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        # What the front door knows of a failure belongs to its report.
        records = {record["request_id"]: record for record in self._stack.front_log()}
        self.failures = [f"{failure}\n    {records.get(failure.split()[2])}" for failure in self.failures]

    def gateways_since(self, seconds: float) -> Counter[str]:
        """How many requests of the last seconds each gateway answered."""
        records = self._stack.front_log()[-int(seconds * 20) :]
        return Counter(record["gateway"] for record in records if "," not in record["gateway"])

    def _run(self, number: int) -> None:
        turn = 0
        with httpx.Client(base_url=self._stack.url, timeout=20) as client:
            while not self._over.is_set():
                turn += 1
                said = f"{number}-{turn}"
                body = {"model": "echo", "messages": [{"role": "user", "content": said}], "stream": bool(turn % 2)}
                try:
                    answer = client.post("/v1/chat/completions", json=body)
                    right = answer.status_code == 200 and answer.text.count(str(number))
                    wrong = (
                        None if right else f"{answer.headers.get('x-request-id')} {answer.status_code} {answer.text}"
                    )
                except httpx.HTTPError as problem:
                    wrong = repr(problem)
                with self._lock:
                    self.answered += 1
                    if wrong:
                        self.failures.append(f"{time.strftime('%X')} {said}: {wrong}")
                time.sleep(self._pause)


@pytest.mark.parametrize("compose", composes())
def test_values_of_a_dot_env_file_reach_the_containers_as_they_are(compose: str, tmp_path: Path) -> None:
    cookies = '["a=b; c=d", "e=\\"f\\"; g=h#i"]'
    (tmp_path / ".env").write_text(f"GPTOMNI_CREDENTIALS='{cookies}'\nH2OGPTE_SESSION=eyJ+/=.x\nIS_GUEST=true\n")
    composed = Composed(tmp_path / "clone", compose, 8088)
    shutil.copy(tmp_path / ".env", composed.folder / ".env")
    told = yaml.safe_load(composed("config"))["services"]
    for service in ("gateway", "keeper", "console"):
        environment = told[service]["environment"]
        assert environment["GPTOMNI_CREDENTIALS"] == cookies
        assert json.loads(environment["GPTOMNI_CREDENTIALS"])[1] == 'e="f"; g=h#i'
        assert environment["H2OGPTE_SESSION"] == "eyJ+/=.x"
        assert environment["HF_TOKEN"] == ""


@pytest.mark.parametrize("compose", composes()[1:])
def test_a_newer_compose_brings_up_the_same(compose: str, tmp_path: Path, stack: Composed) -> None:
    # `stack` came first and owns the project's name: it steps aside, and is not needed after this last test.
    stack.take_down()
    with Composed(tmp_path, compose, port_for_the_test()) as newer:
        assert newer.ask("Hello, Compose 2").json()["choices"][0]["message"]["content"] == "Hello, Compose 2"
        assert len(newer.containers("gateway")) == 2
