"""Echo: says the last user message back, token by token. The demo without keys, and the example to copy.

Any OpenAI client can ask it to be slow, through the request's `metadata`:

    "echo_first_ms": "90000"    milliseconds before the first token
    "echo_delay_ms": "50"       milliseconds before each following token
"""

from __future__ import annotations

import re
from typing import Final

from parley.catalog import Upstream
from parley.chat.demands import KNOBS, Feature
from parley.chat.events import Events, Stop, Text, Usage
from parley.chat.prompt import Prompt, User, text_of
from parley.clock import sleep
from parley.errors import BadRequest
from parley.leases import Lease
from parley.transports import Net

_LONGEST_PAUSE: Final = 600_000  # milliseconds
_TOKEN: Final = re.compile(r"\s*(?:\w+|[^\w\s])|\s+$")
"""Its tokens are words and signs, with the space before them: it is a small model."""


class Echo:
    """Needs no credential and no network."""

    features: frozenset[Feature] = frozenset({"usage"})
    drops: frozenset[str] = frozenset(KNOBS) - {"metadata"}

    def __init__(self, upstream: Upstream, net: Net) -> None:
        pass

    async def stream(self, prompt: Prompt, lease: Lease) -> Events:
        """Say the last user message back. Raises BadRequest when there is none, or for a pause that is no number."""
        said = next((text_of(m.content) for m in reversed(prompt.messages) if isinstance(m, User)), "")
        if not said:
            raise BadRequest("There is no user message to say back.", param="messages", code="invalid_value")
        first, each = _pause(prompt, "echo_first_ms"), _pause(prompt, "echo_delay_ms")
        if first:
            await sleep(first)
        pieces = _TOKEN.findall(said)
        for position, piece in enumerate(pieces):
            if each and position:
                await sleep(each)
            yield Text(piece)
        yield Stop("stop")
        yield Usage(sum(len(_TOKEN.findall(text_of(m.content))) for m in prompt.messages), len(pieces))


def _pause(prompt: Prompt, name: str) -> float:
    """A pause in seconds."""
    text = (prompt.metadata or {}).get(name, "0")
    if not (text.isascii() and text.isdigit()) or int(text) > _LONGEST_PAUSE:
        message = f"'{name}' must be milliseconds, from 0 to {_LONGEST_PAUSE}."
        raise BadRequest(message, param=f"metadata.{name}", code="invalid_value")
    return int(text) / 1000
