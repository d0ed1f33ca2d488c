"""Requests of the last hour, found by id; and the audit, in pages."""

from __future__ import annotations

import asyncio
import json

import pytest
import redis as redis_py

from parley.state import keys
from parley.state.recent import Recent
from tests.services.console.conftest import FROM, Console


def record(number: int, request_id: str = "", **more: object) -> bytes:
    attempts = [{"upstream": "openai", "model": "m", "credential": "a", "ms": 1.0, "events": 3}]
    return json.dumps(
        {
            "time": "2026-01-01T00:00:00.000Z", "level": "info", "service": "gateway", "replica": "gateway-1",
            "event": "request", "request_id": request_id or f"request-{number}", "outcome": "done", "status": 200,
            "caller": "alice", "model": "gpt", "attempts": attempts, **more,
        },
        separators=(",", ":"),
    ).encode()  # fmt: skip


async def told(console: Console, *records: bytes) -> None:
    recent = Recent(console.parts.state.line)
    for each in records:
        recent.note(each)
    recent.flush()
    await console.parts.state.line.call("PING")


async def test_a_request_is_found_by_its_id_with_every_attempt(console: Console) -> None:
    tries = [{"upstream": "one", "failure": "x", "next": "y"}, {"upstream": "two"}]
    await told(console, record(1), record(2, attempts=tries), record(3))
    page = await console.get("requests/request-2")
    [found] = page["data"]
    assert found["request_id"] == "request-2"
    assert found["attempts"] == tries
    assert found["record"] == {
        "replica": "gateway-1", "outcome": "done", "status": 200, "caller": "alice", "model": "gpt",
    }  # fmt: skip
    assert (await console.refused("GET", "requests/request-4", 404))["code"] == "not_found"
    assert (await console.refused("GET", "requests/request", 404))["code"] == "not_found"


async def test_an_id_that_was_used_twice_has_two_records(console: Console) -> None:
    await told(console, record(1, "twice"), record(2), record(3, "twice", status=503))
    page = await console.get("requests/twice", limit=1)
    rest = await console.get("requests/twice", after=page["next"])
    assert {row["record"]["status"] for row in page["data"] + rest["data"]} == {200, 503}


async def test_requests_are_listed_the_newest_first_and_by_what_they_were(console: Console) -> None:
    await told(console, *(record(n, caller="alice" if n % 2 else "bob") for n in range(500)))
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = await console.get("requests", limit=130, **after)
        seen += [row["request_id"] for row in page["data"]]
        if not page["has_more"]:
            break
        after = {"after": page["next"]}
    assert seen == [f"request-{n}" for n in reversed(range(500))]
    page = await console.get("requests", caller="bob", limit=2)
    assert [row["request_id"] for row in page["data"]] == ["request-498", "request-496"]
    page = await console.get("requests", caller="bob", limit=2, after=page["next"])
    assert [row["request_id"] for row in page["data"]] == ["request-494", "request-492"]
    for nothing in ({"model": "other"}, {"outcome": "failed"}, {"upstream": "nowhere"}):
        assert (await console.get("requests", **nothing))["data"] == []
    assert len((await console.get("requests", model="gpt", outcome="done", upstream="openai"))["data"]) == 100
    assert (await console.refused("GET", "requests", 400, params={"after": "x"}))["param"] == "after"


async def test_so_many_are_kept_and_none_for_more_than_an_hour(console: Console, look: redis_py.Redis) -> None:
    for start in range(0, 10_600, 200):
        await told(console, *(record(n) for n in range(start, start + 200)))
    assert 10_000 <= look.xlen(keys.REQUESTS) <= 10_200
    assert look.memory_usage(keys.REQUESTS, samples=0) < 10_000_000
    assert 3590 < look.ttl(keys.REQUESTS) <= 3600
    look.delete(keys.REQUESTS)
    look.xadd(keys.REQUESTS, {"record": record(0, "of-long-ago")}, id="1-1")
    await told(console, record(1))
    await console.refused("GET", "requests/of-long-ago", 404)
    assert look.xlen(keys.REQUESTS) == 1


async def test_what_is_noted_alone_is_told_soon_and_what_is_huge_is_not_kept(console: Console) -> None:
    recent = Recent(console.parts.state.line)
    recent.note(record(1))
    recent.note(record(2, text="x" * 20_000))
    recent.note(b"")
    await asyncio.sleep(0.2)
    assert [row["request_id"] for row in (await console.get("requests"))["data"]] == ["request-1"]


async def test_what_was_said_stays_in_the_log(console: Console) -> None:
    contents = {"messages": ["a secret of theirs"], "contents": {"contents": "x" * 20_000}}
    await told(console, record(1, contents=contents), record(2))
    page = await console.get("requests")
    assert [row["request_id"] for row in page["data"]] == ["request-2", "request-1"]
    assert page["data"][1]["attempts"] == page["data"][0]["attempts"]
    assert "theirs" not in str(page)


async def test_the_audit_tells_who_did_what_from_where(console: Console) -> None:
    for seconds in range(1, 6):
        await console.client.post(
            "upstreams/openai/rest", json={"seconds": seconds}, headers={"x-request-id": f"change-no-{seconds}"}
        )
    await console.client.post("sessions/openai/flush")
    first = await console.get("audit", limit=2)
    assert [row["what"] for row in first["data"]] == ["sessions.flush", "upstream.rest"]
    row = first["data"][1]
    assert (row["who"], row["client"], row["on"], row["request_id"]) == ("admin", FROM, "openai", "change-no-5")
    rest = await console.get("audit", after=first["next"])
    assert [row["details"]["seconds"] for row in rest["data"]] == [4, 3, 2, 1]
    assert len((await console.get("audit", what="upstream.rest"))["data"]) == 5
    assert (await console.get("audit", what="up"))["data"] == []


@pytest.mark.parametrize("path", ["audit", "requests"])
async def test_where_nothing_happened_there_is_an_empty_list(console: Console, path: str) -> None:
    assert await console.get(path) == {"object": "list", "data": [], "has_more": False, "next": None}


@pytest.mark.parametrize("path", ["audit", "requests"])
async def test_a_page_may_begin_at_any_number(console: Console, path: str) -> None:
    await told(console, record(1))
    await console.client.post("upstreams/openai/rest", json={"seconds": 1})
    nine = "9" * 20  # greater than any that Redis gives
    for after, found in {"0-0": 0, "000-0": 0, "0-1": 0, f"0-{nine}": 0, f"{nine}-0": 1, f"{nine}-{nine}": 1}.items():
        assert len((await console.get(path, after=after))["data"]) == found, after
