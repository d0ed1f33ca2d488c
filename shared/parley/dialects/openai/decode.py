"""Chunks into events, with everything repaired that services get wrong (`upstreams/openai.md` sections 2.3 and 5)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from parley.chat.events import Event, Extra, FinishReason, Refused, Stop, Text, Thought, ToolCall, Usage
from parley.dialects.openai.refusals import NO_VERDICTS, Verdict, failure_said
from parley.errors import Failure, UpstreamBroken, UpstreamEmpty, UpstreamMalformed, UpstreamOverloaded

_FINISH: Final[dict[str, FinishReason]] = {
    **dict.fromkeys(("stop", "eos_token", "eos", "stop_sequence", "end_turn"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length"), "length"),
    "model_context_window_exceeded": "length",
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use", "function_call"), "tool_calls"),
    **dict.fromkeys(("content_filter", "sensitive", "safety", "recitation"), "content_filter"),
}
_FAILED: Final[dict[str, Callable[[str], Failure]]] = {
    "error": UpstreamBroken,  # OpenRouter
    "insufficient_system_resource": UpstreamOverloaded,  # DeepSeek
    "network_error": UpstreamBroken,  # Zhipu
}
"""Finish reasons that are none: the answer broke off, and this is how the service says so."""
_EXTRAS: Final = ("audio", "annotations", "context")  # the last: what Azure found in its caller's own data
DONE: Final = b"[DONE]"


def failure_in(chunk: dict[str, Any], verdicts: Mapping[str, Verdict] = NO_VERDICTS) -> Failure | None:
    """The failure that a chunk says in the place of words."""
    return failure_said(chunk, verdicts) if chunk.get("error") or chunk.get("object") == "error" else None


_default = failure_in


@dataclass(slots=True)
class _Choice:
    """What is remembered of one choice: its open calls, and whether it ended."""

    calls: list[str] = field(default_factory=list)
    """Our ids, by our index."""
    theirs: list[str] = field(default_factory=list)
    """What the service calls them, by our index: some give the same id to two calls."""
    places: dict[object, int] = field(default_factory=dict)
    """Our index by what the service calls the call: its index, or its id."""
    finish: FinishReason | None = None


class _Words(Struct, forbid_unknown_fields=True):
    """A delta that is nothing but words."""

    content: str
    role: str | None = None
    refusal: None = None
    reasoning_content: None = None
    reasoning: None = None
    tool_calls: None = None
    function_call: None = None


class _Spoken(Struct, forbid_unknown_fields=True):
    delta: _Words
    index: int = 0
    logprobs: None = None
    finish_reason: None = None


class _Plain(Struct):
    """What nearly every chunk of nearly every stream is: a few words of one choice."""

    choices: tuple[_Spoken]
    usage: None = None
    error: None = None
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


_plain = msgspec.json.Decoder(_Plain).decode
_MOST_MISSES: Final = 8
"""Chunks that are something else, before a stream is taken for one of those whose chunks always are."""


class Decoder:
    """Reads one answer. `feed` takes the data of one event, `finish` the end of the body.

    `failure_in` finds the failure that a chunk says in the place of words, for services with codes of their own.
    """

    def __init__(self, failure_in: Callable[[dict[str, Any]], Failure | None] = failure_in) -> None:
        self._failure_in = failure_in
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None
        self._misses = 0 if failure_in is _default else _MOST_MISSES
        self.done = False
        """The service said `[DONE]`; nothing after it counts."""

    def feed(self, payload: bytes) -> list[Event]:
        """Events of one payload. Raises Failure when it says one, UpstreamMalformed when it says nothing sensible."""
        if self.done:
            return []
        if self._misses < _MOST_MISSES:
            try:
                (spoken,) = _plain(payload).choices
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._misses += 1  # an end, a tool call, a mistake: read with care, below
            else:
                choice = self._choices.get(spoken.index)
                if choice is None:
                    choice = self._choices[spoken.index] = _Choice()
                content = spoken.delta.content
                return [Text(content, spoken.index)] if content and choice.finish is None else []
        if payload.lstrip().startswith(DONE):
            self.done = True
            return []
        try:
            chunk = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise UpstreamMalformed("The upstream sent a chunk that is not JSON.") from problem
        if not isinstance(chunk, dict):
            raise UpstreamMalformed("The upstream sent a chunk that is not an object.")
        try:
            if (failure := self._failure_in(chunk)) is not None:
                raise failure
            return self._chunk(chunk)
        except (TypeError, ValueError, AttributeError, KeyError) as problem:
            raise UpstreamMalformed("The upstream sent a chunk of an unknown shape.") from problem

    def finish(self) -> list[Event]:
        """What remains to be said when the body has ended: the usage. Whether the answer is complete, Stops tell.

        Raises UpstreamEmpty when no choice ever spoke.
        """
        if not self._choices:
            raise UpstreamEmpty("The upstream's answer is empty.")
        return [self._usage] if self._usage is not None else []

    def _chunk(self, chunk: dict[str, Any]) -> list[Event]:
        self._count(chunk.get("usage"), chunk)
        events: list[Event] = []
        for position, given in enumerate(chunk.get("choices") or ()):
            index = given.get("index")
            self._choice(given, index if isinstance(index, int) else position, events)
        return events

    def _count(self, usage: dict[str, Any] | None, chunk: dict[str, Any]) -> None:
        """The last usage counts: some services send it with every chunk, and it grows."""
        if usage is not None:
            self._usage = _usage(usage, chunk.get("timings") or {}) or self._usage

    def _choice(self, given: dict[str, Any], index: int, events: list[Event]) -> None:
        self._count(given.get("usage"), given)  # Moonshot's place for it
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice()
        if choice.finish is not None:
            return  # several finish reasons, or words after the end: the first end counts
        # A whole completion where a stream was asked for has `message` in the place of `delta`.
        delta = given.get("delta") or given.get("message")
        logprobs = given.get("logprobs")
        if not (isinstance(logprobs, dict) and any(logprobs.values())):
            logprobs = None
        if delta or logprobs:
            self._delta(delta or {}, logprobs, index, choice, events)
        if reason := given.get("finish_reason"):
            finish = _FINISH.get(reason.lower())
            if finish is None:
                if failed := _FAILED.get(reason):
                    raise failed("The upstream broke its answer off.")
                raise UpstreamMalformed("The upstream ended its answer for an unknown reason.")
            if choice.calls and finish == "stop":
                finish = "tool_calls"
            choice.finish = finish
            events.append(Stop(finish, index))

    def _delta(
        self, delta: dict[str, Any], logprobs: dict[str, Any] | None, index: int, choice: _Choice, events: list[Event]
    ) -> None:
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str) and thought:
            events.append(Thought(thought, index))
        if content := delta.get("content"):
            if not isinstance(content, str):
                content = "".join(part.get("text") or "" for part in content)
            events.append(Text(content, index, logprobs))
        elif logprobs:
            events.append(Text("", index, logprobs))
        if refusal := delta.get("refusal"):
            events.append(Refused(refusal, index))
        calls = delta.get("tool_calls") or ()
        for call in [calls] if isinstance(calls, dict) else calls:  # iFlytek Spark's one call is not in a list
            self._call(call, index, choice, events)
        if old := delta.get("function_call"):
            self._call({"index": "function_call", "function": old}, index, choice, events)
        extra = {name: value for name in _EXTRAS if (value := delta.get(name))}
        if extra:
            events.append(Extra(extra, index))

    def _call(self, call: dict[str, Any], index: int, choice: _Choice, events: list[Event]) -> None:
        kind: Literal["function", "custom"] = "custom" if call.get("custom") else "function"
        said = call.get(kind) or {}
        arguments = said.get("input" if kind == "custom" else "arguments")
        if arguments is None:
            arguments = ""
        elif not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()
        extra = call.get("extra_content")
        if not isinstance(extra, dict) or not extra:
            extra = None
        name, place = said.get("name"), self._place(call, said, choice)
        if place is None:
            if not name:
                raise UpstreamMalformed("The upstream sent a tool call without a name.")
            place = self._open(call, choice)
            events.append(ToolCall(place, choice.calls[place], name, arguments, kind, index, extra))
        elif arguments or extra:
            events.append(ToolCall(place, None, None, arguments, kind, index, extra))

    @staticmethod
    def _place(call: dict[str, Any], said: dict[str, Any], choice: _Choice) -> int | None:
        """Our index of the call that this piece belongs to; None when it opens one."""
        key, theirs = call.get("index"), call.get("id") or None
        if key is not None:
            place = choice.places.get(key)
            # Some services count every call as the first; a name beside another id shows that a new one begins.
            renamed = theirs is not None and said.get("name") and place is not None and choice.theirs[place] != theirs
            return None if renamed else place
        if theirs is not None:
            return choice.places.get(theirs)
        # Neither index nor id: a name opens a call, anything else belongs to the last one.
        return None if said.get("name") or not choice.calls else len(choice.calls) - 1

    @staticmethod
    def _open(call: dict[str, Any], choice: _Choice) -> int:
        place = len(choice.calls)
        theirs = call.get("id") or None
        ours = f"call_{secrets.token_hex(12)}" if theirs is None or theirs in choice.calls else theirs
        choice.calls.append(ours)
        choice.theirs.append(theirs or ours)
        for key in (call.get("index"), theirs):
            if key is not None:
                choice.places[key] = place
        return place


def _usage(given: dict[str, Any], timings: dict[str, Any]) -> Usage | None:
    prompt, completion = given.get("prompt_tokens"), given.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(completion, int):
        return None
    cached = (
        (given.get("prompt_tokens_details") or {}).get("cached_tokens")
        or given.get("cached_tokens")  # Moonshot
        or given.get("prompt_cache_hit_tokens")  # DeepSeek
        or timings.get("cache_n")  # llama.cpp
    )
    return Usage(
        prompt,
        completion,
        cached=cached or 0,
        reasoning=(given.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0,
    )
