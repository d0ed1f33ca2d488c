"""Events of the completion stream into ours, and the rest of an answer whose stream broke (section 1.6).

* An answer is complete when the service said why it stopped *and* that it stopped; one without the other is not.
* What is not words (pings, limits, tools that we did not offer, events of tomorrow) is ignored.
* Blanks are words only where words follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from parley.chat.events import Event, FinishReason, Stop, Text, Thought
from parley.dialects.claude_web.refusals import failure_said
from parley.errors import UpstreamBroken, UpstreamEmpty, UpstreamMalformed

_REASONS: Final[Mapping[str, FinishReason]] = {
    **dict.fromkeys(("end_turn", "stop_sequence", "tool_use"), "stop"),  # of tools we know nothing: none are offered
    **dict.fromkeys(("max_tokens", "tool_use_limit"), "length"),
    **dict.fromkeys(("refusal", "cyber_refusal", "prompt_injection_risk"), "content_filter"),
}
_NO_END: Final = ("error", "user_canceled")


class Decoder:
    """Reads one answer. `feed` takes the data of one event."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._blank = ""  # held back until a word follows
        self._thought = False
        self._blocks = False
        self._reason: str | None = None
        self.begun = False
        """The service has the question, and works on it."""
        self.done = False

    def feed(self, payload: bytes) -> list[Event]:
        """Events of one payload. Raises the Failure that it says, or UpstreamMalformed."""
        if self.done:
            return []
        try:
            told = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise UpstreamMalformed("The upstream sent an event that is not JSON.") from problem
        if not isinstance(told, dict):
            raise UpstreamMalformed("The upstream sent an event that is not an object.")
        try:
            return self._read(told)
        except (TypeError, AttributeError) as problem:
            raise UpstreamMalformed("The upstream sent an event of an unknown shape.") from problem

    def recover(self, conversation: Any, answer: str) -> list[Event] | None:
        """The rest of the answer with this uuid, from the conversation as the service stored it.

        None while it is not there in full, or is not what was said before.
        """
        messages = conversation.get("chat_messages") if isinstance(conversation, dict) else None
        for message in messages if isinstance(messages, list) else ():
            if isinstance(message, dict) and message.get("uuid") == answer:
                return self._rest(_words(message), message.get("stop_reason"))
        return None

    def _rest(self, words: str, reason: Any) -> list[Event] | None:
        said = "".join(self._said) + self._blank
        if not isinstance(reason, str) or not words.startswith(said):
            return None
        self._reason = reason
        return [*self._text(words[len(said) :]), *self._end()]

    def _read(self, told: dict[str, Any]) -> list[Event]:
        match told.get("type"):
            case "message_start":
                self.begun = True
            case "content_block_start":
                self.begun = self._blocks = True
                return self._piece(told.get("content_block") or {})
            case "content_block_delta":
                self.begun = self._blocks = True
                return self._piece(told.get("delta") or {})
            case "message_delta":
                self._reason = (told.get("delta") or {}).get("stop_reason") or self._reason
            case "message_stop":
                return self._end() if self._reason else []
            case "completion" if not self._blocks:  # an old form, which has neither blocks nor a message_stop
                self.begun = True
                events = self._text(told.get("completion") or "")
                self._reason = told.get("stop_reason")
                return [*events, *self._end()] if self._reason else events
            case "error":
                raise failure_said(told.get("error") or {})
        return []

    def _piece(self, piece: dict[str, Any]) -> list[Event]:
        match piece.get("type"):
            case "text_delta" | "text":
                return self._text(piece.get("text") or "")
            case "thinking_delta" | "thinking":
                thought: Any = piece.get("thinking") or ""
                self._thought = self._thought or not thought.isspace()
                return [Thought(thought)] if thought else []
        return []

    def _text(self, text: str) -> list[Event]:
        text = self._blank + text
        if not self._said and (not text or text.isspace()):
            self._blank = text
            return []
        self._blank = ""
        self._said.append(text)
        return [Text(text)] if text else []

    def _end(self) -> list[Event]:
        reason = str(self._reason)
        if reason in _NO_END:
            raise UpstreamBroken("The upstream gave up in the middle of its answer.")
        if reason not in _REASONS:
            raise UpstreamMalformed("The upstream ended its answer for an unknown reason.")
        finish = _REASONS[reason]
        if finish == "stop" and not self._said and not self._thought:
            raise UpstreamEmpty("The upstream's answer is empty.")
        self.done = True
        return [Stop(finish)]


def _words(message: dict[str, Any]) -> str:
    """The words of a stored message, in either of the shapes in which they are kept."""
    content = message.get("content")
    if isinstance(content, list) and content:
        parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(str(part.get("text") or "") for part in parts)
    text = message.get("text")
    return text if isinstance(text, str) else ""
