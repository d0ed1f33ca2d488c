"""The doctor finds nothing wrong with the front as it is shipped, and names each directive that is broken on purpose.

Every broken nginx.conf is the stack's own with some words changed, under an nginx of its own before the same gateways.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import pytest

from command import doctor, ports, programs
from gateway.accounting import Tally
from parley.chat.events import Events
from parley.chat.prompt import Prompt
from parley.doctor import NAMES, Check, Report, examine
from parley.sealed import Secret
from tests.services.gateway.serving import Front as Gateway
from tests.stack.running import KEY, Part, Stack, until

GATEWAYS = 3
AT_A_TIME = 4


@dataclasses.dataclass(frozen=True)
class Broken:
    """What is changed in nginx.conf, and what the doctor must say to it: checks and the directives that they name."""

    change: Mapping[str, str]
    faults: Mapping[str, str]
    silence: float = 0.2


BROKEN: dict[str, Broken] = {
    "buffered": Broken({"proxy_buffering off;": "proxy_buffering on;"}, {"buffering": "proxy_buffering"}),
    "let through by and by": Broken(
        {"proxy_buffering off;": "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering; limit_rate 1500;"},
        {"buffering": "proxy_buffering", "stream": "limit_rate"},
    ),
    "packed": Broken({"gzip off;": "gzip on; gzip_types text/event-stream;"}, {"compression": "gzip"}),
    "HTTP/1.0 to gateways": Broken(
        {"proxy_http_version 1.1;": "proxy_http_version 1.0;"}, {"keep-alive": "proxy_http_version"}
    ),
    "connections closed": Broken(
        {'proxy_set_header Connection "";': "proxy_set_header Connection close;"},
        {"keep-alive": "proxy_set_header Connection"},
    ),
    "the client's Connection passed on": Broken(
        {'proxy_set_header Connection "";': "proxy_set_header Connection $http_connection;"},
        {"keep-alive": "proxy_set_header Connection"},
    ),
    "no connections kept": Broken({"keepalive 256;": "keepalive 0;"}, {"keep-alive": "keepalive"}),
    "clients' connections closed": Broken(
        {"keepalive_timeout 75s;": "keepalive_timeout 0;"}, {"keep-alive": "keepalive_timeout"}
    ),
    "small bodies": Broken(
        {"client_max_body_size 20m;": "client_max_body_size 7m;"}, {"body-limit": "client_max_body_size"}
    ),
    "nginx' own limit of bodies": Broken({"client_max_body_size 20m;": ""}, {"body-limit": "client_max_body_size"}),
    "bodies without limit": Broken(
        {"client_max_body_size 20m;": "client_max_body_size 0;"}, {"body-limit": "client_max_body_size"}
    ),
    "bodies passed on as they come": Broken(
        {"proxy_request_buffering on;": "proxy_request_buffering off;"}, {"whole-body": "proxy_request_buffering"}
    ),
    "no request id": Broken(
        {"proxy_set_header X-Request-ID $parley_request_id;": ""}, {"request-id": "proxy_set_header X-Request-ID"}
    ),
    "another request id": Broken(
        {"proxy_set_header X-Request-ID $parley_request_id;": "proxy_set_header X-Request-ID $request_id;"},
        {"request-id": "proxy_set_header X-Request-ID"},
    ),
    "request id kept back": Broken(
        {"proxy_buffering off;": "proxy_buffering off; proxy_hide_header X-Request-ID;"},
        {"request-id": "proxy_hide_header X-Request-ID"},
    ),
    "request id twice": Broken(
        {"proxy_buffering off;": "proxy_buffering off; add_header X-Request-ID $parley_request_id;"},
        {"request-id": "add_header X-Request-ID"},
    ),
    "key lost": Broken(
        {"proxy_set_header Host": 'proxy_set_header Authorization ""; proxy_set_header Host'},
        {"key": "proxy_set_header Authorization"},
    ),
    "a client's header lost": Broken(
        {"proxy_set_header Host": 'proxy_set_header X-Stainless-Lang ""; proxy_set_header Host'},
        {"headers": "proxy_set_header X-Stainless-Lang"},
    ),
    "host lost": Broken({"proxy_set_header Host $parley_host;": ""}, {"headers": "proxy_set_header Host"}),
    "scheme lost": Broken(
        {"proxy_set_header X-Forwarded-Proto $parley_proto;": ""}, {"headers": "proxy_set_header X-Forwarded-Proto"}
    ),
    "long headers refused": Broken(
        {"large_client_header_buffers 4 64k;": ""}, {"headers": "large_client_header_buffers"}
    ),
    "clients' addresses lost": Broken(
        {"proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;": 'proxy_set_header X-Forwarded-For "";'},
        {"client-address": "proxy_set_header X-Forwarded-For"},
    ),
    "clients' claims believed": Broken(
        {"proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;": ""},
        {"client-address": "proxy_set_header X-Forwarded-For"},
    ),
    "proxies in front forgotten": Broken(
        {"$proxy_add_x_forwarded_for": "$remote_addr"}, {"client-address": "proxy_set_header X-Forwarded-For"}
    ),
    "impatient": Broken(
        {"proxy_read_timeout 1260s;": "proxy_read_timeout 1s;"}, {"patience": "proxy_read_timeout"}, 2.0
    ),
    "metrics passed on": Broken({"location ^~ /metrics": "location ^~ /elsewhere"}, {"metrics": "location /metrics"}),
    "refusals in nginx' own words": Broken(
        {"error_page 400 404 405 413 500 501 503 @refusal;": ""},
        {"metrics": "error_page", "body-limit": "error_page"},
    ),
    "refusals without their id": Broken(
        {"add_header X-Request-ID": "add_header X-Another"}, {"metrics": "add_header X-Request-ID"}
    ),
    "by turns": Broken({"least_conn;": ""}, {"balance": "least_conn"}),
    "tied to a gateway": Broken({"least_conn;": "ip_hash;"}, {"spread": "least_conn"}),
    "hang-ups kept back": Broken(
        {"proxy_ignore_client_abort off;": "proxy_ignore_client_abort on;"}, {"hang-up": "proxy_ignore_client_abort"}
    ),
    "no other gateway for a POST": Broken(
        {"proxy_next_upstream error timeout non_idempotent;": ""}, {"takeover": "proxy_next_upstream"}
    ),
    "no other gateway": Broken(
        {"proxy_next_upstream error timeout non_idempotent;": "proxy_next_upstream off;"},
        {"takeover": "proxy_next_upstream"},
    ),
}
"""What may go wrong in nginx.conf; what has to do with the gateways' addresses, and with reloads, is below."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(gateways=GATEWAYS) as it:
        yield it


@pytest.fixture(scope="module")
def reports(stack: Stack) -> dict[str, Report]:
    """What the doctor says of each broken front; some are examined at a time."""
    few, alone = asyncio.Semaphore(AT_A_TIME), asyncio.Lock()

    async def report(name: str, broken: Broken) -> tuple[str, Report]:
        # A gateway breaks no more than a few connections in five seconds, for whoever asks.
        breaks = bool({"takeover", "spread"} & set(broken.faults))
        async with alone if breaks else nullcontext(), few, front(stack, broken.change) as url:
            return name, await examine(url, Secret(KEY), only=asked(broken), silence=broken.silence)

    async def examined() -> dict[str, Report]:
        return dict(await asyncio.gather(*(report(name, broken) for name, broken in BROKEN.items())))

    return asyncio.run(examined())


def asked(broken: Broken) -> list[str]:
    """All checks; but a gateway does not break connections for several doctors at a time."""
    return [name for name in NAMES if name != "takeover" or name in broken.faults]


@asynccontextmanager
async def front(stack: Stack, change: Mapping[str, str]) -> AsyncIterator[str]:
    """An nginx of its own before the stack's gateways, with a changed configuration."""
    text = configuration(stack)
    for right, wrong in change.items():
        assert right in text, f"nginx.conf has no {right!r}"
        text = text.replace(right, wrong)
    async with listening(text) as (url, _):
        yield url


@asynccontextmanager
async def listening(text: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    port = ports.free(1)[0]
    extra = "daemon off;" + (" user root root;" if os.geteuid() == 0 else "")
    with tempfile.TemporaryDirectory(prefix="parley-doctor-") as name:
        folder = Path(name)
        (folder / "nginx.conf").write_text(re.sub(r"listen \S+ ", f"listen 127.0.0.1:{port} ", text))
        with (folder / "log").open("wb") as log:
            nginx = await asyncio.create_subprocess_exec(
                programs.nginx(), "-p", folder, "-c", "nginx.conf", "-e", "stderr", "-g", extra, stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(10):
                while not await taken(port):
                    assert nginx.returncode is None, (folder / "log").read_text()
                    await asyncio.sleep(0.02)
            yield f"http://127.0.0.1:{port}", nginx
        finally:
            if nginx.returncode is None:
                nginx.terminate()
            await nginx.wait()


async def taken(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def configuration(stack: Stack) -> str:
    return (stack.folder / "state" / "nginx" / "nginx.conf").read_text()


def address(gateway: Part) -> str:
    """As nginx.conf names it."""
    door = gateway.log.parents[1] / f"{gateway.name}.sock"
    assert gateway.url
    return f"unix:{door}" if door.exists() else gateway.url.removeprefix("http://")


def faults(report: Report) -> dict[str, str]:
    return {check.name: check.directive for check in report.checks if check.verdict == "fault"}


def told(report: Report, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def test_a_healthy_front_has_no_fault_and_is_examined_in_ten_seconds(
    stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACK_KEY", KEY)
    before = time.monotonic()
    assert doctor.main(["--url", stack.url, "--key-env", "STACK_KEY", "--json"]) == 0
    assert time.monotonic() - before < 10
    report = json.loads(capsys.readouterr().out)
    assert {check["name"]: check["verdict"] for check in report["checks"]} == dict.fromkeys(NAMES, "ok"), report
    assert report["verdict"] == "ok"
    assert len(report["gateways"]) == GATEWAYS
    assert report["requests"] < 150


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_broken_is_named_and_nothing_else(reports: dict[str, Report], name: str) -> None:
    report = reports[name]
    assert faults(report) == BROKEN[name].faults, report
    assert all(check.remedy for check in report.checks if check.verdict == "fault")


async def test_a_gateway_that_nginx_does_not_know_is_told_from_a_client_that_is_tied_to_one(stack: Stack) -> None:
    _, two, three = [f"server {address(gateway)} max_fails=10 fail_timeout=1s;" for gateway in stack.gateways]
    for absent in ({three: ""}, {two: "", three: ""}):
        async with front(stack, absent) as url:
            report = await examine(url, Secret(KEY), only=["spread", "balance"])
        assert faults(report) == {"spread": "server"}
        assert told(report, "spread").figures == {"seen": GATEWAYS - len(absent), "living": GATEWAYS}


async def test_without_any_gateway_it_says_so_and_no_more(stack: Stack) -> None:
    elsewhere = dict.fromkeys(map(address, stack.gateways), f"127.0.0.1:{ports.free(1)[0]}")
    async with front(stack, elsewhere) as url:
        report = await examine(url, Secret(KEY))
    assert faults(report) == {"reach": "server"}
    assert len(report.checks) == 1


async def test_a_wrong_key_is_tried_once_and_a_missing_one_never(stack: Stack) -> None:
    wrong, missing = await examine(stack.url, Secret("sk-parley-wrong")), await examine(f"{stack.url}/v1")
    assert "not accepted" in told(wrong, "key").sentence
    assert "none was given" in told(missing, "key").sentence
    assert (wrong.requests, missing.requests) == (2, 1)
    assert [check.name for check in wrong.checks] == ["reach", "key"]


async def test_one_gateway_that_asks_for_no_key_and_has_no_redis_is_examined_too(stack: Stack) -> None:
    lost = {"proxy_set_header Host": 'proxy_set_header Authorization ""; proxy_set_header Host'}
    with Gateway(silent) as gateway:
        gateway.status["redis"]["status"] = "gone"
        alone = dict.fromkeys(map(address, stack.gateways), gateway.url.removeprefix("http://"))
        async with front(stack, alone) as well, front(stack, alone | lost) as ill:
            only = [name for name in NAMES if name != "stream"]
            reports = await asyncio.gather(examine(well, only=only, silence=0.2), examine(ill, only=["headers"]))
    assert [faults(report) for report in reports] == [{}, {"headers": "proxy_set_header Authorization"}]
    assert "No key is needed" in told(reports[0], "key").sentence
    unclear = {check.name: check.sentence for check in reports[0].checks if check.verdict == "unknown"}
    assert list(unclear) == ["spread", "takeover"]
    assert "Redis does not say" in unclear["spread"]


async def silent(prompt: Prompt, tally: Tally) -> Events:
    raise AssertionError("nobody chats")
    yield


def test_people_read_which_directive_is_at_fault_and_what_to_write(
    stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACK_KEY", KEY)

    async def read() -> int:
        async with front(stack, BROKEN["buffered"].change) as url:
            words = ["--url", url, "--key-env", "STACK_KEY", "--only", "buffering", "--only", "metrics"]
            return await asyncio.to_thread(doctor.main, words)

    assert asyncio.run(read()) == 1
    page = capsys.readouterr().out
    assert re.search(r"^  FAULT +buffering +nginx collects answers", page, re.MULTILINE)
    assert re.search(r"^ +directive: proxy_buffering$", page, re.MULTILINE)
    assert re.search(r"^ +remedy: +proxy_buffering off;$", page, re.MULTILINE)
    assert re.search(r"^  ok +metrics ", page, re.MULTILINE)
    assert page.endswith("1 fault.\n")


async def test_a_reload_of_nginx_is_seen_to_harm_nothing_or_to_end_streams(stack: Stack) -> None:
    async def reloaded(text: str) -> Report:
        async with listening(text) as (url, nginx):
            watching = asyncio.create_task(examine(url, Secret(KEY), drain_seconds=2.5))
            await asyncio.sleep(0.8)
            nginx.send_signal(signal.SIGHUP)
            return await watching

    right = configuration(stack)
    hasty = re.sub(r"worker_shutdown_timeout \w+;", "worker_shutdown_timeout 200ms;", right)
    well, ill = await asyncio.gather(reloaded(right), reloaded(hasty))
    assert told(well, "drain").verdict == "ok", well
    assert told(well, "drain").figures["streams"] == 2 * GATEWAYS
    assert faults(ill) == {"drain": "worker_shutdown_timeout"}


async def test_a_gateways_planned_end_is_seen_to_harm_nothing_and_its_sudden_one_to_end_streams(stack: Stack) -> None:
    async def watched(part: Part, number: signal.Signals) -> Check:
        watching = asyncio.create_task(examine(stack.url, Secret(KEY), drain_seconds=2.5))
        await asyncio.sleep(0.8)
        os.killpg(os.getpgid(part.pid), number)
        return told(await watching, "drain")

    ended = await watched(stack.gateways[0], signal.SIGTERM)
    assert ended.verdict == "ok", ended
    until(lambda: gone(stack.gateways[0]), why="it was told to end")
    died = await watched(stack.gateways[1], signal.SIGKILL)
    assert (died.verdict, died.directive) == ("fault", ""), "nginx is not to blame"
    assert 0 < died.figures["streams_broken"] < died.figures["streams"]
    assert died.figures["requests_failed"] == 0, "another answers what was not answered yet"


def gone(part: Part) -> bool:
    try:
        os.kill(part.pid, 0)
    except ProcessLookupError:
        return True
    return False
