"""Pieces of a `GenerateContentResponse` into events (`upstreams/gemini.md` sections 2.3, 2.4, 4 and 5)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from parley.chat.events import Event, FinishReason, Refused, Stop, Text, Thought, ToolCall, Usage
from parley.dialects.gemini.refusals import failure_said
from parley.errors import UpstreamBroken, UpstreamEmpty, UpstreamMalformed

_FILTERED: Final = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "IMAGE_OTHER",
        "MODEL_ARMOR",
        "ESCALATION",
    }
)
_SLIPPED: Final = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
    }
)
"""The model made a mistake: a failure where nothing else was said."""
_UNSAID: Final = "FINISH_REASON_UNSPECIFIED"
_LONGEST_REASON: Final = 200
Body = dict[str, Any]


@dataclass(slots=True)
class _Choice:
    """What is remembered of one candidate."""

    calls: set[str] = field(default_factory=set)
    """Ids of its calls."""
    spoke: bool = False
    shrugged: bool = False
    """It named a reason that says nothing, which a gateway in between writes on every piece."""
    ended: bool = False


class Decoder:
    """Reads one answer. `feed` takes the data of one event, `finish` the end of the body."""

    def __init__(self, *, one_call: bool = False) -> None:
        """`one_call`: the caller wants no parallel tool calls. The service cannot be told so; the first one counts."""
        self._one_call = one_call
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None

    @property
    def ended(self) -> bool:
        """Whether every candidate that spoke has named its reason to end."""
        return bool(self._choices) and all(choice.ended for choice in self._choices.values())

    def feed(self, payload: bytes) -> list[Event]:
        """Events of one payload. Raises Failure when it says one, UpstreamMalformed when it says nothing sensible."""
        if payload.strip() == b"[DONE]":  # OpenAI's word, which some gateways in between add
            return []
        try:
            said = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise UpstreamMalformed("The upstream sent a piece that is not JSON.") from problem
        events: list[Event] = []
        for piece in said if isinstance(said, list) else [said]:
            if not isinstance(piece, dict):
                raise UpstreamMalformed("The upstream sent a piece that is not an object.")
            if piece.get("error"):
                raise failure_said(piece)
            try:
                self._piece(piece, events)
            except (TypeError, ValueError, AttributeError, KeyError) as problem:
                raise UpstreamMalformed("The upstream sent a piece of an unknown shape.") from problem
        return events

    def finish(self) -> list[Event]:
        """What remains to be said when the body has ended. Raises UpstreamEmpty when no candidate ever spoke."""
        if not self._choices:
            raise UpstreamEmpty("The upstream's answer is empty.")
        events: list[Event] = []
        for index, choice in self._choices.items():
            if choice.shrugged and not choice.ended:
                self._end(choice, index, "STOP", "", events)
        return [*events, self._usage] if self._usage is not None else events

    def _piece(self, piece: Body, events: list[Event]) -> None:
        if usage := piece.get("usageMetadata"):
            self._usage = _usage(usage)
        candidates = piece.get("candidates") or []
        blocked = (piece.get("promptFeedback") or {}).get("blockReason")
        if blocked and not candidates:
            self._blocked(_word(blocked), events)
        for given in candidates:
            index = given.get("index") or 0
            if not isinstance(index, int):
                raise TypeError("an index is a number")
            choice = self._choices.setdefault(index, _Choice())
            if not choice.ended:
                self._candidate(given, index, choice, events)

    def _blocked(self, reason: str, events: list[Event]) -> None:
        """The prompt was refused: no candidate came, or none goes on."""
        self._choices = self._choices or {0: _Choice()}
        for index, choice in self._choices.items():
            if not choice.ended:
                choice.ended = True
                events += [
                    Refused(f"The prompt was blocked by Gemini: {reason}.", index),
                    Stop("content_filter", index),
                ]

    def _candidate(self, given: Body, index: int, choice: _Choice, events: list[Event]) -> None:
        logprobs = _logprobs(given.get("logprobsResult"))
        for part in (given.get("content") or {}).get("parts") or ():
            logprobs = self._part(part, index, choice, logprobs, events)
        if logprobs:
            events.append(Text("", index, logprobs))
        reason = given.get("finishReason")
        if reason == _UNSAID:
            choice.shrugged = True
        elif reason:
            self._end(choice, index, reason, given.get("finishMessage") or "", events)

    def _part(self, part: Body, index: int, choice: _Choice, logprobs: Body | None, events: list[Event]) -> Body | None:
        """One part; the log probabilities that still wait for words."""
        if call := part.get("functionCall"):
            if not (self._one_call and choice.calls):
                events.append(_call(call, part.get("thoughtSignature"), index, choice))
        elif text := part.get("text"):
            if not isinstance(text, str):
                raise TypeError("text is a string")
            if part.get("thought"):
                events.append(Thought(text, index))
            else:
                events.append(Text(text, index, logprobs))
                logprobs, choice.spoke = None, True
        elif data := part.get("inlineData"):
            events.append(Text(f"![]({_data_url(data)})", index))
            choice.spoke = True
        return logprobs

    @staticmethod
    def _end(choice: _Choice, index: int, reason: str, message: str, events: list[Event]) -> None:
        silent = not (choice.spoke or choice.calls)
        finish: FinishReason = "tool_calls" if choice.calls else "stop"
        if reason == "MAX_TOKENS":
            finish = "length"
        elif reason in _FILTERED:
            finish = "content_filter"
            if silent:
                events.append(Refused(f"The answer was blocked by Gemini: {_word(reason)}.", index))
        elif reason in _SLIPPED and silent:
            raise UpstreamBroken(f"The model gave no usable answer: {_word(message or reason)}.")
        choice.ended = True
        events.append(Stop(finish, index))


def _call(call: Body, signature: Any, index: int, choice: _Choice) -> ToolCall:
    """A call, which always comes whole."""
    name = call.get("name")
    if not isinstance(name, str) or not name:
        raise UpstreamMalformed("The upstream sent a function call without a name.")
    known = call.get("id")
    if not isinstance(known, str) or not known or known in choice.calls:
        known = f"call_{secrets.token_hex(12)}"
    place = len(choice.calls)
    choice.calls.add(known)
    arguments = msgspec.json.encode(call.get("args") or {}).decode()
    extra = {"google": {"thought_signature": signature}} if isinstance(signature, str) and signature else None
    return ToolCall(place, known, name, arguments, choice=index, extra_content=extra)


def _usage(given: Body) -> Usage:
    thoughts = given.get("thoughtsTokenCount") or 0
    return Usage(
        (given.get("promptTokenCount") or 0) + (given.get("toolUsePromptTokenCount") or 0),
        (given.get("candidatesTokenCount") or 0) + thoughts,
        cached=given.get("cachedContentTokenCount") or 0,
        reasoning=thoughts,
    )


def _logprobs(given: Body | None) -> Body | None:
    """Gemini's log probabilities as OpenAI writes them."""
    chosen = (given or {}).get("chosenCandidates") or []
    others = (given or {}).get("topCandidates") or []
    tokens = [
        {
            **_token(one),
            "top_logprobs": [_token(o) for o in (others[at].get("candidates") or ())] if at < len(others) else [],
        }
        for at, one in enumerate(chosen)
    ]
    return {"content": tokens} if tokens else None


def _token(given: Body) -> Body:
    token = given.get("token") or ""
    return {"token": token, "logprob": given.get("logProbability") or 0.0, "bytes": list(token.encode())}


def _data_url(data: Body) -> str:
    """An image that the model made; clients that show Markdown show it."""
    return f"data:{data.get('mimeType') or 'image/png'};base64,{data.get('data') or ''}"


def _word(text: str) -> str:
    return text.strip().rstrip(".")[:_LONGEST_REASON]
