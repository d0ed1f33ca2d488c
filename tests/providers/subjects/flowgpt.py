"""FlowGPT: with a bare token, told the conversation with the question; and with a login, told it beforehand."""

from __future__ import annotations

import time

from tests.upstreams.flowgpt.tokens import token

from . import Mishap, Report, StandIns, Subject

_YESTERDAY = time.time() - 86400


def _heard(report: Report) -> str:
    return "\n".join(str(turn["content"]) for turn in report["heard"])


def _break(_: int, size: int) -> tuple[Mishap, ...]:
    return Mishap("cut", {"bytes": size}, "chat"), Mishap("reset", {"bytes": size}, "chat")


SUBJECTS = (
    Subject(
        "flowgpt",
        "flowgpt",
        "gpt-4-free",
        "flowgpt",
        {"credentials": [token("acct-1", issued=_YESTERDAY)], "models": ["gpt-4-free"]},
        told=_heard,
        second=token("acct-3", issued=_YESTERDAY),
        accounts=("acct-1", "acct-3"),
        breaks=_break,
    ),
    Subject(
        "flowgpt-login",
        "flowgpt",
        "default",
        "flowgpt",
        {
            "credentials": [{"value": token("acct-2", issued=_YESTERDAY), "cookie": "login-2"}],
            "models": ["default"],
            "options": {"context_mode": "create"},
        },
        told=_heard,
        second={"value": token("acct-3", issued=_YESTERDAY), "cookie": "login-3"},
        accounts=("acct-2", "acct-3"),
        breaks=_break,
        asked=lambda report: {name: value for name, value in report["body"].items() if name != "conversationId"},
        excused=("refused",),  # a token that is refused is renewed: that is its scene "expired"
    ),
)

STAND_INS: StandIns = {"flowgpt": ("flowgpt", {})}

_SOON = {"retry_after": 7}
_MIDWAY = {"bytes": 300}  # after a few lines of a long answer

MISHAPS = {
    "refused": {"flowgpt": (Mishap("unauthorized"), Mishap("forbidden"), Mishap("suspended"))},
    "expired": {
        "flowgpt-login": (Mishap("revoke", route="create"), Mishap("revoke", route="chat")),
    },
    "throttled": {
        "flowgpt": (Mishap("rate_limit", _SOON), Mishap("rate_limit_ip", _SOON)),
        "flowgpt-login": (Mishap("rate_limit", _SOON, "create"),),
    },
    "challenge page": {
        "flowgpt": (Mishap("cloudflare_403"), Mishap("cloudflare_503"), Mishap("cloudflare_200"), Mishap("waf_202")),
        "flowgpt-login": (Mishap("waf_405", route="create"),),
    },
    "broken off": {
        "flowgpt": (Mishap("reset", _MIDWAY), Mishap("cut", _MIDWAY), Mishap("half_line")),
        "flowgpt-login": (Mishap("reset", _MIDWAY, "chat"),),
    },
    "silent midway": (Mishap("stall", _MIDWAY, "chat"),),
    "silent": (Mishap("hang", route="chat"),),
    "empty": {
        "flowgpt": (Mishap("empty"), Mishap("blank_lines"), Mishap("no_words")),
        "flowgpt-login": (Mishap("empty", route="chat"),),
    },
    "garbled": {
        "flowgpt": (Mishap("not_json"), Mishap("invalid_utf8"), Mishap("page_200")),
        "flowgpt-login": (Mishap("no_id", route="create"),),
    },
}
