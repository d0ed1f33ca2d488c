"""Answer: a whole answer, the fold of its events. Streaming is the truth; the unary answer is what it adds up to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from parley.chat.events import Event, Extra, FinishReason, Refused, Stop, Text, Thought, ToolCall, Usage


@dataclass(slots=True)
class Called:
    """One complete tool call."""

    id: str
    name: str
    kind: str
    arguments: list[str] = field(default_factory=list)
    extra_content: dict[str, Any] | None = None


@dataclass(slots=True)
class Choice:
    """One of the answers asked for with `n`."""

    text: list[str] = field(default_factory=list)
    thought: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: list[Called] = field(default_factory=list)
    logprobs: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    finish: FinishReason | None = None


@dataclass(slots=True)
class Answer:
    """What was said, by choice, and what it cost."""

    choices: dict[int, Choice] = field(default_factory=dict)
    usage: Usage | None = None

    def add(self, event: Event) -> None:
        """Take in one event. A ToolCall that breaks the grammar is a programming error and raises IndexError."""
        if isinstance(event, Usage):
            self.usage = event
            return
        choice = self.choices.get(event.choice)
        if choice is None:
            choice = self.choices[event.choice] = Choice()
        match event:
            case Text():
                choice.text.append(event.text)
                if event.logprobs:
                    choice.logprobs = _joined(choice.logprobs, event.logprobs)
            case Thought():
                choice.thought.append(event.text)
            case Refused():
                choice.refusal.append(event.text)
            case ToolCall():
                if event.id is not None:
                    choice.calls.append(Called(event.id, event.name or "", event.kind))
                call = choice.calls[event.index]
                call.arguments.append(event.arguments)
                if event.extra_content:
                    call.extra_content = _joined(call.extra_content, event.extra_content)
            case Extra():
                choice.extra = _joined(choice.extra, event.fields)
            case Stop():
                choice.finish = event.reason

    def words(self) -> Iterator[str]:
        """All that was said, piece by piece: answers, thoughts, refusals, and what calls are given."""
        for choice in self.choices.values():
            yield from choice.text
            yield from choice.thought
            yield from choice.refusal
            for call in choice.calls:
                yield from call.arguments

    @property
    def size(self) -> int:
        """Bytes of all that, in UTF-8."""
        return len("".join(self.words()).encode(errors="replace"))

    @property
    def complete(self) -> bool:
        """Whether at least one choice was given and every one of them ended."""
        return bool(self.choices) and all(choice.finish for choice in self.choices.values())


def fold(events: Iterable[Event]) -> Answer:
    """Add up events to an answer."""
    answer = Answer()
    for event in events:
        answer.add(event)
    return answer


def _joined(old: Any, new: Any) -> Any:
    """Deltas of pass-through fields add up as OpenAI's own: text and lists grow, objects merge."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _joined(old.get(key), value) for key, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list):
        return old + new
    if isinstance(old, str) and isinstance(new, str):
        return old + new
    return new if new is not None else old
