"""What one process cannot show: four gateways on one Redis, and one that is killed."""

from __future__ import annotations

import asyncio
import time

import pytest

from parley.catalog import Budget, Limits
from parley.state.terms import Terms
from tests.shared.state.admitting import KEY, gate
from tests.shared.state.test_processes import Workers


@pytest.fixture
def workers(redis):
    made: list[Workers] = []

    def make(**job) -> Workers:
        made.append(Workers(redis.url, module="admitter", **job))
        return made[-1]

    yield make
    for group in made:
        group.end()


def test_sixty_of_a_thousand_and_ten_of_two_hundred_are_admitted_by_four_processes(workers):
    sixty = {"scope": "key:sixty", "limits": {"requests_per_minute": 60}, "callers": 50, "each": 5}
    ten = {"scope": "key:ten", "limits": {}, "budgets": [["money", 10_500, "month"]], "cost": 1000}
    four = workers(rounds=[sixty, ten | {"callers": 50, "each": 1}])
    four.go()
    results = four.results()
    assert [sum(rounds[nth]["admitted"] for rounds in results) for nth in (0, 1)] == [60, 10]
    assert sum(rounds[0]["OverLimit"] for rounds in results) == 940
    assert sum(rounds[1]["OverBudget"] for rounds in results) == 190


async def test_places_of_a_killed_process_come_back_in_time_and_what_it_reserved_stays_counted(workers, redis):
    life = 1.0
    limits = Limits(concurrency=3, budgets=(Budget("money", 500, "month"),))
    plan = {"scope": KEY, "limits": {"concurrency": 3}, "budgets": [["money", 500, "month"]], "cost": 100}
    doomed = workers(
        number=1, rounds=[plan | {"callers": 3, "each": 1}], hold=60, terms={"lease": life, "renew_every": 0.3}
    )
    doomed.go()
    for _ in range(3):
        assert doomed.processes[0].stdout.readline() == "holding\n"
    async with gate(redis.url, terms=Terms(lease=life)) as one:
        await asyncio.sleep(life + 0.2)
        assert not await one.admits(limits)  # they are kept meanwhile
        doomed.processes[0].kill()
        killed = time.monotonic()
        while not await one.admits(limits, cost=100):
            assert time.monotonic() - killed < life + 0.3
            await asyncio.sleep(0.02)
        full = (await one.admission.fullness([KEY]))[KEY]
        assert full.running == 1
        assert full.spent["money", "month"].amount == 400
