"""Services that speak OpenAI's API, as OpenAI speaks it."""

from __future__ import annotations

from . import CHALLENGE, Mishap, StandIns, Subject

SUBJECTS = (
    Subject(
        "openai", "openai", "demo-mini", "openai", {"credentials": ["sk-upstream-1"]}, "/v1", second="sk-upstream-2"
    ),
)

STAND_INS: StandIns = {"openai": ("openai", {})}

_PAGE = {"text": CHALLENGE, "content_type": "text/html; charset=utf-8"}
_SOON = {"retry_after": 7}
_MIDWAY = {"bytes": 900}  # of a long answer in OpenAI's frames: after its first words, before its last

MISHAPS = {
    "refused": (Mishap("invalid_api_key"), Mishap("account_deactivated"), Mishap("unsupported_country")),
    "throttled": (Mishap("rate_limit", _SOON), Mishap("rate_limit_tokens", {"retry_after_ms": 6500})),
    "challenge page": (Mishap("raw", {**_PAGE, "status": 403}), Mishap("raw", {**_PAGE, "status": 200})),
    "broken off": (Mishap("reset", _MIDWAY), Mishap("cut", _MIDWAY)),
    "silent midway": (Mishap("stall", _MIDWAY),),
    "silent": (Mishap("hang"),),
    "empty": (Mishap("empty_body"), Mishap("raw", {"text": "data: [DONE]\n\n"})),
    "garbled": (Mishap("garbage_frame"), Mishap("not_json")),
}
