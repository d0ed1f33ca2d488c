"""gptomni, which is told a whole conversation as one text."""

from __future__ import annotations

from . import Mishap, StandIns, Subject

SUBJECTS = (
    Subject(
        "gptomni",
        "gptomni",
        "gptomni",
        "gptomni",
        {"credentials": ["__Secure-next-auth.session-token=tok-1"], "models": ["gptomni"]},
        second="__Secure-next-auth.session-token=tok-2",
        accounts=("tok-1", "tok-2"),
        told=lambda report: str(report["prompt"]),
        asked=lambda report: report["prompt"],
    ),
)

STAND_INS: StandIns = {"gptomni": ("gptomni", {})}

_SOON = {"retry_after": 7}

MISHAPS = {
    "refused": (
        Mishap("unauthorized_json"),
        Mishap("unauthorized_empty"),
        Mishap("redirect_login"),
        Mishap("login_html_200"),
        Mishap("error_json_200"),
    ),
    "throttled": (Mishap("rate_limit", _SOON), Mishap("rate_limit_text", _SOON)),
    "challenge page": (
        Mishap("cloudflare_403"),
        Mishap("cloudflare_503"),
        Mishap("cloudflare_429"),
        Mishap("cloudflare_200"),
        Mishap("cloudflare_block"),
    ),
    "broken off": (Mishap("reset", {"bytes": 60}), Mishap("cut", {"bytes": 60}), Mishap("half_character")),
    "silent midway": (Mishap("stall", {"bytes": 60}),),
    "silent": (Mishap("hang"),),
    "empty": (Mishap("empty"), Mishap("whitespace")),
    "garbled": (Mishap("invalid_utf8"),),
}
