"""Recorded answers: what their bytes come to, and all the ways in which the network may cut them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from parley.chat.events import Event, ToolCall
from parley.errors import Failure
from parley.providers.body import Body

Told = list[Event | type[Failure]]
"""Events, and the class of the failure that ends them."""

MADE = "call_*"
"""An id that the gateway made."""


def read(body: Body, chunks: Iterable[bytes]) -> Iterator[Event]:
    """An answer, read as providers do it: to the service's own end, or to the body's."""
    for chunk in chunks:
        yield from body.feed(chunk)
        if body.done:
            break
    yield from body.finish()


def told(events: Iterable[Event]) -> Told:
    """Events as they come, and the class of the failure that ends them; made ids made alike."""
    heard: Told = []
    try:
        for event in events:
            if isinstance(event, ToolCall) and event.id and re.fullmatch("call_[0-9a-f]{24}", event.id):
                event.id = MADE
            heard.append(event)
    except Failure as failure:
        heard.append(type(failure))
    return heard


def cuts(data: bytes, step: int = 1) -> Iterator[Sequence[bytes]]:
    """The same bytes in one piece, one by one, and in two pieces at every place, or every `step`th."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(0, len(data) + 1, step):
        yield [data[:at], data[at:]]
