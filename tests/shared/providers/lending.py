"""A provider under test: leases as the vault would lend them, and answers taken to their end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from parley.catalog import Upstream
from parley.chat.answer import Answer, fold
from parley.chat.events import Event
from parley.chat.prompt import Message, Prompt, User
from parley.errors import Failure
from parley.leases import Credential, Lease, Session
from parley.providers import Provider
from parley.sealed import Secret


def credential(parts: Mapping[str, str], **facts: Any) -> Credential:
    return Credential("cred-1", "alias-1", {name: Secret(text) for name, text in parts.items()}, **facts)


def lease(upstream: Upstream, lent: Credential, session: Session | None = None) -> Lease:
    return Lease("lease-1", upstream, lent, session)


def asking(*messages: str | Message, **parameters: Any) -> Prompt:
    """A streamed prompt, unless told otherwise; a bare text is what the user says."""
    said = [User(message) if isinstance(message, str) else message for message in messages]
    return Prompt(messages=said, **{"stream": True, **parameters})


async def answered(provider: Provider, prompt: Prompt, lent: Lease) -> Answer:
    """The whole answer, complete."""
    async with aclosing(provider.stream(prompt, lent)) as events:
        answer = fold([event async for event in events])
    assert answer.complete
    return answer


def said(answer: Answer) -> str:
    return "".join(answer.choices[0].text)


async def failed(provider: Provider, prompt: Prompt, lent: Lease) -> tuple[list[Event], Failure]:
    """What came before the failure, and the failure."""
    events: list[Event] = []
    try:
        async with aclosing(provider.stream(prompt, lent)) as stream:
            async for event in stream:
                events.append(event)  # noqa: PERF401 - what came before counts
    except Failure as failure:
        return events, failure
    raise AssertionError(f"nothing failed: {events}")


async def hung_up_after_the_first_event(provider: Provider, prompt: Prompt, lent: Lease) -> tuple[float, float]:
    """When the caller left, on `time.time()`, and how long leaving took."""
    stream = provider.stream(prompt, lent)
    await anext(stream)
    left = time.time()
    await stream.aclose()
    return left, time.time() - left
