"""Limits and keys while Redis is frozen: nobody waits, no limit is passed, and what may be revoked fails closed."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from functools import partial
from statistics import median

import httpx
import pytest

from parley.configuration.keys import digest, new_key
from parley.sealed import Seal, Secret, master_key
from parley.state.line import Line
from parley.state.revisions import Revisions
from tests.stack.running import KEY, Stack, until

ALICE = "key-of-alice-for-these-tests"
CAROL = "key-of-carol-for-these-tests"
DORA = "key-of-dora-for-these-tests"
OTHERS = ("key-of-erin-for-these-tests", "key-of-finn-for-these-tests")
FILE = f"""
keys:
  - {{name: alice, key: {ALICE}, limits: {{requests_per_minute: 60}}}}
  - {{name: carol, key: {CAROL}}}
  - {{name: dora, key: {DORA}, limits: {{requests_per_minute: 60}}}}
  - {{name: erin, key: {OTHERS[0]}, limits: {{requests_per_minute: 60}}}}
  - {{name: finn, key: {OTHERS[1]}, limits: {{requests_per_minute: 60}}}}
"""
PATIENCE, BLIND = 0.05, 3.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    settings = {"REDIS_PATIENCE_SECONDS": str(PATIENCE), "REVOCATION_SECONDS": str(BLIND)}
    with Stack(settings, files={"parley.yaml": FILE}) as stack:
        yield stack


def issue(stack: Stack, name: str) -> str:
    """A key, as the console issues it."""
    key = new_key()
    entry = {"prefix": key[:18], "hash": digest(key), "created": time.time()}

    async def write() -> None:
        line = Line(Secret(stack.redis_url), "test-issuer", limit=2)
        await line.open()
        try:
            revisions = Revisions(line, Seal(master_key(None, stack.folder / "state")))
            await revisions.write({"keys": {name: entry}}, upon=0, who="test", what="issues a key")
        finally:
            await line.close()

    asyncio.run(write())
    return key


async def burst(stack: Stack, key: str, count: int, midway: asyncio.Event) -> list[tuple[int, float, float]]:
    """Status, seconds and end of each, twelve at a time; `midway` is set when a third is over."""
    over = 0
    turns = asyncio.Semaphore(12)
    body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
    async with httpx.AsyncClient(
        base_url=stack.url, headers={"authorization": f"Bearer {key}"}, timeout=30,
        limits=httpx.Limits(max_connections=12),
    ) as client:  # fmt: skip

        async def one() -> tuple[int, float, float]:
            nonlocal over
            async with turns:
                began = time.monotonic()
                status = (await client.post("/v1/chat/completions", json=body)).status_code
                over += 1
                if over == count // 3:
                    midway.set()
                ended = time.monotonic()
                return status, ended - began, ended

        return await asyncio.gather(*(one() for _ in range(count)))


async def test_redis_frozen_in_mid_burst_passes_no_limit_and_keeps_nobody_waiting(stack: Stack) -> None:
    await burst(stack, KEY, 30, asyncio.Event())
    usual = [seconds for _, seconds, _ in await burst(stack, KEY, 300, asyncio.Event())]
    # A machine that stands still for a second looks like a gateway that waits, but not three times in a row.
    for key in (ALICE, *OTHERS):
        frozen = await frozen_in_mid_burst(stack, key)
        # One call of each gateway waits its patience, and no other after it; the rest is the machine's own unrest.
        assert median(frozen) < median(usual) * 1.5 + PATIENCE
        if calm := max(frozen) < max(usual) * 2 + 0.1:
            break
    assert calm, "somebody waited, every time"


async def frozen_in_mid_burst(stack: Stack, key: str) -> list[float]:
    """How long each of 300 requests took, Redis being frozen after the first 100; of 60 allowed none is passed."""
    assert stack.redis is not None
    midway = asyncio.Event()
    asking = asyncio.create_task(burst(stack, key, 300, midway))
    await midway.wait()
    frozen_at = time.monotonic()
    stack.signal(stack.redis, signal.SIGSTOP)
    try:
        answers = await asking
    finally:
        stack.signal(stack.redis, signal.SIGCONT)
    assert {status for status, *_ in answers} <= {200, 429}
    served = sum(status == 200 for status, *_ in answers)
    # A gateway knows what all admitted as of its last look, a second ago at most; and what it admitted itself since.
    unknown = sum(status == 200 and frozen_at - 1.2 < ended < frozen_at for status, _, ended in answers)
    assert 0 < served <= 60 + unknown
    until(lambda: httpx.get(f"{stack.url}/health/ready").json()["status"] == "ok", why="it did not recover")
    later = [status for status, *_ in await burst(stack, key, 100, asyncio.Event())]
    assert served + later.count(200) <= 60 + unknown, "what was admitted meanwhile is known again"
    return [seconds for _, seconds, _ in answers]


async def test_what_every_gateway_has_seen_is_divided_exactly(stack: Stack) -> None:
    """30 of 60 are used when Redis freezes, and all gateways looked since: what is left is never passed."""
    assert stack.redis is not None
    used = [status for status, *_ in await burst(stack, DORA, 30, asyncio.Event())]
    assert used == [200] * 30
    await asyncio.sleep(2.5)
    stack.signal(stack.redis, signal.SIGSTOP)
    try:
        more = [status for status, *_ in await burst(stack, DORA, 200, asyncio.Event())]
    finally:
        stack.signal(stack.redis, signal.SIGCONT)
    assert 20 <= more.count(200) <= 30
    until(lambda: httpx.get(f"{stack.url}/health/ready").json()["status"] == "ok", why="it did not recover")


def test_who_cannot_hear_of_revocations_refuses_issued_keys_after_a_stated_time(stack: Stack) -> None:
    assert stack.redis is not None
    bob = issue(stack, "bob")

    def status(key: str, front: str | None = stack.url) -> int:
        body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
        headers = {"authorization": f"Bearer {key}"}
        return httpx.post(f"{front}/v1/chat/completions", json=body, headers=headers, timeout=30).status_code

    def in_force(front: str | None) -> bool:
        return status(bob, front) == 200

    for gateway in stack.gateways:  # each hears of it by itself
        until(partial(in_force, gateway.url), why="the issued key never came in force")
    stack.signal(stack.redis, signal.SIGSTOP)
    try:
        assert status(bob) == 200, "for a while it is believed"
        seconds = until(lambda: status(bob) == 503, why="it is believed for ever")
        assert seconds < BLIND + 2
        assert status(KEY) == status(CAROL) == 200, "keys that nobody can revoke meanwhile go on"
    finally:
        stack.signal(stack.redis, signal.SIGCONT)
    until(partial(in_force, stack.url), why="it never came back")
