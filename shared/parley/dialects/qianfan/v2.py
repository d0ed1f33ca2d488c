"""The API that resembles OpenAI's (`upstreams/baidu-qianfan.md` part B): what differs in its questions and answers."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from parley.chat.events import Event, Stop
from parley.chat.prompt import Developer, Prompt, System
from parley.dialects import openai, plain
from parley.dialects.qianfan.refusals import failure_in

DROPS: Final = frozenset(
    {
        "logit_bias",
        "reasoning_effort",
        "verbosity",
        "prediction",
        "service_tier",
        "store",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "moderation",
    }
)
"""What merely tunes, and is not sent."""

_RULES: Final = openai.Rules(limit="max_tokens", developer=False, drops=DROPS)
_PUBLIC: Final = re.compile("(ernie|deepseek|qwen)", re.IGNORECASE)
"""How names of models begin that are always written in lower case; a customer's own service may be called anything."""
_OLD_NAMES: Final = {
    "ernie-bot-4": "ernie-4.0-8k",
    "ernie-bot": "ernie-3.5-8k",
    "ernie-bot-turbo": "ernie-lite-8k",
}
_LEAST_TEMPERATURE: Final = 0.01


def model_of(name: str) -> str:
    """The model as this API names it."""
    if not _PUBLIC.match(name):
        return name
    name = name.lower()
    return _OLD_NAMES.get(name, name)


# --- questions ----------------------------------------------------------------------------------------------------


def encode(prompt: Prompt) -> bytes:
    """The body to send. Always a stream: the unary answer is its fold. Raises UnsupportedParameter."""
    model = model_of(prompt.model)
    ernie = model.startswith("ernie")
    raw = {name: value for name, value in prompt.raw.items() if name not in ("safety_identifier", "web_search_options")}
    raw["messages"] = _messages(prompt, merge=ernie)
    if ernie and prompt.temperature is not None:
        raw["temperature"] = min(max(prompt.temperature, _LEAST_TEMPERATURE), 1.0)
    if prompt.safety_identifier and not prompt.user:
        raw["user"] = prompt.safety_identifier
    if prompt.web_search_options is not None:
        raw.setdefault("web_search", {"enable": True})
    return openai.encode(msgspec.structs.replace(prompt, model=model, raw=raw), _RULES)


def _messages(prompt: Prompt, *, merge: bool) -> list[dict[str, Any]]:
    """One system message, and it first; for ERNIE what one side says in a row is said at once."""
    said: list[dict[str, Any]] = []
    for message, raw in zip(prompt.messages, prompt.raw["messages"], strict=True):
        if isinstance(message, System | Developer):
            continue
        if merge and said and _speaks_on(said[-1], raw):
            said[-1] = {**said[-1], "content": _joined(said[-1].get("content"), raw.get("content"))}
        else:
            said.append(raw)
    rules = plain.instructions(prompt.messages)
    return [{"role": "system", "content": rules}, *said] if rules and rules.strip() else said


def _speaks_on(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return before["role"] == after["role"] and (
        after["role"] == "user"
        or (after["role"] == "assistant" and not before.get("tool_calls") and not after.get("tool_calls"))
    )


def _joined(before: Any, after: Any) -> Any:
    if isinstance(before, list) or isinstance(after, list):
        return [*_parts(before), *_parts(after)]
    return "\n\n".join(text for text in (before, after) if text)


def _parts(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


# --- answers ------------------------------------------------------------------------------------------------------

_ODD: Final = re.compile(rb'"flag"\s*:\s*[1-9]|"finish_reason"\s*:\s*"normal"')
"""Inside of a text the quotes would be escaped."""


class Decoder:
    """Reads one answer: OpenAI's chunks, of which some say that the words are sensitive."""

    def __init__(self) -> None:
        self._chunks = openai.Decoder(failure_in)
        self._flagged: set[int] = set()

    @property
    def done(self) -> bool:
        """The service said `[DONE]`; nothing after it counts."""
        return self._chunks.done

    def feed(self, payload: bytes) -> list[Event]:
        """Events of one payload. Raises Failure."""
        if _ODD.search(payload):
            payload = self._mended(payload)
        events = self._chunks.feed(payload)
        return [self._filtered(event) for event in events] if self._flagged else events

    def finish(self) -> list[Event]:
        """What remains to be said when the body has ended. Raises Failure."""
        return self._chunks.finish()

    def _mended(self, payload: bytes) -> bytes:
        """The chunk in OpenAI's words, and a note of the choices with a flag."""
        try:
            chunk = msgspec.json.decode(payload)
            for position, choice in enumerate(chunk.get("choices") or ()):
                if choice.get("flag"):
                    self._flagged.add(choice.get("index", position))
                if choice.get("finish_reason") == "normal":
                    choice["finish_reason"] = "stop"
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AttributeError, TypeError):
            return payload  # whatever is wrong with it is found where it is read
        return msgspec.json.encode(chunk)

    def _filtered(self, event: Event) -> Event:
        if isinstance(event, Stop) and event.choice in self._flagged:
            return Stop("content_filter", event.choice)
        return event
