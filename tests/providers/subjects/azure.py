"""Azure OpenAI, at a dated version and on the surface without dates."""

from __future__ import annotations

from . import CHALLENGE, Mishap, StandIns, Subject

SUBJECTS = (
    Subject(
        "azure",
        "azure",
        "gpt-4o",
        "azure",
        {"credentials": ["azure-key-1"], "options": {"deployments": {"gpt-4o": "my dep"}}},
        second="azure-key-2",
    ),
    Subject(
        "azure-v1",
        "azure",
        "chat",
        "azure",
        {"credentials": [{"token": "entra-token-1"}], "options": {"api_version": "v1"}},
        "/gateway/openai/v1",
        akin="azure",
        excused=("expired", "challenge page", "broken off", "silent midway", "silent", "empty", "garbled"),
    ),
)

STAND_INS: StandIns = {"azure": ("azure", {"filter": "asynchronous"})}

_PAGE = {"text": CHALLENGE, "content_type": "text/html; charset=utf-8"}
_MIDWAY = {"bytes": 1500}  # behind the filter's own chunk, which is long

MISHAPS = {
    "refused": {
        "azure": (Mishap("unauthorized"), Mishap("unauthorized_front"), Mishap("firewall")),
        "azure-v1": (Mishap("permission"),),
    },
    "throttled": {
        "azure": (
            Mishap("rate_limit", {"retry_after": 7}),
            Mishap("no_capacity", {"retry_after_ms": 6500}),
            Mishap("rate_limit_words"),
        ),
        "azure-v1": (Mishap("ptu", {"retry_after_ms": 6500}),),
    },
    "challenge page": {"azure": (Mishap("raw", {**_PAGE, "status": 403}),)},
    "broken off": {"azure": (Mishap("reset", _MIDWAY), Mishap("cut", _MIDWAY))},
    "silent midway": {"azure": (Mishap("stall", _MIDWAY),)},
    "silent": {"azure": (Mishap("hang"),)},
    "empty": {"azure": (Mishap("empty_body"),)},
    "garbled": {"azure": (Mishap("garbage_frame"), Mishap("not_json"))},
}
