"""Anthropic's Messages API."""

from __future__ import annotations

import json

from . import CHALLENGE, Mishap, Report, StandIns, Subject


def _told(report: Report) -> str:
    """The instructions, which stand apart, and the turns."""
    body = report["body"]
    return json.dumps([body.get("system", ""), body["messages"]], ensure_ascii=False)


SUBJECTS = (
    Subject(
        "anthropic",
        "anthropic",
        "claude-demo-4-5",
        "anthropic",
        {"credentials": ["sk-ant-one"]},
        told=_told,
        second="sk-ant-two",
        asks={"reasoning": {"reasoning_effort": "low"}},
    ),
)

STAND_INS: StandIns = {"anthropic": ("anthropic", {})}

_PAGE = {"text": CHALLENGE, "content_type": "text/html; charset=utf-8"}
_SOON = {"retry_after": 7}
_MIDWAY = {"bytes": 1500}  # of a long answer's events: after its first words, before its last

MISHAPS = {
    "refused": (Mishap("authentication"), Mishap("permission"), Mishap("forbidden")),
    "throttled": (Mishap("rate_limit", _SOON), Mishap("rate_limit", {"retry_after_ms": 6500})),
    "challenge page": (Mishap("raw", {**_PAGE, "status": 403}), Mishap("raw", {**_PAGE, "status": 200})),
    "broken off": (Mishap("reset", _MIDWAY), Mishap("cut", _MIDWAY), Mishap("no_message_delta")),
    "silent midway": (Mishap("stall", _MIDWAY),),
    "silent": (Mishap("hang"),),
    "empty": (Mishap("empty_body"), Mishap("raw", {"text": "data: [DONE]\n\n"})),
    "garbled": (Mishap("garbage_frame"), Mishap("not_json")),
}
