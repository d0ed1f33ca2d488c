"""The site's public catalogue of prompts, and its answer to a login cookie (`upstreams/flowgpt.md` section 1.7)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import msgspec

from parley.dialects.flowgpt.encode import Personality
from parley.errors import CredentialRejected, UpstreamMalformed

DEFAULT_MODEL: Final = "FlowGPT-Ares"

PERSONALITIES: Final = {
    "default": "uzNcMUGo4sOwl4GFvRpm8",
    "gpt-4-free": "uzNcMUGo4sOwl4GFvRpm8",
    "chatgpt-5-pro": "vlaOLDN9qTxzIlvzfL_Ty",
    "aisuperior": "lKm5yPE9x-Naf0_0_KI5M",
    "claude-instant": "model-claude-instant",
}
"""The old aliases and their prompts (section 1.8). The replaced project's README names `claude-instant`, its code does
not; the service knows a plain model as the prompt `model-NAME` (section 1.6)."""

GUEST_MODELS: Final = (
    "gpt-3.5-turbo",
    "gpt-3.5-long",
    "gpt-4-turbo",
    "google-gemini",
    "claude-instant",
    "claude-v1",
    "claude-v2",
    "llama2-13b",
    "mythalion-13b",
    "pygmalion-13b",
    "chronos-hermes-13b",
    "Mixtral-8x7B",
    "Dolphin-2.6-8x7B",
)
"""What the route without an account was seen to offer (section 1.6)."""

_PLAIN: Final = "model-"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{21}")
_QUERY: Final = '{"0":{"json":{"skip":0,"take":36,"sort":"trending","language":"en"}}}'
CATALOGUE: Final = f"/api/trpc/prompt.getPrompts?batch=1&input={quote(_QUERY)}"
REFRESH: Final = "/api/auth/refresh"


def known(model: str) -> Personality | None:
    """Who answers under a name that needs no configuration: an old alias, a plain model, or a prompt's own id."""
    if model in PERSONALITIES:
        model = PERSONALITIES[model]
    elif model in GUEST_MODELS:
        model = _PLAIN + model
    elif not _ID.fullmatch(model) and not model.startswith(_PLAIN):
        return None
    return personality(model)


def personality(prompt_id: str, model: str = "") -> Personality:
    """Who lives in a prompt; a plain model's is asked for by the model's own name."""
    plain = prompt_id.removeprefix(_PLAIN) if prompt_id.startswith(_PLAIN) else ""
    return Personality(prompt_id, model or plain or DEFAULT_MODEL)


def prompt_ids(body: bytes) -> list[str]:
    """The ids in the catalogue's answer. Raises UpstreamMalformed."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise UpstreamMalformed("The upstream's list of prompts is not JSON.") from problem
    found = [str(row["id"]) for row in _rows(told) if isinstance(row, dict) and isinstance(row.get("id"), str)]
    if not found:
        raise UpstreamMalformed("The upstream's list of prompts cannot be read.")
    return list(dict.fromkeys(found))


def fresh_token(body: bytes) -> str:
    """The token in the site's answer to a login cookie. Raises CredentialRejected when there is none."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise UpstreamMalformed("The upstream's answer to the login cookie is not JSON.") from problem
    places = [told, told.get("data")] if isinstance(told, dict) else []
    for place in places:
        if isinstance(place, dict) and isinstance(token := place.get("encodedToken"), str) and token:
            return token
    raise CredentialRejected("The upstream gave no token for the login cookie: it has expired.")


def _rows(told: Any) -> Iterator[Any]:
    """Every member of a list of prompts: how deep it lies differs from one time to another (sections 1.7)."""
    match told:
        case {"prompts": [*rows]} | {"json": [*rows]}:
            yield from rows
        case {"result": inner} | {"data": inner} | {"json": inner}:
            yield from _rows(inner)
        case [*answers]:
            for answer in answers:
                yield from _rows(answer)
