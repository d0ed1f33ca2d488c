"""A real Redis for every test of what Redis remembers, replicas to talk to it, and a look at what they left behind."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import pytest
import redis as redis_py

from parley.catalog import CredentialPlan, PoolPlan, Upstream
from parley.clock import monotonic
from parley.errors import StateUnavailable
from parley.leases import Lease
from parley.sealed import Seal, Secret
from parley.state import keys
from parley.state.admission import Admission
from parley.state.fleet import Fleet, process_name
from parley.state.line import Line
from parley.state.model_lists import ModelLists
from parley.state.pool import Pool
from parley.state.terms import Terms
from parley.state.vault import Vault
from tests.servers import RedisServer

SEAL = Seal(b"a key for tests, long enough")

PATIENT = 1.0
"""Limit of a call in tests that do not measure it: the machine may be busy with other tests."""


def upstream(credentials: int = 3, *, name: str = "up", guests: int = 0, pool: PoolPlan | None = None, **facts: Any):
    plans = [CredentialPlan(f"c{i}", {"value": Secret(f"secret-{i}")}) for i in range(credentials)]
    plans += [CredentialPlan(f"guest-{i}", {}, guest=True) for i in range(guests)]
    return Upstream(name, "echo", "http://upstream.test", tuple(plans), pool=pool, **facts)


@dataclass
class Replica:
    """What a process has of the shared state."""

    line: Line
    vault: Vault
    pool: Pool
    fleet: Fleet
    model_lists: ModelLists
    admission: Admission

    async def lend(self, to: Upstream, wait: float = 0.0, **facts: Any) -> Lease:
        return await self.vault.lend(to, wait_until=monotonic() + wait, **facts)


@asynccontextmanager
async def replica(
    url: str,
    *upstreams: Upstream,
    terms: Terms | None = None,
    limit: float = PATIENT,
    role: str = "gateway",
    seal: Seal = SEAL,
    beat: bool = False,
    **facts: Any,
) -> AsyncIterator[Replica]:
    async with AsyncExitStack() as stack:
        line = Line(Secret(url), process_name(role), limit=limit)
        stack.push_async_callback(line.close)
        await line.open()
        admission = Admission(line, terms=terms)
        admission.open()
        stack.push_async_callback(admission.close)
        vault = Vault(line, seal, terms=terms, admission=admission, **facts)
        lists = ModelLists(line)
        made = Replica(line, vault, Pool(line), Fleet(line, vault, lists, [admission]), lists, admission)
        await vault.open(upstreams)
        stack.push_async_callback(vault.close)
        if beat:
            await made.fleet.open()
            stack.push_async_callback(made.fleet.close)
        yield made


async def recovered(line: Line, seconds: float = 5.0) -> None:
    """Wait until Redis answers (again); the line may not even have noticed yet that it was gone."""
    until = monotonic() + seconds
    while monotonic() < until:
        with contextlib.suppress(StateUnavailable):
            await line.call("PING")
            return
        await line.ready(0.1)
    raise AssertionError(f"Redis did not answer within {seconds} s")


@pytest.fixture(scope="session")
def running_redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis(running_redis: RedisServer) -> Iterator[RedisServer]:
    """An empty Redis; afterwards every key must be on the page of keys, and go away by itself unless it may stay."""
    with redis_py.Redis.from_url(running_redis.url) as client:
        client.flushall()
        yield running_redis
        problems = list(leaks(client))
    assert not problems, problems


class Late(AssertionError):
    """It took longer than it may, and nothing else was wrong."""


def on_a_machine_that_may_stand_still(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Whoever finds itself Late tries again with an empty Redis: no machine stands still three times in a row."""

    @wraps(test)
    async def tried(**fixtures: Any) -> None:
        for _ in range(2):
            try:
                return await test(**fixtures)
            except Late:
                for server in fixtures.values():
                    if isinstance(server, RedisServer):
                        with redis_py.Redis.from_url(server.url) as client:
                            client.flushall()
        return await test(**fixtures)

    return tried


def nobody_waited(slowest: float, bound: float) -> None:
    """Raise Late where somebody did; both in seconds."""
    if slowest >= bound:
        raise Late(f"somebody waited {slowest:.3f} s")


def leaks(client: redis_py.Redis) -> Iterator[str]:
    page = {**{_pattern(key): key for key in keys.OF_AN_UPSTREAM}, **{_global(key): key for key in keys.OF_THE_FLEET}}
    page |= {re.escape(keys.LIMITS) + _global(key): key for key in keys.OF_LIMITS}
    page |= {re.escape(keys.USAGE) + _global(key): key for key in keys.OF_USAGE}
    for name in client.scan_iter():
        text = name.decode()
        known = next((key for pattern, key in page.items() if re.fullmatch(pattern, text)), None)
        if known is None:
            yield f"{text}: not on the page of keys"
            continue
        if (kind := client.type(name).decode()) not in (known.type, "none"):
            yield f"{text}: is a {kind}, should be a {known.type}"
        if known.lifetime is not None and client.pttl(name) == -1:
            yield f"{text}: has no lifetime, should have {known.lifetime}"


def _pattern(key: keys.Key) -> str:
    return r"parley:\{[^}]+\}:" + key.name + (r":[0-9a-f]{12}" if key.each else "")


def _global(key: keys.Key) -> str:
    return key.name + (r":.+" if key.each else "")


@pytest.fixture
def look(redis: RedisServer) -> Iterator[redis_py.Redis]:
    """A plain client, to see what Redis holds."""
    with redis_py.Redis.from_url(redis.url, decode_responses=True) as client:
        yield client
