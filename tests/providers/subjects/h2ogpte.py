"""h2oGPTe, as a guest and with a key of one's own."""

from __future__ import annotations

import json
from typing import Any

from . import Mishap, Report, StandIns, Subject

_NO_WAIT = {"pool": {"size": 0}, "options": {"recovery_seconds": 0.3}}
"""Nothing warm, so that nobody but the scene's own request meets its mishap; and no long search for a lost answer."""


def _told(report: Report) -> str:
    """Its system prompt, what the session remembers, and the question."""
    return json.dumps([report["system_prompt"], report["history"], report["body"]], ensure_ascii=False)


def _break(frames: int, _: int) -> tuple[Mishap, ...]:
    lost = {"pieces": frames, "stored": False}
    ways = Mishap("close", lost, "ws"), Mishap("close", {**lost, "code": None}, "ws")
    return ways if frames <= 3 else ()  # which are all pieces of the short answer


_ITS_WAY: dict[str, Any] = {
    "told": _told,
    "asked": lambda report: report,
    "crumbles": {"chunk": 1, "chunk_by": "bytes"},  # a socket's message holds whole characters
    "waits": ("first_token_delay", "chunk_delay"),
    "greets": True,
    "breaks": _break,
}

SUBJECTS = (
    Subject("h2ogpte-guest", "h2ogpte", "auto", "h2ogpte", {"guests": 1, **_NO_WAIT}, excused=("refused",), **_ITS_WAY),
    Subject(
        "h2ogpte-key",
        "h2ogpte",
        "auto",
        "h2ogpte",
        {"credentials": [{"api_key": "sk-h2o-test"}], **_NO_WAIT},
        second={"api_key": "sk-h2o-two"},
        accounts=("key:sk-h2o-test", "key:sk-h2o-two"),
        **_ITS_WAY,
    ),
)

STAND_INS: StandIns = {"h2ogpte": ("h2ogpte", {"api_keys": ["sk-h2o-test", "sk-h2o-two"]})}

_CREATE_WEB, _CREATE_REST = "rpc/db/create_chat_session", "api/v1/chats"
_SOON = {"retry_after": 7}
_LOST = {"pieces": 3, "stored": False}

MISHAPS = {
    "refused": {"h2ogpte-key": (Mishap("http_401", route="ws"), Mishap("http_401", route=_CREATE_REST))},
    "expired": {"h2ogpte-guest": (Mishap("expire", route=_CREATE_WEB), Mishap("expire", route="ws"))},
    "throttled": {
        "h2ogpte-guest": (
            Mishap("http_429", _SOON, "ws"),
            Mishap("http_429", _SOON, _CREATE_WEB),
            Mishap("ce_rate_limit", _SOON, "ws"),
        ),
        "h2ogpte-key": (Mishap("http_429", _SOON, _CREATE_REST), Mishap("ce_rate_limit", _SOON, "ws")),
    },
    "challenge page": {
        "h2ogpte-guest": (Mishap("waf", {"status": 403}, "ws"), Mishap("waf", {"status": 200}, _CREATE_WEB)),
        "h2ogpte-key": (Mishap("waf", {"status": 403}, "ws"), Mishap("waf", {"status": 503}, _CREATE_REST)),
    },
    "broken off": (Mishap("close", _LOST, "ws"), Mishap("close", {**_LOST, "code": None}, "ws")),
    "silent midway": (Mishap("stall", {"pieces": 3}, "ws"),),
    "silent": (Mishap("stall", {"at": "before_cx"}, "ws"),),
    "empty": (Mishap("empty", route="ws"),),
    "garbled": (Mishap("not_json", route="ws"),),
}
