"""nginx.conf under the real nginx, in both of its renderings, with stand-in replicas behind it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from command import front, ports, programs
from tests.stack.replicas import NameServer, Replica, deaf

ROOT = Path(__file__).parents[2]
ENVELOPE = {"message", "type", "param", "code"}


@dataclass
class Front:
    """A running nginx, a client pointed at it, and what stands behind it."""

    client: aiohttp.ClientSession
    replicas: list[Replica]
    names: NameServer
    port: int
    log: Path
    console: Replica | None = None

    async def ask(self, path: str, method: str = "GET", **more: Any) -> aiohttp.ClientResponse:
        answer = await self.client.request(method, path, **more)
        await answer.read()
        return answer

    async def raw(self, request: bytes) -> tuple[bytes, bytes]:
        """Head and body of the answer to bytes that no decent client would send."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        return head, body

    async def record(self, request_id: str) -> dict[str, Any]:
        """The one line of nginx's log about a request."""
        for _ in range(100):
            lines = [line for line in self.log.read_text().splitlines() if request_id in line and line[0] == "{"]
            if lines:
                assert len(lines) == 1
                return json.loads(lines[0])
            await asyncio.sleep(0.02)
        raise AssertionError(f"no record of {request_id}:\n{self.log.read_text()}")


def words_of_compose(port: int, replica_port: str, names: str, console: str) -> dict[str, str]:
    """What docker-compose.yml tells the nginx image, with the ports and the name server of this test."""
    told = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["nginx"]["environment"]
    plain = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", text) for name, text in told.items()}
    replicas = plain["NGINX_GATEWAYS"].replace("gateway:8000", f"gateway:{replica_port}")
    consoles = plain["NGINX_CONSOLES"].replace("console:8002", f"console:{console.partition(':')[2] or 9}")
    assert "resolve" in replicas
    assert "resolve" in consoles
    assert replica_port in replicas
    # NGINX_LOCAL_RESOLVERS is what the image's entry point finds in /etc/resolv.conf.
    return plain | {
        "NGINX_LISTEN": f"127.0.0.1:{port}",
        "NGINX_GATEWAYS": replicas,
        "NGINX_CONSOLES": consoles,
        "NGINX_LOCAL_RESOLVERS": names,
    }


@asynccontextmanager
async def running(folder: Path, rendering: str, replicas: int = 2, *, console: bool = False, **changed: str):
    async with AsyncExitStack() as stack:
        names = await stack.enter_async_context(NameServer().listening())
        behind = []
        for number in range(replicas):
            # As containers have it: addresses of their own, one port for all.
            port = int(behind[0].address.split(":")[1]) if behind else 0
            replica = Replica(f"replica-{number}")
            behind.append(await stack.enter_async_context(replica.listening(f"127.0.0.{number + 2}", port)))
        desk = await stack.enter_async_context(Replica("console").listening("127.0.0.99")) if console else None
        addresses = [replica.address for replica in behind]
        names.others[b"console"] = [desk.address.split(":")[0]] if desk else []
        names.addresses = [address.split(":")[0] for address in addresses]
        port = ports.free(1)[0]
        if rendering == "docker":
            behind_it = (addresses or ["x:9"])[0].split(":")[1]
            words = words_of_compose(port, behind_it, names.address, desk.address if desk else "")
        else:
            words = front.words(f"127.0.0.1:{port}", addresses or ["127.0.0.2:9"], {}, [desk.address] if desk else [])
        (folder / "nginx.conf").write_text(front.render(front.source(), words | changed))
        log = folder / "log"
        extra = "daemon off;" + (" user root root;" if os.geteuid() == 0 else "")
        with log.open("ab") as output:
            nginx = await asyncio.create_subprocess_exec(
                programs.nginx(), "-p", folder, "-c", "nginx.conf", "-e", "stderr", "-g", extra,
                stdout=output, stderr=output,
            )  # fmt: skip
        try:
            client = await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{port}"))
            # Right after its start nginx may not have asked for the name yet.
            await until_up(client, nginx, log, "/tell" if behind else "/health/front")
            for replica in behind:
                replica.seen.clear()
            yield Front(client, behind, names, port, log, desk)
        finally:
            if nginx.returncode is None:
                nginx.send_signal(signal.SIGTERM)
            await nginx.wait()


async def until_up(client: aiohttp.ClientSession, nginx: asyncio.subprocess.Process, log: Path, path: str) -> None:
    for _ in range(200):
        assert nginx.returncode is None, log.read_text()
        try:
            async with client.get(path) as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientConnectionError:
            pass
        await asyncio.sleep(0.02)
    raise AssertionError(log.read_text())


@pytest.fixture(params=["docker", "make run"])
def rendering(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def door(tmp_path: Path, rendering: str):
    async with running(tmp_path, rendering, MAX_BODY_MB="1", NGINX_READ_TIMEOUT="1s") as it:
        yield it


def assert_refusal(answer: aiohttp.ClientResponse, body: dict[str, Any], status: int, kind: str, code: str) -> None:
    assert answer.status == status
    assert answer.content_type == "application/json"
    assert set(body["error"]) == ENVELOPE
    assert (body["error"]["type"], body["error"]["code"], body["error"]["param"]) == (kind, code, None)
    assert len(body["error"]["message"]) > 10
    assert len(answer.headers.getall("x-request-id")) == 1
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,128}", answer.headers["x-request-id"])


# --- what passes through ------------------------------------------------------------------------------------------


async def test_a_callers_request_id_goes_all_the_way_and_comes_back_once(door: Front) -> None:
    answer = await door.ask("/tell", headers={"X-Request-Id": "my.request-1_A"})
    assert answer.headers.getall("x-request-id") == ["my.request-1_A"]
    assert (await answer.json())["headers"]["x-request-id"] == "my.request-1_A"
    assert (await door.record("my.request-1_A"))["status"] == "200"


@pytest.mark.parametrize("bad", ["short", "x" * 129, "has space", 'quo"te-quote', "new;line;here", "ünïcödé-name"])
async def test_a_request_id_that_could_harm_a_log_is_replaced(door: Front, bad: str) -> None:
    answer = await door.ask("/tell", headers={"X-Request-Id": bad})
    given = answer.headers.getall("x-request-id")
    assert len(given) == 1
    assert re.fullmatch(r"[0-9a-f]{32}", given[0])
    assert (await answer.json())["headers"]["x-request-id"] == given[0]


@pytest.mark.parametrize(
    "target", ["/tell/a%2Fb%3Ac", "/tell//two///slashes", "/tell/%E4%BD%A0?q=%20a+b&c", "/tell/a:b@c"]
)
async def test_the_path_reaches_the_gateway_byte_for_byte(door: Front, target: str) -> None:
    head, body = await door.raw(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert b" 200 " in head
    assert f'"target": "{target}"'.encode() in body


async def test_the_gateway_learns_who_asked_and_how(door: Front) -> None:
    came = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Authorization": "Bearer k"}
    headers = (await (await door.ask("/tell", headers=came)).json())["headers"]
    assert headers["x-forwarded-for"] == "203.0.113.9, 127.0.0.1"
    assert headers["x-real-ip"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["host"] == f"127.0.0.1:{door.port}"
    assert headers["authorization"] == "Bearer k"
    odd = (await (await door.ask("/tell", headers={"X-Forwarded-Proto": "javascript"})).json())["headers"]
    assert odd["x-forwarded-proto"] == "http"


async def test_pieces_arrive_as_they_are_sent_and_uncompressed(door: Front) -> None:
    for _ in range(3):  # a machine that stands still looks like an nginx that collects, but not three times in a row
        arrivals: list[float] = []
        async with door.client.get("/paced", headers={"Accept-Encoding": "gzip"}, auto_decompress=False) as answer:
            assert "content-encoding" not in answer.headers
            assert answer.headers["transfer-encoding"] == "chunked"
            arrivals.extend([time.monotonic() async for _ in answer.content.iter_any()])
        gaps = [after - before for before, after in itertools.pairwise(arrivals)]
        if paced := len(arrivals) >= 10 and max(gaps) < 0.2 and sorted(gaps)[len(gaps) // 2] > 0.03:
            break
    assert paced, gaps


async def test_a_gateways_own_failure_is_final_and_passes_as_it_is(door: Front) -> None:
    answer = await door.ask("/own502", "POST", data=b"{}")
    assert answer.status == 502
    assert await answer.json() == {"error": {"code": "upstream_unreachable"}}
    assert "retry-after" not in answer.headers
    assert len(answer.headers.getall("x-request-id")) == 1
    assert sum(len(replica.seen) for replica in door.replicas) == 1


# --- what nginx refuses itself ------------------------------------------------------------------------------------


async def test_a_body_above_the_limit_is_refused_in_the_envelope(door: Front) -> None:
    async def pieces():
        for _ in range(20):
            yield b"x" * 100_000

    for body in (b"x" * 1_100_000, pieces()):
        answer = await door.ask("/tell", "POST", data=body)
        assert_refusal(answer, await answer.json(), 413, "invalid_request_error", "request_too_large")
    assert "1 MB" in (await answer.json())["error"]["message"]
    assert not any(replica.seen for replica in door.replicas)
    assert (await door.ask("/tell", "POST", data=b"x" * 1_000_000)).status == 200


async def test_a_silent_gateway_is_a_504_in_the_envelope(door: Front) -> None:
    answer = await door.ask("/hold", "POST", data=b"{}")
    assert_refusal(answer, await answer.json(), 504, "server_error", "gateway_timeout")
    assert [len(replica.seen) for replica in door.replicas] == [1, 1], "each was asked once, and none again"


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"GET /tell HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"POST /tell HTTP/1.1\r\nHost: x\r\nContent-Length: nine\r\n\r\n", 400, "bad_request"),
        (b"TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405, "method_not_allowed"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * 70_000 + b"\r\n\r\n", 431, "header_too_large"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\nConnection: close\r\n\r\n", 501, "not_implemented"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404, "unknown_url"),
        (b"GET /x/../metrics/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404, "unknown_url"),
        (b"GET /%6detrics?a=b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404, "unknown_url"),
        (b"GET /v1/..%2fmetrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404, "unknown_url"),
        (b"GET http://x/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404, "unknown_url"),
    ],
)
async def test_what_is_no_proper_request_is_refused_in_the_envelope(
    door: Front, request_bytes: bytes, status: int, code: str
) -> None:
    head, body = await door.raw(request_bytes)
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert head.lower().count(b"x-request-id: ") == 1
    assert b"content-type: application/json" in head.lower()
    assert (b"\r\nallow: get, head, post, options" in head.lower()) == (status == 405)
    error = json.loads(body)["error"]
    assert set(error) == ENVELOPE
    assert error["code"] == code
    assert not any(replica.seen for replica in door.replicas)


async def test_without_any_gateway_nginx_starts_and_says_502_in_the_envelope(tmp_path: Path, rendering: str) -> None:
    async with running(tmp_path, rendering, replicas=0) as door:
        answer = await door.ask("/v1/models", headers={"X-Request-Id": "nobody-is-here"})
        assert_refusal(answer, await answer.json(), 502, "server_error", "bad_gateway")
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["x-request-id"] == "nobody-is-here"


async def test_the_record_has_the_way_of_a_request_and_no_secret(door: Front) -> None:
    headers = {"X-Request-Id": "secretive", "Authorization": "Bearer canary-1", "Cookie": "a=canary-2"}
    await door.ask("/tell/x?api_key=canary-3", "POST", data=b"canary-4", headers=headers)
    record = await door.record("secretive")
    assert record["path"] == "/tell/x"
    assert record["method"] == "POST"
    assert record["gateway"] in {replica.address for replica in door.replicas}
    assert record["gateway_status"] == record["status"] == "200"
    assert float(record["gateway_seconds"]) <= float(record["seconds"]) + 0.01
    assert "canary" not in door.log.read_text()


# --- the console --------------------------------------------------------------------------------------------------


async def test_what_is_under_admin_reaches_the_console_and_nothing_else_does(tmp_path: Path, rendering: str) -> None:
    async with running(tmp_path, rendering, console=True, MAX_BODY_MB="1") as door:
        async with asyncio.timeout(10):  # right after the start its name may not be known yet
            while (await door.ask("/admin")).status != 200:
                await asyncio.sleep(0.05)
        came = {"X-Request-Id": "for-the-console", "X-Forwarded-For": "203.0.113.9", "Authorization": "Bearer k"}
        told = await (await door.ask("/admin/api/v1/x%2Fy?a=b", "PATCH", data=b"{}", headers=came)).json()
        assert (told["replica"], told["method"], told["target"]) == ("console", "PATCH", "/admin/api/v1/x%2Fy?a=b")
        assert told["headers"]["x-request-id"] == "for-the-console"
        assert told["headers"]["x-forwarded-for"] == "203.0.113.9, 127.0.0.1"
        assert told["headers"]["authorization"] == "Bearer k"
        for path in ("/administrator", "/v1/admin", "/tell/admin"):
            assert (await (await door.ask(path)).json())["replica"] != "console"
        answer = await door.ask("/admin/x", "PUT", data=b"x" * 1_100_000)
        assert_refusal(answer, await answer.json(), 413, "invalid_request_error", "request_too_large")


async def test_without_a_console_only_what_is_under_admin_is_refused(door: Front) -> None:
    answer = await door.ask("/admin/api/v1/status")
    assert_refusal(answer, await answer.json(), 502, "server_error", "bad_gateway")
    assert "console" in (await answer.json())["error"]["message"]
    assert not any(replica.seen for replica in door.replicas)
    assert (await door.ask("/tell")).status == 200


# --- replicas that die, hang up, come and go ----------------------------------------------------------------------


async def test_a_post_under_way_on_a_dying_replica_is_asked_again_under_the_same_id(door: Front) -> None:
    for number in range(12):
        dying = number // 6
        door.replicas[dying].gentle, door.replicas[1 - dying].gentle = False, True
        answer = await door.ask("/tell", "POST", data=b"x" * 600_000, headers={"X-Request-Id": f"asked-again-{number}"})
        assert answer.status == 200
        told = await answer.json()
        assert (told["bytes"], told["headers"]["x-request-id"]) == (600_000, f"asked-again-{number}")
    tried_twice = [line for line in door.log.read_text().splitlines() if '"gateway_status":"502, 200"' in line]
    assert len(tried_twice) >= 4


async def test_when_every_replica_breaks_the_request_is_a_502(door: Front) -> None:
    answer = await door.ask("/die", "POST", data=b"{}")
    assert_refusal(answer, await answer.json(), 502, "server_error", "bad_gateway")
    assert [len(replica.seen) for replica in door.replicas] == [2, 2], "two rounds, and no more"


async def test_a_begun_answer_that_breaks_is_broken_for_the_caller_and_not_asked_again(door: Front) -> None:
    got = b""
    with pytest.raises(aiohttp.ClientPayloadError):
        async with door.client.get("/half") as answer:
            assert answer.status == 200
            async for piece in answer.content.iter_any():
                got += piece
    assert got.startswith(b"data: 0\n\n")
    assert sum(len(replica.seen) for replica in door.replicas) == 1


@pytest.mark.parametrize("path", ["/hold", "/paced"])
async def test_a_callers_hang_up_reaches_the_gateway_within_100_ms(door: Front, path: str) -> None:
    for turn in range(3):  # a machine that stands still is late, too, but not three times in a row
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        if path == "/paced":
            await reader.readuntil(b"data: 1")
        else:
            async with asyncio.timeout(10):
                while sum(len(replica.seen) for replica in door.replicas) == turn:
                    await asyncio.sleep(0.02)
        left = time.monotonic()
        writer.close()
        async with asyncio.timeout(10):
            while len(hangups := [moment for replica in door.replicas for moment in replica.hangups]) == turn:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)  # nobody else is asked instead
        assert sum(len(replica.seen) for replica in door.replicas) == len(hangups) == turn + 1
        if soon := max(hangups) - left < 0.1:
            break
    assert soon


async def test_a_new_request_goes_where_less_is_under_way(tmp_path: Path, rendering: str) -> None:
    async with running(tmp_path, rendering) as door:
        held = [asyncio.create_task(door.ask("/hold")) for _ in range(6)]
        await asyncio.sleep(0.3)
        assert [len(replica.seen) for replica in door.replicas] == [3, 3]
        for task in held:
            task.cancel()


async def test_replicas_are_followed_as_their_name_says_without_a_failed_request(tmp_path: Path) -> None:
    async with running(tmp_path, "docker") as door, AsyncExitStack() as more:
        port = int(door.replicas[0].address.split(":")[1])
        answers: list[tuple[int, str]] = []
        over = asyncio.Event()

        async def load() -> None:
            while not over.is_set():
                answer = await door.ask("/tell", "POST", data=b"{}")
                answers.append((answer.status, (await answer.json()).get("replica", "nobody")))
                await asyncio.sleep(0.01)

        loading = [asyncio.create_task(load()) for _ in range(4)]
        await asyncio.sleep(0.3)
        third = await more.enter_async_context(Replica("third").listening("127.0.0.9", port))
        door.names.addresses.append("127.0.0.9")
        async with asyncio.timeout(15):  # a new replica is found within some seconds, with no reload
            while not third.seen:
                await asyncio.sleep(0.05)
        door.names.addresses.remove("127.0.0.2")
        async with asyncio.timeout(15):  # a replica whose name is gone gets nothing more
            before = -1
            while before != len(door.replicas[0].seen):
                before, others = len(door.replicas[0].seen), len(third.seen)
                async with asyncio.timeout(10):
                    while len(third.seen) < others + 50:
                        await asyncio.sleep(0.05)
        over.set()
        await asyncio.gather(*loading)
        assert len(answers) > 100
        assert {status for status, _ in answers} == {200}


async def test_a_request_that_hangs_on_a_vanished_replica_finds_another_though_the_list_changes(tmp_path: Path) -> None:
    async with running(tmp_path, "docker") as door:
        port = int(door.replicas[0].address.split(":")[1])
        statuses: list[int] = []
        over = asyncio.Event()

        async def load() -> None:
            while not over.is_set():
                statuses.append((await door.ask("/tell", "POST", data=b"{}")).status)
                await asyncio.sleep(0.05)

        with deaf("127.0.0.9", port):
            loading = [asyncio.create_task(load()) for _ in range(8)]
            for addresses in (["127.0.0.2", "127.0.0.9"], ["127.0.0.2"], ["127.0.0.3", "127.0.0.9"], ["127.0.0.3"]):
                door.names.addresses = addresses
                await asyncio.sleep(3.5)
            over.set()
            await asyncio.gather(*loading)
        assert '"gateway_status":"504' in door.log.read_text(), "some did hang on it"
        assert " : " in door.log.read_text(), "some needed the second round"
        assert set(statuses) == {200}


async def test_a_request_outlives_its_replica_though_others_came_meanwhile(tmp_path: Path) -> None:
    async with running(tmp_path, "docker", replicas=3) as door:
        door.names.addresses = ["127.0.0.2"]
        async with asyncio.timeout(10):
            while {(await (await door.ask("/tell")).json())["replica"] for _ in range(4)} != {"replica-0"}:
                await asyncio.sleep(0.2)
        door.replicas[0].seen.clear()
        door.replicas[0].gentle = False
        asked = asyncio.create_task(door.ask("/late", "POST", data=b"{}"))
        await asyncio.sleep(0.1)
        door.names.addresses = ["127.0.0.3", "127.0.0.4"]
        answer = await asked
        assert answer.status == 200
        assert (await answer.json())["replica"] != "replica-0"
        assert len(door.replicas[0].seen) == 1


async def test_a_replica_that_fails_all_the_time_rests_and_costs_no_request(door: Front) -> None:
    door.replicas[0].gentle = False
    statuses = [(await door.ask("/tell", "POST", data=b"{}")).status for _ in range(100)]
    assert statuses == [200] * 100
    assert len(door.replicas[0].seen) < 40, "it does not get every second request"
