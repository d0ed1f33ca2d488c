"""A prompt as the first and only turn of a new conversation (`upstreams/claude-web.md` section 1.6).

The service takes one text and no instructions, so everything that was said is told as one text. A long one travels as
an attached file, as the page does with what is pasted into it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from parley.chat.prompt import Developer, Prompt, System, User
from parley.dialects import plain
from parley.errors import BadRequest, UnsupportedParameter

Effort = Literal["low", "medium", "high"]
LOCALES: Final = (
    "en-US",
    "de-DE",
    "fr-FR",
    "ko-KR",
    "ja-JP",
    "es-419",
    "es-ES",
    "it-IT",
    "hi-IN",
    "pt-BR",
    "id-ID",
)
"""Those that the service takes; any other is a 400."""
FILE: Final = "conversation.txt"
POINTER: Final = f"The attached file {FILE} holds what has been said so far. Reply to the last message in it."

_ROOT: Final = "00000000-0000-4000-8000-000000000000"
_EFFORTS: Final[Mapping[str, Effort | None]] = {
    "none": None,
    "minimal": None,
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
"""None: do not think."""
_STYLE: Final = {
    "type": "default",
    "key": "Default",
    "name": "Normal",
    "nameKey": "normal_style_name",
    "prompt": "Normal\n",
    "summary": "Default responses from Claude",
    "summaryKey": "normal_style_summary",
    "isDefault": True,
}


@dataclass(frozen=True, slots=True)
class Turn:
    """The names that we give to a question, its answer and the request: sent twice, they are a 409."""

    human: str
    assistant: str
    request: str

    @classmethod
    def new(cls) -> Turn:
        """Names that nobody used before."""
        return cls(str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class Manner:
    """How an operator wants it to be asked."""

    temporary: bool = True
    """In no list of the account, and not remembered."""
    effort: Effort = "low"
    """Where the prompt does not say how hard to think, this much, and without extended thinking."""
    locale: str = "en-US"
    timezone: str = "UTC"
    attach_over: int = 100_000
    """Letters above which what was said is attached as a file."""


def encode(prompt: Prompt, turn: Turn, manner: Manner) -> bytes:
    """The body of a question. Raises BadRequest when there is nothing to answer."""
    turns = [message for message in prompt.messages if not isinstance(message, System | Developer)]
    if turns and not isinstance(turns[-1], User):
        raise BadRequest(
            "The last message must be a user's: this upstream cannot go on with another.", param="messages"
        )
    text = plain.told(prompt.messages, plain.instructions(prompt.messages))
    attachments: list[dict[str, Any]] = []
    if len(text) > manner.attach_over:
        size = len(text.encode())
        attachments = [{"file_name": FILE, "file_type": "text/plain", "file_size": size, "extracted_content": text}]
        text = POINTER
    effort, thinking = _effort(prompt, manner)
    return msgspec.json.encode(
        {
            "prompt": text,
            "parent_message_uuid": _ROOT,
            "timezone": manner.timezone,
            "locale": manner.locale,
            "model": prompt.model,
            "personalized_styles": [_STYLE],
            "tools": [],
            "attachments": attachments,
            "files": [],
            "sync_sources": [],
            "rendering_mode": "messages",
            "turn_message_uuids": {"human_message_uuid": turn.human, "assistant_message_uuid": turn.assistant},
            "effort": effort,
            "thinking_mode": thinking,
            "completion_request_id": turn.request,
            "create_conversation_params": {
                "name": "",
                "model": prompt.model,
                "include_conversation_preferences": True,
                "paprika_mode": None,
                "compass_mode": None,
                "tool_search_mode": "auto",
                "is_temporary": manner.temporary,
                "enabled_imagine": False,
            },
        }
    )


def _effort(prompt: Prompt, manner: Manner) -> tuple[Effort, Literal["off", "extended"]]:
    if prompt.reasoning_effort is None:
        return manner.effort, "off"
    if prompt.reasoning_effort not in _EFFORTS:
        raise UnsupportedParameter(
            f"'reasoning_effort' must be one of {', '.join(_EFFORTS)}.",
            param="reasoning_effort",
        )
    effort = _EFFORTS[prompt.reasoning_effort]
    return (effort, "extended") if effort else ("low", "off")
