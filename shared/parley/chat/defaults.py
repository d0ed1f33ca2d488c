"""Defaults of an entry of the configuration: fields of a request where it says nothing itself. The request wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from parley.chat.prompt import Prompt

NEVER: Final = frozenset(
    {
        *("messages", "model", "stream", "stream_options", "response_format"),
        *("tools", "tool_choice", "functions", "function_call"),
    }
)
"""What is the caller's alone to say."""
LIMITS: Final = ("max_tokens", "max_completion_tokens")
"""Two names of one thing: only one of them may be said."""
_TYPED: Final = frozenset(field.name for field in msgspec.structs.fields(Prompt)) - {"raw"}


def described() -> dict[str, dict[str, Any]]:
    """The JSON schema of each field that has a type of ours; others may be anything."""
    _, components = msgspec.json.schema_components((Prompt,))
    fields = components["Prompt"]["properties"]
    meaning = {"description": "As OpenAI's API has it."}
    return {name: {"anyOf": fields[name]["anyOf"], **meaning} for name in fields if name in _TYPED - NEVER}


def wrong_with(defaults: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first default that cannot be one, and why; None when all can. A field that nobody knows is passed on."""
    for name, value in defaults.items():
        if name in NEVER or not name:
            return name, "is the caller's alone to say"
        try:
            msgspec.convert({"messages": [{"role": "user", "content": ""}], name: value}, Prompt)
        except msgspec.ValidationError as problem:
            return name, str(problem).rpartition(" - at ")[0] or str(problem)
    if all(name in defaults for name in LIMITS):
        return LIMITS[0], f"cannot be set together with {LIMITS[1]}"
    return None


def filled(prompt: Prompt, defaults: Mapping[str, Any]) -> Prompt:
    """The prompt, with the defaults where it says nothing."""
    given = {name: value for name, value in defaults.items() if _is_open(prompt, name)}
    if not given:
        return prompt
    typed = {name: value for name, value in given.items() if name in _TYPED}
    return msgspec.structs.replace(prompt, **typed, raw={**prompt.raw, **given})


def _is_open(prompt: Prompt, name: str) -> bool:
    if name in LIMITS:
        return prompt.limit is None
    return prompt.raw.get(name) is None and (name not in _TYPED or getattr(prompt, name) is None)
