"""A gateway in a process of its own: reads one job as JSON, waits for "go", asks to be admitted, prints what happened.

A job: {"url", "rounds": [{"scope", "limits": {...}, "budgets": [[unit, amount, period], ...], "callers", "each",
"cost"}], "hold": seconds, "terms": {...}}. Of each round it says how many were admitted, and why others were not.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any

from parley.catalog import Budget, Limits
from parley.errors import LimitReached
from parley.state.terms import Terms
from tests.shared.state.admitting import Gate, gate


async def one_round(one: Gate, plan: dict[str, Any], hold: float) -> dict[str, int]:
    limits = Limits(**plan["limits"], budgets=tuple(Budget(*budget) for budget in plan.get("budgets", ())))
    told = Counter({"admitted": 0, "OverLimit": 0, "OverBudget": 0})

    async def caller() -> None:
        for _ in range(plan["each"]):
            try:
                admitted = await one.admit(limits, scope=plan["scope"], cost=plan.get("cost", 0))
            except LimitReached as refused:
                told[type(refused).__name__] += 1
                continue
            told["admitted"] += 1
            if hold:
                print("holding", flush=True)
                await asyncio.sleep(hold)
            one.admission.settle(admitted, 1, plan.get("cost", 0))

    await asyncio.gather(*(caller() for _ in range(plan["callers"])))
    return told


async def main(job: dict[str, Any]) -> list[dict[str, int]]:
    async with gate(job["url"], terms=Terms(**job.get("terms", {})), limit=2.0) as one:
        print("ready", flush=True)
        sys.stdin.readline()
        return [await one_round(one, plan, job.get("hold", 0.0)) for plan in job["rounds"]]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.stdin.readline())))), flush=True)
