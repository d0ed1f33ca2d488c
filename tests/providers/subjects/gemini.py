"""Google's Gemini API."""

from __future__ import annotations

import json

from . import CHALLENGE, Mishap, Report, StandIns, Subject


def _told(report: Report) -> str:
    """The instructions, then the turns."""
    read = report["read"]
    return json.dumps([read.get("systemInstruction"), read["contents"]], ensure_ascii=False)


SUBJECTS = (
    Subject(
        "gemini",
        "gemini",
        "gemini-2.5-demo",
        "gemini",
        {"credentials": ["AIza-demo-1"]},
        told=_told,
        second="AIza-demo-3",
    ),
)

STAND_INS: StandIns = {"gemini": ("gemini", {})}

_PAGE = {"text": CHALLENGE, "content_type": "text/html; charset=utf-8"}
_SOON = {"retry_delay": "7s"}
_MIDWAY = {"bytes": 900}

MISHAPS = {
    "refused": (
        Mishap("api_key_invalid"),
        Mishap("api_key_expired"),
        Mishap("location"),
        Mishap("service_disabled"),
        Mishap("key_leaked", {"shape": "array"}),
    ),
    "throttled": (
        Mishap("rate_limit", _SOON),
        Mishap("rate_limit", {"retry_delay": "6.4s", "shape": "array"}),
        Mishap("rate_limit_bare", {"headers": {"Retry-After": "7"}}),
    ),
    "challenge page": (Mishap("raw", {**_PAGE, "status": 403}), Mishap("raw", {**_PAGE, "status": 200})),
    "broken off": (Mishap("reset", _MIDWAY), Mishap("cut", _MIDWAY), Mishap("no_finish")),
    "silent midway": (Mishap("stall", _MIDWAY),),
    "silent": (Mishap("hang"),),
    "empty": (Mishap("empty_body"), Mishap("never_candidates")),
    "garbled": (Mishap("garbage_frame"), Mishap("not_json"), Mishap("truncated_json")),
}
