"""History told as one text, for services that only take text.

    System: You are terse.

    User: Hi

    Assistant: Hello.

    User: And in French?

    Assistant:

* A lone question is sent as it stands, without any label.
* Nobody can speak for another: a line inside somebody's words that begins like one of the labels is quoted with `> `,
  so a label at the beginning of a line is always ours.
* Only words are told. What else a message may hold is refused before (`parley.chat.demands`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from parley.chat.prompt import Assistant, Developer, Message, RefusalPart, System, User, text_of
from parley.errors import BadRequest, UnsupportedParameter

_BREAKS: Final = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_BLANK: Final = rf"(?:[^\S{_BREAKS}]|[\u00ad\u200b-\u200f\u2060-\u2064\ufeff])"  # blanks, and what cannot be seen
_IMITATION: Final = re.compile(rf"([{_BREAKS}])(?={_BLANK}*(?:System|User|Assistant){_BLANK}*[:：])")


def instructions(messages: Sequence[Message]) -> str | None:
    """What all system and developer messages say, joined by blank lines; None when there is none of them."""
    said = [text_of(message.content) for message in messages if isinstance(message, System | Developer)]
    return "\n\n".join(text for text in said if text) if said else None


def told(messages: Sequence[Message], rules: str | None = None) -> str:
    """The conversation as one text, `rules` first. Raises BadRequest when no user said a word."""
    _refuse_wordless(messages)
    turns = [(_label(message), _words(message)) for message in messages if not isinstance(message, System | Developer)]
    if len(turns) == 1 and not rules:
        return turns[0][1]
    if rules:
        turns.insert(0, ("System", rules))
    return "\n\n".join([*(f"{label}: {_quoted(words)}" for label, words in turns if words), "Assistant:"])


def last_said(messages: Sequence[Message]) -> str:
    """The last words of a user, and nothing of what came before. Raises BadRequest when no user said a word."""
    _refuse_wordless(messages)
    said = (text_of(message.content) for message in reversed(messages) if isinstance(message, User))
    return next(text for text in said if text.strip())


def _refuse_wordless(messages: Sequence[Message]) -> None:
    if not any(isinstance(message, User) and text_of(message.content).strip() for message in messages):
        raise BadRequest("'messages' must hold a user message with some text in it.", param="messages")


def _label(message: Message) -> str:
    match message:
        case User():
            return "User"
        case Assistant():
            return "Assistant"
        case _:
            raise UnsupportedParameter("Tool messages cannot be told as text.", param="messages")


def _words(message: Message) -> str:
    if isinstance(message, Assistant):
        parts = message.content if isinstance(message.content, list) else []
        declined = "".join(part.refusal for part in parts if isinstance(part, RefusalPart))
        return text_of(message.content) + (declined or message.refusal or "")
    return text_of(message.content)


def _quoted(words: str) -> str:
    return _IMITATION.sub(r"\1> ", f"\n{words}")[1:]
