"""claude.ai, by the session of a browser, which is told a whole conversation as one text."""

from __future__ import annotations

from . import Mishap, Report, StandIns, Subject


def _told(report: Report) -> str:
    """The question, and what else its conversation remembers: which must be nothing."""
    assert report["branch"] == [], "a conversation was used twice"
    return str(report["body"]["prompt"])


_BY_CHANCE = ("turn_message_uuids", "completion_request_id")

SUBJECTS = (
    Subject(
        "claude-web",
        "claude-web",
        "claude-sonnet-4-5-20250929",
        "claude-web",
        {
            "credentials": ["sk-ant-sid01-one"],
            "models": ["claude-sonnet-4-5-20250929"],
            "concurrency": 100,
            "options": {"recovery_seconds": 0.3},
        },
        told=_told,
        second="sk-ant-sid01-two",
        accounts=("one", "two"),
        breaks=lambda _, size: tuple(
            Mishap(fault, {"bytes": size, "stored": False}, "completion") for fault in ("cut", "reset")
        ),
        asked=lambda report: {name: value for name, value in report["body"].items() if name not in _BY_CHANCE},
        asks={"reasoning": {"reasoning_effort": "low"}},
    ),
)

STAND_INS: StandIns = {"claude-web": ("claude_web", {})}

_ASKED = "completion"
_LOST = {"bytes": 1500, "stored": False}
_SOON = {"retry_after": 7}

MISHAPS = {
    "refused": (
        Mishap("session_invalid", route=_ASKED),
        Mishap("session_invalid", {"status": 401}, _ASKED),
        Mishap("authentication_error", route=_ASKED),
        Mishap("redirect_login", route=_ASKED),
        Mishap("org_disabled", route=_ASKED),
    ),
    "throttled": (Mishap("throttle", _SOON, _ASKED), Mishap("throttle", {"retry_after": "date"}, _ASKED)),
    "challenge page": (
        Mishap("cloudflare_403", route=_ASKED),
        Mishap("cloudflare_503", route=_ASKED),
        Mishap("cloudflare_200", route=_ASKED),
    ),
    "broken off": (
        Mishap("reset", _LOST, _ASKED),
        Mishap("cut", _LOST, _ASKED),
        Mishap("no_message_stop", {"stored": False}, _ASKED),
    ),
    "silent midway": (Mishap("stall", {"bytes": 1500}, _ASKED),),
    "silent": (Mishap("hang", route=_ASKED),),
    "empty": (Mishap("empty_body"), Mishap("only_pings"), Mishap("blank")),
    "garbled": (Mishap("garbage_frame"), Mishap("not_object")),
}
