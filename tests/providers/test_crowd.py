"""Nothing is shared between two answers: many streams at once, each with words of its own, compared one by one."""

from __future__ import annotations

import asyncio
import json
import time
from typing import NamedTuple

import aiohttp

from tests.providers.subjects import one_of_each_provider
from tests.providers.world import World
from tests.stack.running import KEY

MANY = 200
WORDS = 3
PAUSE = 0.05
"""Between two pieces of an answer, so that the others have time to come in between."""


class Told(NamedTuple):
    """One answer, and when its first and its last words came."""

    text: str
    first: float
    last: float


@one_of_each_provider
async def test_many_streams_at_once_each_get_their_own_words(world: World, name: str) -> None:
    world.begin(name)
    world.slow_down(name, 0.0, PAUSE)
    subject = world.subjects[name]
    wanted = [f"{n:03}: " + " ".join(f"w{n:03}-{at}" for at in range(WORDS)) for n in range(MANY)]
    body = {"model": f"{name}/{subject.model}", "stream": True, **subject.slowly}
    # The quickest client there is: the official one would need longer than the answers last.
    connector = aiohttp.TCPConnector(limit=MANY)
    async with aiohttp.ClientSession(world.stack.url, connector=connector) as client:
        told = await asyncio.gather(
            *(ask(client, body, f"!say:{text}" if subject.stand_in else text) for text in wanted)
        )
    assert [one.text for one in told] == wanted
    moments = sorted(one.first for one in told)
    together = max(sum(one.first <= at < one.last for one in told) for at in moments)
    assert together >= 10, f"they hardly met: {together} at a time"


async def ask(client: aiohttp.ClientSession, body: dict[str, object], text: str) -> Told:
    """A streamed answer."""
    words: list[str] = []
    first = 0.0
    asked = {**body, "messages": [{"role": "user", "content": text}]}
    headers = {"authorization": f"Bearer {KEY}"}
    async with client.post("/v1/chat/completions", json=asked, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        async for line in answer.content:
            if line.startswith(b"data: {"):
                choices = json.loads(line[6:])["choices"]
                if choices and (said := choices[0]["delta"].get("content")):
                    first = first or time.monotonic()
                    words.append(said)
    return Told("".join(words), first, time.monotonic())
