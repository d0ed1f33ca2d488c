"""What each api-version knows; what it does not know is "Unrecognized request argument supplied"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..openai.refusal import Refused
from .errors import refusal

Body = dict[str, Any]

VERSION = re.compile(r"20\d\d-\d\d-\d\d(-preview)?")
FIRST, NEWEST = "2022-12-01", "2025-12-31"
V1 = "~"
"""The surface without dates, after every date."""

SINCE = {
    **dict.fromkeys(("functions", "function_call"), "2023-07-01"),
    **dict.fromkeys(("tools", "tool_choice", "response_format", "seed"), "2023-12-01"),
    **dict.fromkeys(("stream_options", "max_completion_tokens"), "2024-09-01"),
    **dict.fromkeys(("parallel_tool_calls", "metadata", "store", "service_tier"), "2024-10-21"),
    "reasoning_effort": "2024-12-01",
    **dict.fromkeys(("modalities", "audio", "prediction", "verbosity"), "2025-01-01"),
    **dict.fromkeys(("safety_identifier", "prompt_cache_key", "prompt_cache_retention"), V1),
}
ALWAYS = frozenset(
    {"messages", "model", "temperature", "top_p", "n", "stop", "max_tokens", "stream", "user", "logit_bias"}
    | {"presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "data_sources"}
)


def date_of(version: str | None, *, v1: bool) -> str:
    """The date that decides what is known; raises for a version that this surface does not take."""
    if v1:
        if version not in (None, "preview", "latest"):
            raise refusal("version", {})
        return V1
    if version is None:
        raise refusal("resource_not_found", {})
    if not VERSION.fullmatch(version) or not FIRST <= version[:10] <= NEWEST:
        raise refusal("version", {})
    return version[:10]


def unknown(body: Body, date: str) -> Iterator[Refused]:
    """Refusals of what this version does not know."""
    for name in body:
        if name not in ALWAYS and date < SINCE.get(name, "\x7f"):
            yield refusal("unrecognized", {"message": f"Unrecognized request argument supplied: {name}"})
    if (body.get("response_format") or {}).get("type") == "json_schema" and date < "2024-08-01":
        yield refusal("unrecognized", {"message": "response_format value as json_schema is enabled only for later"})
    for message in body["messages"]:
        if message.get("role") == "developer" and date < "2024-12-01":
            yield refusal("unrecognized", {"message": "'developer' is not one of ['system', 'assistant', 'user']"})
        parts = message.get("content")
        if isinstance(parts, list) and any(part["type"] != "text" for part in parts) and date < "2023-12-01":
            yield refusal("unrecognized", {"message": "Invalid content type."})
