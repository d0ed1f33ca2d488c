"""A conversation as FlowGPT takes it (`upstreams/flowgpt.md` sections 1.3, 1.4, 1.6 and 3).

The last words of the user are the question; everything before is told either with it (`history`, `system`), or to a
conversation that is made beforehand (`create`), or both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from parley.chat.prompt import Assistant, Developer, Message, Prompt, RefusalPart, System, User, text_of
from parley.errors import BadRequest, UnsupportedParameter

Context = Literal["history", "create", "both"]

_TEMPERATURE: Final = 0.7
_WARMEST: Final = 1.0


@dataclass(frozen=True, slots=True)
class Personality:
    """What answers under a model name: the prompt that it lives in, and the model behind that."""

    prompt_id: str
    model: str


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation, its last question apart. A turn is (role, words)."""

    turns: Sequence[tuple[str, str]]
    """All that came before the question, instructions too, in order."""
    question: str

    @property
    def system(self) -> str:
        """All instructions, joined by blank lines."""
        return "\n\n".join(words for role, words in self.turns if role == "system")

    @property
    def history(self) -> list[dict[str, str]]:
        """What user and assistant said before."""
        return [_turn(role, words) for role, words in self.turns if role != "system"]


def told(messages: Sequence[Message], *, go_on: str = "") -> Talk:
    """The conversation in a prompt's messages; `go_on` is asked where the last words are not a user's.

    Raises BadRequest where there is no question, UnsupportedParameter for what are not words.
    """
    turns = [(_role(message, f"messages[{at}]"), _words(message)) for at, message in enumerate(messages)]
    spoken = [at for at, (role, _) in enumerate(turns) if role != "system"]
    question = go_on
    if spoken and turns[spoken[-1]][0] == "user":
        _, question = turns.pop(spoken[-1])
    elif not (spoken and go_on):
        raise BadRequest("The last of 'messages' must be a user's: this upstream answers questions.", param="messages")
    if not question.strip():
        raise BadRequest("The last user message must have some text in it.", param="messages")
    return Talk([(role, words) for role, words in turns if words.strip()], question)


def conversation(talk: Talk, who: Personality) -> bytes:
    """The body that makes a conversation. The question is not in it: it would be told twice."""
    messages = [_turn(role, words) for role, words in talk.turns]
    return msgspec.json.encode({"promptId": who.prompt_id, "location": "CHAT_PAGE", "messages": messages})


def chat(
    talk: Talk, who: Personality, prompt: Prompt, *, context: Context, conversation_id: str | None, nsfw: bool = False
) -> bytes:
    """The body of a question with an account."""
    body: dict[str, Any] = {
        "model": who.model,
        "nsfw": nsfw,
        "question": talk.question,
        "temperature": _temperature(prompt),
        "userId": "",
        "promptId": who.prompt_id,
        "documentIds": [],
        "generateImage": False,
        "generateAudio": False,
    }
    if conversation_id is not None:
        body["conversationId"] = conversation_id
    if context != "create":
        body["history"] = talk.history
        if talk.system:
            body["system"] = talk.system
    return msgspec.json.encode(body)


def guest_chat(talk: Talk, who: Personality, prompt: Prompt, *, nsfw: bool = False) -> bytes:
    """The body of a question without an account."""
    body = {
        "model": who.model,
        "nsfw": nsfw,
        "question": talk.question,
        "history": talk.history,
        "system": talk.system,
        "temperature": _temperature(prompt),
        "promptId": who.prompt_id,
        "documentIds": [],
        "chatFileDocumentIds": [],
        "generateImage": False,
        "generateAudio": False,
    }
    return msgspec.json.encode(body)


def _temperature(prompt: Prompt) -> float:
    return _TEMPERATURE if prompt.temperature is None else min(prompt.temperature, _WARMEST)


def _turn(role: str, words: str) -> dict[str, str]:
    return {"role": role, "content": words}


def _role(message: Message, where: str) -> str:
    match message:
        case System() | Developer():
            return "system"
        case User():
            return "user"
        case Assistant():
            return "assistant"
        case _:
            raise UnsupportedParameter(f"'{where}' is not supported by FlowGPT: it knows no tools.", param=where)


def _words(message: Message) -> str:
    words = text_of(message.content)
    if isinstance(message, Assistant):
        parts = message.content if isinstance(message.content, list) else []
        words += "".join(part.refusal for part in parts if isinstance(part, RefusalPart)) or message.refusal or ""
    return words
