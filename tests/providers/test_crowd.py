"""Nothing is shared between two answers: many streams at once, each with words of its own, compared one by one."""

from __future__ import annotations

import asyncio
import json
import time
from typing import NamedTuple

import httpx

from tests.providers.subjects import one_of_each
from tests.providers.world import World
from tests.stack.running import KEY

MANY = 200
WORDS = 6
PAUSE = 0.05
"""Between two pieces of an answer, so that the others have time to come in between."""


class Told(NamedTuple):
    """One answer, and when its first and its last words came."""

    text: str
    first: float
    last: float


@one_of_each
async def test_many_streams_at_once_each_get_their_own_words(world: World, name: str) -> None:
    world.begin(name)
    world.slow_down(name, 0.0, PAUSE)
    subject = world.subjects[name]
    wanted = [f"{n:03}: " + " ".join(f"w{n:03}-{at}" for at in range(WORDS)) for n in range(MANY)]
    body = {"model": f"{name}/{subject.model}", "stream": True, **subject.slowly}
    limits = httpx.Limits(max_connections=MANY)
    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as client:
        told = await asyncio.gather(
            *(ask(client, world.stack.url, body, f"!say:{text}" if subject.stand_in else text) for text in wanted)
        )
    assert [one.text for one in told] == wanted
    moments = sorted(one.first for one in told)
    together = max(sum(one.first <= at < one.last for one in told) for at in moments)
    assert together >= 10, f"they hardly met: {together} at a time"


async def ask(client: httpx.AsyncClient, url: str, body: dict[str, object], text: str) -> Told:
    """A streamed answer, by hand: the official client would need longer than they last."""
    words: list[str] = []
    first = 0.0
    asked = {**body, "messages": [{"role": "user", "content": text}]}
    headers = {"authorization": f"Bearer {KEY}"}
    async with client.stream("POST", f"{url}/v1/chat/completions", json=asked, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                choices = json.loads(line[6:])["choices"]
                if choices and (said := choices[0]["delta"].get("content")):
                    first = first or time.monotonic()
                    words.append(said)
    return Told("".join(words), first, time.monotonic())
