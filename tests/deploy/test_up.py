"""`parley up` as people and programs use it: what it says, what it refuses, and that nothing of it stays behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from command import ports, programs

SMALL = ("--gateways", "1", "--keepers", "0", "--consoles", "0")
"""Where it does not matter what else runs."""


@contextmanager
def parley_up(folder: Path, *words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`parley up`, as an interactive shell would start it: leader of a process group of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "command", "up", *words],
        cwd=folder, env={**kept, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()


def described(process: subprocess.Popen[str]) -> dict[str, Any]:
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return json.loads(line)


def greeting(process: subprocess.Popen[str]) -> str:
    lines: list[str] = []
    while not (lines and lines[-1].startswith("    -d ")):
        line = process.stdout.readline()
        assert line, "".join(lines) + process.stderr.read()
        lines.append(line)
    return "".join(lines)


def offspring(pid: int) -> set[int]:
    """All processes below `pid`."""
    found: set[int] = set()
    for facts in Path("/proc").glob("[0-9]*/stat"):
        try:
            own, parent = int(facts.parent.name), int(facts.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found |= {own} | offspring(own)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(true: Callable[[], Any], within: float = 10) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def parts(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [told["redis"], told["nginx"], *told["gateways"], *told["keepers"], *told["consoles"]]


@pytest.mark.parametrize("farewell", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_whatever_ends_it_nothing_is_left_running(tmp_path: Path, farewell: signal.Signals) -> None:
    with parley_up(tmp_path, "--json", "--port", "0", "--keepers", "2") as process:
        told = described(process)
        assert (len(told["gateways"]), len(told["keepers"]), len(told["consoles"])) == (2, 2, 1)
        below = offspring(process.pid)
        assert {part["pid"] for part in parts(told)} <= below
        assert len(below) >= 10, "two gateways have a worker each, nginx has two"
        assert httpx.get(f"{told['url']}/health/live").status_code == 200
        for gateway in told["gateways"]:
            assert httpx.get(f"{gateway['url']}/health/live").status_code == 200
        process.send_signal(farewell)
        assert process.wait(30) == (-signal.SIGKILL if farewell == signal.SIGKILL else 0)
        until(lambda: not any(alive(pid) for pid in below))
        ports.claim("127.0.0.1", told["port"])


def test_it_does_not_outlive_the_program_that_started_it(tmp_path: Path) -> None:
    with parley_up(tmp_path, "--json", "--port", "0", *SMALL) as process:
        told = described(process)
        below = offspring(process.pid)
        time.sleep(1)
        assert process.poll() is None
        process.stdout.close()
        assert process.wait(30) == 0
        assert not any(alive(pid) for pid in {*below, *(part["pid"] for part in parts(told))})


def test_ending_it_in_the_middle_of_its_start_leaves_nothing_either(tmp_path: Path) -> None:
    for pause in (0.2, 0.5, 1.0):
        with parley_up(tmp_path, "--json", "--port", "0") as process:
            time.sleep(pause)
            below = offspring(process.pid)
            process.send_signal(signal.SIGTERM)
            # Before Python is up, the signal's default ends it; after that, we do.
            assert process.wait(30) in {0, -signal.SIGTERM}
            until(lambda: not any(alive(pid) for pid in below))  # noqa: B023  # looked at within this round


def test_it_says_what_runs_and_a_line_that_works_as_pasted(tmp_path: Path) -> None:
    with parley_up(tmp_path, NGINX_PORT=str(ports.free(1)[0])) as process:
        text = greeting(process)
        assert re.search(r"redis +pid \d+ +127\.0\.0\.1:\d+\n", text)
        assert len(re.findall(r"gateway-\d +pid \d+ +127\.0\.0\.1:\d+\n", text)) == 2
        assert re.search(r"keeper-1 +pid \d+", text)
        assert re.search(r"console-1 +pid \d+ +127\.0\.0\.1:\d+\n", text)
        assert "Admin API" not in text
        assert re.search(r"nginx +pid \d+ +127\.0\.0\.1:\d+\n", text)
        assert "No API_MASTER_KEY is set" in text
        assert paste(text, tmp_path).returncode == 0
    assert (tmp_path / ".parley/redis").is_dir()


@pytest.mark.parametrize("where", ["environment", ".env"])
@pytest.mark.parametrize("name", ["API_MASTER_KEY", "API_KEY"])
def test_the_pasted_line_finds_the_key_and_never_shows_it(tmp_path: Path, where: str, name: str) -> None:
    secret = "canary-7f3a9c55e1"
    environment = {name: secret} if where == "environment" else {}
    if where == ".env":
        (tmp_path / ".env").write_text(f"# {name}=no\n{name}='{secret}'\n")
    with parley_up(tmp_path, "--port", "0", *SMALL, **environment) as process:
        text = greeting(process)
        assert "Authorization: Bearer $" in text
        assert paste(text, tmp_path, **environment).returncode == 0
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert secret not in text + rest + errors


def paste(text: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = re.search(r"curl .*?\n    -d .*", text, re.DOTALL)[0].rstrip()
    done = subprocess.run(
        ["bash", "-c", command + " -sS --fail-with-body"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "Hello, Parley!" in done.stdout, done.stdout + done.stderr
    return done


def test_settings_of_the_dot_env_file_are_read_and_the_environment_is_above_it(tmp_path: Path) -> None:
    first, second = ports.free(2)
    (tmp_path / ".env").write_text(f"NGINX_PORT={first}\nMAX_BODY_MB=1\nNGINX_BIND=\n")
    with parley_up(tmp_path, "--json", *SMALL) as process:
        told = described(process)
        assert told["port"] == first
        assert httpx.post(f"{told['url']}/v1/chat/completions", content=b"x" * 1_100_000).status_code == 413
    with parley_up(tmp_path, "--json", *SMALL, NGINX_PORT=str(second)) as process:
        assert described(process)["port"] == second


def test_a_taken_port_is_one_clear_sentence_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with parley_up(tmp_path, NGINX_PORT=str(port)) as process:
            assert process.wait(30) == 2
            shown, errors = process.communicate()
    assert errors.startswith(f"parley: port {port} of 127.0.0.1 is taken; ")
    assert errors.count("\n") == 1
    assert shown == ""


@pytest.mark.parametrize(
    ("words", "environment", "sentence"),
    [
        ([], {"NGINX_PORT": "web"}, "NGINX_PORT is 'web'"),
        (["--port", "0"], {"API_MASTER_KEY": "change-me"}, "placeholder"),
        (["--port", "0"], {"MAX_BODY_MB": "much"}, "MAX_BODY_MB"),
    ],
)
def test_what_cannot_work_ends_with_a_sentence_and_exit_code_2(
    tmp_path: Path, words: list[str], environment: dict[str, str], sentence: str
) -> None:
    with parley_up(tmp_path, *words, **environment) as process:
        shown, errors = process.communicate(timeout=30)
        assert process.returncode == 2
    assert sentence in shown + errors
    assert "Traceback" not in shown + errors


def test_two_stacks_do_not_share_one_state_folder(tmp_path: Path) -> None:
    with parley_up(tmp_path, "--json", "--port", "0", *SMALL) as first:
        described(first)
        with parley_up(tmp_path, "--json", "--port", "0") as second:
            assert second.wait(30) == 2
            assert "another `parley up` uses" in second.stderr.read()


def test_a_gateway_that_dies_is_reported_and_started_again(tmp_path: Path) -> None:
    with parley_up(tmp_path, "--port", "0", *SMALL) as process:
        text = greeting(process)
        pid, address = re.search(r"gateway-1 +pid (\d+) +(\S+)", text).groups()
        worker = offspring(int(pid))
        os.kill(int(pid), signal.SIGKILL)
        until(lambda: not any(alive(one) for one in worker))
        until(lambda: answers(f"http://{address}/health/live"), within=20)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert "gateway-1 was ended by SIGKILL; it is started again in 0.5 s" in errors


@pytest.mark.parametrize("name", ["redis", "nginx"])
def test_without_nginx_or_redis_all_ends(tmp_path: Path, name: str) -> None:
    with parley_up(tmp_path, "--port", "0", *SMALL) as process:
        text = greeting(process)
        below = offspring(process.pid)
        os.kill(int(re.search(rf"{name} +pid (\d+)", text)[1]), signal.SIGKILL)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 1
        assert f"{name} was ended by SIGKILL; nothing works without it" in errors
        until(lambda: not any(alive(pid) for pid in below))


def test_for_programs_the_dead_stay_dead_until_they_are_asked_back(tmp_path: Path) -> None:
    with parley_up(tmp_path, "--json", "--port", "0", *SMALL, "--gateways", "2") as process:
        told = described(process)
        for dead in (told["gateways"][0], told["redis"]):
            os.kill(dead["pid"], signal.SIGKILL)
        until(lambda: not answers(told["gateways"][0]["url"] + "/health/live"))
        time.sleep(1.5)
        assert not alive(told["gateways"][0]["pid"])
        assert httpx.get(f"{told['url']}/health/live").status_code == 200
        process.send_signal(signal.SIGUSR1)
        again = described(process)
        assert [part["port"] for part in parts(again)] == [part["port"] for part in parts(told)]
        assert again["gateways"][0]["pid"] != told["gateways"][0]["pid"]
        assert again["gateways"][1]["pid"] == told["gateways"][1]["pid"]
        assert answers(again["gateways"][0]["url"] + "/health/live")


@pytest.mark.parametrize(
    ("name", "fits"), [("plain", True), ("with a space", False), ("{}", False), ("deep" * 30, False)],
    ids=["plain", "space", "braces", "long"],
)  # fmt: skip
def test_nginx_comes_by_a_socket_where_a_path_may_be_one(name: str, fits: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="parley-up-") as short:
        state = Path(short, name)
        with parley_up(Path(short), "--json", "--port", "0", *SMALL, "--state-dir", str(state)) as process:
            told = described(process)
            for url in (told["url"], told["gateways"][0]["url"]):
                assert answers(f"{url}/health/live")
            door = state / "gateway-1.sock"
            if fits:
                assert stat.filemode(door.stat().st_mode) == "srwx------", "nobody else comes past nginx"
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        *_, record = [line for line in (state / "logs/nginx.log").read_text().splitlines() if "/health/live" in line]
        assert json.loads(record)["gateway"] == (
            f"unix:{door}" if fits else told["gateways"][0]["url"][len("http://") :]
        )
        assert not door.exists()


def test_nginx_gives_way_and_nobody_else_does(tmp_path: Path) -> None:
    with parley_up(tmp_path, "--json", "--port", "0", *SMALL) as process:
        told = described(process)
        nginx = {told["nginx"]["pid"], *offspring(told["nginx"]["pid"])}
        assert len(nginx) == 3, "a master and its workers"
        policies = {pid: os.sched_getscheduler(pid) for pid in offspring(process.pid)}
        assert {pid for pid, policy in policies.items() if policy == os.SCHED_BATCH} == nginx
        assert set(policies.values()) == {os.SCHED_BATCH, os.SCHED_OTHER}


def test_a_redis_of_the_operator_is_used_and_none_is_started(tmp_path: Path) -> None:
    port = ports.free(1)[0]
    server = subprocess.Popen([programs.redis_server(), "--port", str(port), "--save", "", "--dir", tmp_path],
                              stdout=subprocess.DEVNULL)  # fmt: skip
    try:
        until(lambda: listens(port))
        with parley_up(tmp_path, "--json", "--port", "0", *SMALL, REDIS_URL=f"redis://127.0.0.1:{port}/3") as process:
            told = described(process)
            assert told["redis"] is None
            assert told["redis_url"] is None, "it may hold a password"
    finally:
        server.terminate()
        server.wait()


def test_what_redis_kept_is_there_at_the_next_start(tmp_path: Path) -> None:
    for round_number in (1, 2):
        with parley_up(tmp_path, "--json", "--port", "0", *SMALL) as process:
            port = described(process)["redis"]["port"]
            with socket.create_connection(("127.0.0.1", port)) as redis:
                redis.sendall(b"INCR parley-test-starts\r\n")
                assert redis.recv(64) == f":{round_number}\r\n".encode()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_menu_of_the_command_names_its_parts() -> None:
    shown = subprocess.run([sys.executable, "-m", "command"], capture_output=True, text=True, check=True).stdout
    assert all(re.search(rf"^ +{part} ", shown, re.MULTILINE) for part in ("up", "gateway", "keeper", "console")), shown
