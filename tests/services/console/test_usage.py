"""Usage: sums, series, and CSV."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from parley.chat.events import Usage
from parley.state.meter import Meter
from tests.services.console.conftest import Console


async def used(console: Console, **names: list[tuple[float, Usage | None, int | None, str]]) -> None:
    meter = Meter(console.parts.state.line)
    for name, requests in names.items():
        for took, usage, cost, error in requests:
            meter.add(("key", name), took, took / 2 if usage else None, usage, cost, error=error)
    meter.flush()
    while meter.untold:
        await asyncio.sleep(0.01)


@pytest.fixture
async def busy(console: Console) -> Console:
    await used(
        console,
        alice=[(0.5, Usage(100, 20, cached=10), 1_500_000, ""), (2.0, Usage(7, 3, measured=False), None, "")],
        bob=[(0.2, None, None, "throttled")] * 3 + [(0.2, None, None, "hung_up")],
    )
    return console


async def test_sums_of_every_name_the_most_used_first(busy: Console) -> None:
    page = await busy.get("usage/key")
    assert [row["name"] for row in page["data"]] == ["bob", "alice"]
    bob, alice = page["data"]
    assert (bob["requests"], bob["failed"], bob["errors"]) == (4, 4, {"hung_up": 1, "throttled": 3})
    assert alice["tokens"] == {
        "total": 130, "prompt": 100, "completion": 20, "cached": 10, "reasoning": 0,
        "estimated_prompt": 7, "estimated_completion": 3,
    }  # fmt: skip
    assert (alice["cost"], alice["currency"]) == (1.5, busy.parts.offer.catalog.prices.currency)
    assert (alice["duration"]["count"], alice["duration"]["seconds"], alice["duration"]["mean"]) == (2, 2.5, 1.25)
    assert alice["duration"]["p50"] == 1.0
    assert {bucket["le"]: bucket["count"] for bucket in alice["duration"]["buckets"] if bucket["count"]} == {1: 1, 3: 1}
    assert bob["first_token"]["mean"] is None


@pytest.mark.parametrize(
    ("by", "first"), [("requests", "bob"), ("tokens", "alice"), ("cost", "alice"), ("errors", "bob"), ("name", "alice")]
)
async def test_who_comes_first_is_as_asked_and_pages_keep_that(busy: Console, by: str, first: str) -> None:
    one = await busy.get("usage/key", by=by, limit=1)
    assert [row["name"] for row in one["data"]] == [first]
    two = await busy.get("usage/key", by=by, limit=1, after=one["next"])
    assert {first, two["data"][0]["name"]} == {"alice", "bob"}
    assert two["has_more"] is False


async def test_only_some_names_and_only_some_time(busy: Console) -> None:
    assert [row["name"] for row in (await busy.get("usage/key", name=["alice", "nobody"]))["data"]] == ["alice"]
    hour_ago = datetime.fromtimestamp(time.time() - 3600, UTC)
    for since in (str(time.time() - 3600), hour_ago.isoformat(), hour_ago.replace(tzinfo=None).isoformat()):
        assert len((await busy.get("usage/key", **{"from": since}))["data"]) == 2
        assert (await busy.get("usage/key", **{"from": str(time.time() - 7200), "to": since}))["data"] == []
    assert (await busy.get("usage/model"))["data"] == []


@pytest.mark.parametrize("grain", ["minute", "hour", "day"])
async def test_series_add_up_to_the_sums(busy: Console, grain: str) -> None:
    page = await busy.get("usage/key/series", grain=grain)
    assert [row["name"] for row in page["data"]] == ["alice", "bob"]
    for row in page["data"]:
        assert row["grain"] == grain
        assert sum(point["requests"] for point in row["points"]) == {"alice": 2, "bob": 4}[row["name"]]
        assert all(point["at"] % 60 == 0 and point["at"] <= time.time() for point in row["points"])
    first = await busy.get("usage/key/series", limit=1, grain=grain)
    assert (await busy.get("usage/key/series", after=first["next"], grain=grain))["data"] == page["data"][1:]


async def test_the_grain_fits_the_time_unless_one_is_asked_for(busy: Console) -> None:
    now = time.time()
    for seconds, grain in ((3600, "minute"), (7 * 86_400, "hour"), (90 * 86_400, "day")):
        page = await busy.get("usage/key/series", name="alice", **{"from": str(now - seconds)})
        assert page["data"][0]["grain"] == grain


async def test_the_same_as_csv(busy: Console) -> None:
    answer = await busy.client.get("usage/key", params={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="usage-key.csv"' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["name"], row["requests"], row["failed"]) for row in rows] == [("bob", "4", "4"), ("alice", "2", "0")]
    assert (rows[1]["cost"], rows[1]["duration_mean"], rows[1]["tokens"]) == ("1.5", "1.25", "130")
    assert (rows[0]["error_throttled"], rows[0]["first_token_p50"]) == ("3", "")
    answer = await busy.client.get("usage/key/series", headers={"accept": "text/csv"}, params={"name": "bob"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["name"] for row in rows} == {"bob"}
    assert sum(int(row["requests"]) for row in rows) == 4
    assert all(int(row["at"]) % 60 == 0 for row in rows)
    answer = await busy.client.get("usage/key", headers={"accept": "text/csv"}, params={"format": "json"})
    assert answer.json()["object"] == "list"


async def test_a_callers_name_is_no_formula_in_a_spreadsheet(console: Console) -> None:
    await used(console, **{"=1+1": [(0.1, None, None, "")], 'quo"te, d': [(0.1, None, None, "")]})
    rows = list(csv.DictReader(io.StringIO((await console.client.get("usage/key?format=csv")).text)))
    assert {row["name"] for row in rows} == {"'=1+1", 'quo"te, d'}


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"from": "2026-01-02", "to": "2026-01-01"},
        {"from": "nan"},
        {"to": "inf"},
        {"to": "1e300"},
        {"grain": "week"},
        {"by": "luck"},
        {"format": "xml"},
        {"since": "now"},
        {"from": "-1"},
    ],
)
async def test_what_is_no_question_is_refused(console: Console, query: dict[str, Any]) -> None:
    for path in ("usage/key", "usage/key/series"):
        assert (await console.refused("GET", path, 400, params=query))["code"] == "invalid_value"
    assert (await console.refused("GET", "usage/nobody", 400))["param"] == "subject"
