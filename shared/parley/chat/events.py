"""Event: a piece of an answer.

Grammar, per choice:   (Text | Thought | Refused | ToolCall | Extra)*  Stop         and once per answer:   Usage?

* A failure is an exception, never an event.
* The first ToolCall of an index carries `id` and `name`; the following ones of that index only `arguments`.
  Indexes start at 0 and have no gaps. Dialects repair what upstreams send (`upstreams/openai.md` section 2.3).
* Stop says what the upstream said (or what the gateway itself enforced). Nobody invents one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Literal

from msgspec import Struct

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Text(Struct):
    """Words of the answer."""

    text: str
    choice: int = 0
    logprobs: dict[str, Any] | None = None


class Thought(Struct):
    """Words of the model's reasoning, kept apart from the answer."""

    text: str
    choice: int = 0


class Refused(Struct):
    """Words with which the model declines."""

    text: str
    choice: int = 0


class ToolCall(Struct):
    """A piece of a tool call; `arguments` is a fragment of JSON text (or of a custom tool's input)."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    kind: Literal["function", "custom"] = "function"
    choice: int = 0
    extra_content: dict[str, Any] | None = None
    """What the upstream wants to have back beside this call in the next question (`upstreams/gemini.md` section 4)."""


class Extra(Struct):
    """Fields of a delta that we only pass on: `audio`, `annotations`, and Azure's `context`."""

    fields: dict[str, Any]
    choice: int = 0


class Usage(Struct):
    """Tokens used. `measured` is False when the gateway counted them itself."""

    prompt: int
    completion: int
    measured: bool = True
    cached: int = 0
    reasoning: int = 0


class Stop(Struct):
    """The end of one choice, and why."""

    reason: FinishReason
    choice: int = 0


Event = Text | Thought | Refused | ToolCall | Extra | Usage | Stop
Events = AsyncGenerator[Event, None]
