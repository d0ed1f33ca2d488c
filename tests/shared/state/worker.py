"""A replica in a process of its own: reads one job as JSON, waits for "go", does it, prints what it saw.

A job: {"url", "upstream": {...facts}, "callers", "each", "hold": seconds, "wait": seconds, "renews": bool, "terms",
"limits": {...} and "budgets": [[unit, amount, period], ...] of each credential, "reserve" and "took": [tokens, cost]}.
Each lease is reported as [credential's alias, moment].
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from parley.catalog import Budget, Limits
from parley.errors import Failure
from parley.leases import Credential, Renewal
from parley.sealed import Secret
from parley.state.scopes import Amounts
from parley.state.terms import Terms
from tests.shared.state.conftest import replica, upstream


async def main(job: dict[str, Any]) -> dict[str, Any]:
    limits = Limits(**job.get("limits", {}), budgets=tuple(Budget(*budget) for budget in job.get("budgets", ())))
    up = upstream(**job["upstream"], limits=limits)
    reserve, took = Amounts(*job.get("reserve", (0, 0))), job.get("took", (0, 0))
    leases: list[tuple[str, float]] = []
    refused: list[str] = []
    renewed = 0

    async def renew(credential: Credential) -> Renewal:
        nonlocal renewed
        renewed += 1
        await asyncio.sleep(0.1)
        return Renewal({"value": Secret("guest")})

    async with replica(job["url"], up, terms=Terms(**job.get("terms", {})), limit=2.0) as one:
        print("ready", flush=True)
        sys.stdin.readline()

        async def caller() -> None:
            for _ in range(job["each"]):
                try:
                    lease = await one.lend(
                        up, wait=job["wait"], renew=renew if job.get("renews") else None, reserve=reserve
                    )
                except Failure as failure:
                    refused.append(type(failure).__name__)
                    continue
                leases.append((lease.credential.alias, time.time()))
                await asyncio.sleep(job["hold"])
                one.vault.give_back(lease, None)
                one.admission.settle(lease, *took)

        await asyncio.gather(*(caller() for _ in range(job["callers"])))
    return {"leases": leases, "refused": refused, "renewed": renewed}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.stdin.readline())))), flush=True)
