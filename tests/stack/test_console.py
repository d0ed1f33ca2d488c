"""The admin API through the real front: what an operator sees and does reaches every gateway."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.schema import check_error
from tests.stack.running import ADMIN_KEY, KEY, Stack, until

ECHO = "upstreams/echo/credentials/open"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    settings = {"REDIS_PATIENCE_SECONDS": "2", "TRUSTED_PROXIES": "127.0.0.1"}
    with Stack(settings, gateways=2, console=True) as running:
        yield running


@pytest.fixture(scope="module")
def admin(stack: Stack) -> Iterator[httpx.Client]:
    with stack.admin() as client:
        yield client


def told(answer: httpx.Response) -> object:
    assert answer.is_success, answer.text
    return answer.json()


def test_everything_that_lives_is_seen(admin: httpx.Client) -> None:
    def all_there() -> bool:
        return admin.get("status").json()["processes"] == {"console": 1, "gateway": 2, "keeper": 1}

    until(all_there)
    status = admin.get("status").json()
    assert (status["redis"]["status"], status["problems"]) == ("ok", [])
    assert {row["role"] for row in admin.get("processes").json()["data"]} == {"console", "gateway", "keeper"}


def test_the_keys_are_not_each_others(stack: Stack, admin: httpx.Client) -> None:
    answer = admin.get("status", headers={"authorization": f"Bearer {KEY}"})
    assert answer.status_code == 401
    check_error(answer.json())
    models = httpx.get(f"{stack.url}/v1/models", headers={"authorization": f"Bearer {ADMIN_KEY}"})
    assert models.status_code == 401


def test_who_guesses_the_admin_key_is_sent_away_by_address(admin: httpx.Client) -> None:
    def guess(address: str) -> int:
        headers = {"authorization": "Bearer guess", "x-forwarded-for": address}
        return admin.get("status", headers=headers).status_code

    assert [guess("203.0.113.1") for _ in range(11)] == [401] * 10 + [429]
    assert guess("203.0.113.2") == 401
    assert admin.get("status", headers={"x-forwarded-for": "203.0.113.1"}).status_code == 200


def test_a_requests_attempts_are_found_by_the_id_of_its_answer(stack: Stack, admin: httpx.Client) -> None:
    answer = stack.ask("finde mich, größer")
    name = answer.headers["x-request-id"]
    until(lambda: admin.get(f"requests/{name}").status_code == 200)
    [found] = admin.get(f"requests/{name}").json()["data"]
    [attempt] = found["attempts"]
    said = len("finde mich, größer".encode())
    assert (attempt["upstream"], attempt["credential"], attempt["bytes"]) == ("echo", "open", said)
    assert (found["record"]["status"], found["record"]["caller"]) == (200, "master")
    assert "mich" not in json.dumps(found)


def test_who_holds_a_lease_is_seen_while_an_answer_runs(stack: Stack, admin: httpx.Client) -> None:
    said = " ".join(str(number) for number in range(30))
    more = {"metadata": {"echo_delay_ms": "50"}}
    asking = threading.Thread(target=stack.ask, args=(said,), kwargs={"stream": True, **more})
    asking.start()
    try:
        until(lambda: bool(admin.get(ECHO).json()["leases"]))
        [lease] = admin.get(ECHO).json()["leases"]
        assert lease["process"] in {row["name"] for row in admin.get("processes").json()["data"]}
        assert lease["process"].startswith("gateway-")
    finally:
        asking.join()
    until(lambda: not admin.get(ECHO).json()["leases"])


def test_a_credential_that_is_sent_to_rest_is_lent_by_no_gateway(stack: Stack, admin: httpx.Client) -> None:
    told(admin.get(ECHO))
    assert admin.post(f"{ECHO}/rest", json={"seconds": 600, "reason": "maintenance"}).status_code == 204
    refused = [stack.ask("hello") for _ in range(4)]
    assert {answer.status_code for answer in refused} == {503}
    assert admin.delete(f"{ECHO}/rest").status_code == 204
    assert {stack.ask("hello").status_code for _ in range(4)} == {200}
    done = [change["what"] for change in admin.get("audit").json()["data"]]
    assert done[:2] == ["credential.rest.end", "credential.rest"]


def test_what_was_used_is_told_in_sums_and_as_a_table(stack: Stack, admin: httpx.Client) -> None:
    def counted() -> bool:
        rows = admin.get("usage/upstream", params={"name": "echo"}).json()["data"]
        return bool(rows) and rows[0]["requests"] == attempts()

    def attempts() -> int:
        """Those that found a credential; counts may come a second after their answer."""
        return sum(bool(attempt["credential"]) for record in stack.records() for attempt in record["attempts"])

    names = [stack.ask("one two three").headers["x-request-id"] for _ in range(3)]
    until(lambda: all(stack.records(name) for name in names))
    until(counted)
    table = admin.get("usage/upstream", headers={"accept": "text/csv"})
    assert table.headers["content-type"].startswith("text/csv")
    assert f"\necho,{attempts()}," in table.text


def test_a_visit_is_one_line_with_the_requests_id_and_nothing_of_the_inside_is_reached(
    stack: Stack, admin: httpx.Client
) -> None:
    answer = admin.get("status", params={"x": "canary"}, headers={"x-request-id": "console-visit-1"})
    assert answer.headers.get_list("x-request-id") == ["console-visit-1"]
    [console] = stack.consoles
    until(lambda: "console-visit-1" in console.log.read_text())
    [line] = [json.loads(line) for line in console.log.read_text().splitlines() if "console-visit-1" in line]
    assert (line["event"], line["who"], line["client"], line["status"]) == ("admin", "admin", "127.0.0.1", 200)
    assert "canary" not in console.log.read_text()
    for path in ("/metrics", "/admin/metrics", "/admin/../metrics", "/admin/api/v1/../../../metrics"):
        assert httpx.get(f"{stack.url}{path}", headers=admin.headers).status_code == 404


def test_the_doctor_examines_the_front(admin: httpx.Client) -> None:
    report = admin.post("/doctor", timeout=60).raise_for_status().json()
    assert report["verdict"] != "fault", report["checks"]
    assert len(report["gateways"]) > 1 and report["requests"] < 300
    assert {"buffering", "spread", "request-id"} <= {check["name"] for check in report["checks"]}


def test_models_are_served_without_the_console(stack: Stack, admin: httpx.Client) -> None:
    [console] = stack.consoles
    stack.kill(console)
    until(lambda: admin.get("status").status_code == 502)
    check_error(admin.get("status").json())
    assert stack.ask("still here").status_code == 200
