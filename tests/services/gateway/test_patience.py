"""How long an upstream may keep us waiting, and that only its own silence counts."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from gateway.patience import patiently
from parley.catalog import Timeouts, Upstream
from parley.chat.events import Event, Stop, Text
from parley.errors import AnswerTimeout, FirstTokenTimeout, UpstreamStalled
from parley.leases import Credential, Lease


def lease() -> Lease:
    return Lease("l", Upstream("u", "echo"), Credential("c", "c", {}))


async def speaker(*script: float | str) -> AsyncGenerator[Event, None]:
    for step in script:
        if isinstance(step, str):
            yield Text(step)
        else:
            await asyncio.sleep(step)
    yield Stop("stop")


async def heard(timeouts: Timeouts, *script: float | str) -> list[Event]:
    return [event async for event in patiently(speaker(*script), timeouts, lease())]


async def test_an_answer_in_time_passes_whole() -> None:
    assert await heard(Timeouts(), "a", 0.01, "b") == [Text("a"), Text("b"), Stop("stop")]


async def test_no_first_token_is_a_timeout_of_its_own() -> None:
    with pytest.raises(FirstTokenTimeout):
        await heard(Timeouts(first_token=0.05), 5.0, "late")


async def test_silence_after_a_token_is_a_stall() -> None:
    with pytest.raises(UpstreamStalled) as stalled:
        await heard(Timeouts(between_tokens=0.05), "a", 5.0, "b")
    assert stalled.value.code == "upstream_stalled"


async def test_an_answer_that_never_ends_is_cut_off() -> None:
    with pytest.raises(AnswerTimeout):
        await heard(Timeouts(total=0.2), *[x for _ in range(100) for x in ("a", 0.02)])


async def test_a_slow_caller_is_not_the_upstreams_silence() -> None:
    events = patiently(speaker("a", "b"), Timeouts(between_tokens=0.05), lease())
    got = []
    async for event in events:
        got.append(event)
        await asyncio.sleep(0.1)
    assert got[-1] == Stop("stop")


async def test_signs_of_life_count_though_wordless() -> None:
    held = lease()

    async def alive() -> AsyncGenerator[Event, None]:
        for _ in range(6):
            await asyncio.sleep(0.03)
            held.active = asyncio.get_running_loop().time()
        yield Stop("stop")

    assert [e async for e in patiently(alive(), Timeouts(first_token=0.06), held)] == [Stop("stop")]


async def test_a_hang_up_is_a_cancellation_and_closes_the_upstream() -> None:
    closed = asyncio.Event()

    async def upstream() -> AsyncGenerator[Event, None]:
        try:
            yield Text("a")
            await asyncio.sleep(10)
        finally:
            closed.set()

    async def caller() -> None:
        async for _ in patiently(upstream(), Timeouts(), lease()):
            pass

    task = asyncio.create_task(caller())
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()
