"""What one process cannot show: four of them on one Redis."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import pytest

from parley.catalog import Limits
from parley.errors import QueueFull
from parley.state.scopes import Amounts
from parley.state.terms import Terms
from tests.shared.state.conftest import replica, upstream
from tests.upstreams.running import ROOT


class Workers:
    """Four processes with the same job, let go at the same moment."""

    def __init__(self, url: str, number: int = 4, module: str = "worker", **job: Any) -> None:
        command = [sys.executable, "-m", f"tests.shared.state.{module}"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
        self.processes = [subprocess.Popen(command, **pipes) for _ in range(number)]
        for process in self.processes:
            process.stdin.write(json.dumps({"url": url, **job}) + "\n")
            process.stdin.flush()
        for process in self.processes:
            assert process.stdout.readline() == "ready\n"

    def go(self) -> None:
        for process in self.processes:
            process.stdin.write("go\n")
            process.stdin.flush()

    def results(self) -> list[dict[str, Any]]:
        return [json.loads(process.communicate(timeout=60)[0]) for process in self.processes]

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


@pytest.fixture
def workers(redis):
    made: list[Workers] = []

    def make(**job: Any) -> Workers:
        made.append(Workers(redis.url, **job))
        return made[-1]

    yield make
    for group in made:
        group.end()


def test_three_credentials_and_three_hundred_requests_of_four_processes_are_a_hundred_each(workers):
    four = workers(upstream={"credentials": 3}, callers=75, each=1, hold=0.0, wait=10)
    four.go()
    results = four.results()
    lent = Counter(alias for result in results for alias, _ in result["leases"])
    assert lent == {"c0": 100, "c1": 100, "c2": 100}
    assert all(len(result["leases"]) == 75 for result in results)


def test_a_limit_of_sixty_admits_exactly_sixty_of_a_thousand(workers):
    four = workers(upstream={"credentials": 1, "per_minute": 60}, callers=50, each=5, hold=0.0, wait=0)
    four.go()
    results = four.results()
    assert sum(len(result["leases"]) for result in results) == 60
    assert sum(len(result["refused"]) for result in results) == 940


def test_no_sliding_window_ever_holds_more_than_its_limit(workers, look):
    window = 0.5
    four = workers(
        upstream={"credentials": 1, "per_minute": 5}, callers=3, each=3, hold=0.0, wait=30, terms={"window": window}
    )
    four.go()
    results = four.results()
    moments = sorted(moment for result in results for _, moment in result["leases"])
    assert len(moments) == 36
    # Measured after the reply, in other processes: a moment of slack for the way back.
    assert all(later - sooner > window - 0.1 for sooner, later in zip(moments, moments[5:], strict=False))
    assert moments[-1] - moments[0] >= 7 * window - 0.1


def test_one_guest_is_made_by_four_processes(workers):
    job = {"callers": 25, "each": 1, "hold": 0.01, "wait": 30, "renews": True}
    four = workers(upstream={"credentials": 0, "guests": 1, "concurrency": 8}, **job)
    four.go()
    results = four.results()
    assert sum(result["renewed"] for result in results) == 1
    assert sum(len(result["leases"]) for result in results) == 100


async def test_a_process_killed_with_leases_loses_them_no_longer_than_their_life(workers, redis):
    life = 1.0
    terms = {"lease": life, "renew_every": 0.3}
    doomed = workers(
        number=1, upstream={"credentials": 1, "concurrency": 3}, callers=3, each=1, hold=60, wait=5, terms=terms
    )
    doomed.go()
    up = upstream(1, concurrency=3)
    async with replica(redis.url, up, terms=Terms(**terms)) as one:
        until = time.monotonic() + 5
        while (await one.vault.snapshot(up)).held < 3:
            assert time.monotonic() < until
        time.sleep(life)  # they are renewed meanwhile
        assert (await one.vault.snapshot(up)).held == 3
        doomed.processes[0].kill()
        began = time.monotonic()
        leases = [await one.lend(up, wait=5) for _ in range(3)]
        assert time.monotonic() - began < life + 0.3
        assert len(leases) == 3
        seen = await one.vault.snapshot(up)
        assert (seen.taken, seen.expired, seen.held) == (6, 3, 3)


def test_each_credential_admits_exactly_its_limit_whichever_process_asks(workers):
    limits = {"requests_per_minute": 25, "requests_per_day": 40}
    four = workers(upstream={"credentials": 3}, limits=limits, callers=25, each=3, hold=0.0, wait=0)
    four.go()
    results = four.results()
    assert Counter(alias for result in results for alias, _ in result["leases"]) == {"c0": 25, "c1": 25, "c2": 25}
    assert sum(len(result["refused"]) for result in results) == 300 - 75


async def test_a_budget_of_a_credential_is_never_overspent_and_all_of_it_is_used(workers, redis):
    """Each takes a tenth of what it reserves, so that more are lent as others end, until the last reservation fits."""
    money = {"budgets": [["money", 1000, "month"]], "reserve": [0, 100], "took": [0, 10]}
    four = workers(upstream={"credentials": 2}, **money, callers=8, each=40, hold=0.002, wait=0)
    four.go()
    results = four.results()
    lent = Counter(alias for result in results for alias, _ in result["leases"])
    async with replica(redis.url) as one:
        full = await one.admission.fullness(["credential:up/c0", "credential:up/c1"])
        spent = [found.spent["money", "month"].amount for found in full.values()]
    assert spent == [10 * lent["c0"], 10 * lent["c1"]]
    assert all(900 < amount <= 1000 for amount in spent)


async def test_places_of_a_killed_process_at_a_credential_come_back_and_what_it_reserved_stays(workers, redis):
    life = 1.0
    terms = {"lease": life, "renew_every": 0.3}
    limits = {"concurrency": 3, "tokens_per_day": 1000}
    doomed = workers(
        number=1,
        upstream={"credentials": 1},
        limits=limits,
        reserve=[100, 0],
        callers=3,
        each=1,
        hold=60,
        wait=5,
        terms=terms,
    )
    doomed.go()
    up = upstream(1, limits=Limits(**limits))
    async with replica(redis.url, up, terms=Terms(**terms)) as one:
        until = time.monotonic() + 5
        while (await one.vault.snapshot(up)).held < 3:
            assert time.monotonic() < until
        await asyncio.sleep(life)  # they are kept meanwhile
        with pytest.raises(QueueFull):
            await one.lend(up)
        doomed.processes[0].kill()
        began = time.monotonic()
        for _ in range(3):
            await one.lend(up, wait=5, reserve=Amounts(200, 0))
        assert time.monotonic() - began < life + 0.3
        (full,) = (await one.admission.fullness(["credential:up/c0"])).values()
        assert (full.day, full.running) == ((6, 900), 3)
