"""The keeper's page for Prometheus."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from keeper.figures import Figures
from keeper.page import served
from keeper.rounds import rounds
from parley.errors import Unreachable

STATUS: dict[str, Any] = {
    "redis": {"status": "ok", "since": 1.0},
    "processes": ["gateway-h-1-a", "gateway-h-2-b", "keeper-h-3-c"],
    "leases": 0,
    "upstreams": {
        "east": {
            "resting": {"reason": "upstream_unreachable", "seconds": 3.0},
            "waiting": 4,
            "leases": 2,
            "sessions": {"ready": 5, "to_close": 1},
            "credentials": [
                {"alias": "secret-alias", "state": "ok"},
                {"alias": "b", "state": "resting"},
                {"alias": "c", "state": "ok"},
            ],
        },
        "never-seen": None,
    },
}


def samples(page: bytes) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_what_the_fleet_shares_is_told() -> None:
    figures = Figures(lambda: STATUS, lambda: True)
    found = samples(figures.page())
    assert found["parley_keeper_baton",] == 1
    assert found["parley_redis_up",] == 1
    assert (found["parley_processes", "gateway"], found["parley_processes", "keeper"]) == (2, 1)
    assert found["parley_upstream_resting", "east"] == 1
    assert found["parley_upstream_waiting", "east"] == 4
    assert found["parley_upstream_leases", "east"] == 2
    assert (found["parley_upstream_sessions_ready", "east"], found["parley_upstream_sessions_to_close", "east"]) == (
        5,
        1,
    )
    assert (found["parley_credentials", "east", "ok"], found["parley_credentials", "east", "resting"]) == (2, 1)
    assert b"never-seen" not in figures.page()
    assert b"secret-alias" not in figures.page()


async def test_rounds_are_counted_with_how_they_ended() -> None:
    figures = Figures(lambda: STATUS, lambda: False)
    ends = iter([None, Unreachable("gone"), ValueError("a bug")])
    done = asyncio.Event()

    async def once() -> None:
        end = next(ends, done)
        if isinstance(end, Exception):
            raise end
        if end is done:
            done.set()
            await asyncio.sleep(60)

    def ended(failed: bool) -> None:
        figures.went_round("probe", "east", failed)

    looping = asyncio.create_task(rounds("probe east", 0.01, once, ended))
    async with asyncio.timeout(20):
        await done.wait()
    looping.cancel()
    found = samples(figures.page())
    assert found["parley_keeper_rounds_total", "probe", "east", "done"] == 1
    assert found["parley_keeper_rounds_total", "probe", "east", "failed"] == 2


async def test_the_page_is_served_and_nothing_else() -> None:
    async with served(lambda: b"parley 1\n", "127.0.0.1:0") as address, httpx.AsyncClient() as client:
        assert address is not None
        url = f"http://127.0.0.1:{address[1]}"
        page = await client.get(f"{url}/metrics?x=1")
        assert (page.status_code, page.text) == (200, "parley 1\n")
        assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        head = await client.head(f"{url}/metrics")
        assert (head.status_code, head.text, head.headers["content-length"]) == (200, "", "9")
        assert (await client.get(f"{url}/")).status_code == 404
        assert (await client.post(f"{url}/metrics")).status_code == 404
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"x" * 20_000)
        assert await reader.read() == b""  # no client of HTTP
        writer.close()
        assert (await client.get(f"{url}/metrics")).status_code == 200


@pytest.mark.parametrize("bind", ["192.0.2.1:8001", "nonsense"])
async def test_a_keeper_that_cannot_listen_keeps_all_the_same(bind: str) -> None:
    async with served(lambda: b"", bind) as address:
        assert address is None
