"""Who may enter, what every answer carries, and what the journal says about it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.schema import check_error
from tests.services.console.conftest import FROM, KEY, Console, Consoles

PATHS = ("", "/status", "/credentials", "/nothing/here", "/openapi.json", "/docs")


@pytest.mark.parametrize("path", PATHS)
async def test_without_a_key_in_the_configuration_there_is_no_admin_api(consoles: Consoles, path: str) -> None:
    console = await consoles(ADMIN_KEY="")
    for method in ("GET", "POST", "DELETE"):
        error = await console.refused(method, f"http://console/admin/api/v1{path}", 404)
        assert error["code"] == "unknown_url"
    assert (await console.refused("GET", "http://console/admin", 404))["code"] == "unknown_url"


async def test_without_the_key_what_exists_looks_like_what_does_not(console: Console) -> None:
    for path in ("status", "nothing/here", "../../../admin"):
        for headers in ({"authorization": ""}, {"authorization": KEY}, {"authorization": "Basic eDp5"}):
            assert (await console.refused("GET", path, 401, headers=headers))["code"] == "invalid_api_key"
    answer = await console.client.get("status", headers={"authorization": "Bearer wrong"})
    check_error(answer.json())
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_description_is_open_to_everybody_where_there_is_an_admin_api(console: Console) -> None:
    for path in ("openapi.json", "docs"):
        assert (await console.client.get(path, headers={"authorization": ""})).status_code == 200
        assert (await console.client.head(path, headers={"authorization": ""})).status_code == 200


async def test_who_guesses_is_sent_away_and_who_has_the_key_gets_in_all_the_same(console: Console) -> None:
    guess = {"authorization": "Bearer guess"}
    for _ in range(10):
        await console.refused("GET", "status", 401, headers=guess)
    answer = await console.client.get("status", headers=guess)
    assert answer.status_code == 429
    check_error(answer.json())
    assert 50 <= int(answer.headers["retry-after"]) <= 60
    await console.get("status")
    await console.refused("GET", "status", 401, headers={**guess, "x-forwarded-for": "203.0.113.8"})
    await console.refused("GET", "status", 401, headers={"authorization": ""})  # nobody guessed here


async def test_an_operator_may_allow_more_guesses(consoles: Consoles) -> None:
    console = await consoles(WRONG_KEYS_PER_MINUTE="12")
    for status in (401,) * 12 + (429,):
        await console.refused("GET", "status", status, headers={"authorization": "Bearer guess"})


async def test_guesses_count_over_all_consoles(console: Console, consoles: Consoles) -> None:
    second = await consoles()
    for each in (console, second) * 5:
        await each.refused("GET", "status", 401, headers={"authorization": "Bearer guess"})
    for each in (console, second):
        await each.refused("GET", "status", 429, headers={"authorization": "Bearer guess"})


async def test_every_answer_has_the_requests_id_and_is_kept_by_no_cache(console: Console) -> None:
    asked: list[tuple[str, dict[str, str]]] = [("status", {}), ("nothing", {}), ("status", {"authorization": "x"})]
    for path, headers in asked:
        answer = await console.client.get(path, headers={**headers, "x-request-id": "of-this-very-test"})
        assert answer.headers.get_list("x-request-id") == ["of-this-very-test"]
        assert answer.headers["cache-control"] == "no-store"
    answer = await console.client.get("status", headers={"x-request-id": "short"})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


async def test_a_request_is_one_line_of_the_journal_without_query_or_body(console: Console) -> None:
    await console.client.get("status?secret=canary", headers={"x-request-id": "the-first-one"})
    await console.client.post("status", json={"secret": "canary"}, headers={"authorization": "Bearer canary"})
    await console.client.get("http://console/health/live")
    lines = await console.records()
    assert [line["event"] for line in lines] == ["admin", "admin"]
    facts = [(line["who"], line["method"], line["path"], line["status"], line["outcome"]) for line in lines]
    assert facts == [
        ("admin", "GET", "/admin/api/v1/status", 200, "done"),
        ("", "POST", "/admin/api/v1/status", 401, "refused"),
    ]
    assert lines[0]["request_id"] == "the-first-one"
    assert {line["client"] for line in lines} == {FROM}
    assert all(line["ms"] >= 0 for line in lines)
    assert "canary" not in str(lines)


async def test_what_is_not_here_is_refused_in_the_envelope(console: Console) -> None:
    assert (await console.refused("GET", "nothing", 404))["code"] == "unknown_url"
    answer = await console.client.delete("status")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert (await console.refused("DELETE", "status", 405))["code"] == "method_not_allowed"
    assert (await console.client.options("upstreams/one")).headers["allow"] == "DELETE, GET, PATCH, PUT"
    assert (await console.client.delete("openapi.json")).headers["allow"] == "GET, HEAD"
    assert (await console.client.head("status")).status_code == 200


@pytest.mark.parametrize(
    ("sent", "param", "code"),
    [
        ({"json": {"seconds": 0}}, "seconds", "invalid_value"),
        ({"json": {"seconds": "canary"}}, "seconds", "invalid_value"),
        ({"json": {"seconds": 1, "canary": 2}}, "canary", "invalid_value"),
        ({"json": {"seconds": 1, "reason": "a\nb"}}, "reason", "invalid_value"),
        ({"json": []}, None, "invalid_value"),
        ({"content": b'{"seconds": canary', "headers": {"content-type": "application/json"}}, None, "invalid_json"),
        ({"content": b"\xff\xfe", "headers": {"content-type": "application/json"}}, None, "invalid_json"),
        ({"content": b'{"seconds": 1}'}, None, "invalid_json"),
        ({"data": {"seconds": "1"}}, None, "invalid_json"),
        ({}, None, "invalid_value"),
    ],
)
async def test_what_is_malformed_is_a_400_that_says_where(
    console: Console, sent: dict[str, Any], param: str | None, code: str | None
) -> None:
    error = await console.refused("POST", "upstreams/openai/credentials/a/rest", 400, **sent)
    assert (error["param"], error["code"]) == (param, code)
    assert "canary" not in error["message"].replace("canary:", "")


async def test_a_body_above_the_limit_is_a_413(consoles: Consoles) -> None:
    console = await consoles(MAX_BODY_MB="1")

    async def pieces() -> Any:
        for _ in range(20):
            yield b"x" * 100_000

    for body in (b"x" * 1_100_000, pieces()):
        error = await console.refused("POST", "upstreams/echo/rest", 413, content=body)
        assert error["code"] == "request_too_large"


async def test_health_and_figures_are_for_the_inside(console: Console) -> None:
    inside = {"authorization": ""}
    for path in ("live", "ready"):
        assert (await console.client.get(f"http://console/health/{path}", headers=inside)).status_code == 200
    await console.refused("GET", "http://console/metrics", 404)
    del console.client.headers["x-forwarded-for"]
    page = await console.client.get("http://console/metrics")
    assert "parley_configuration_revision 0\n" in page.text
    assert 'parley_admin_requests_total{method="GET",status="404"} 1\n' in page.text


async def test_a_bug_is_a_500_in_the_envelope_that_names_the_request(console: Console) -> None:
    object.__setattr__(console.parts, "live", None)
    error = await console.refused("GET", "status", 500, headers={"x-request-id": "a-bugs-victim"})
    assert "a-bugs-victim" in error["message"]
