"""Parrot, which is told a whole conversation as one text."""

from __future__ import annotations

from . import CHALLENGE, Mishap, StandIns, Subject

SUBJECTS = (
    Subject(
        "parrot",
        "parrot",
        "pretty",
        "parrot",
        {"credentials": ["polly"]},
        second="molly",
        told=lambda report: str(report["body"]["text"]),
    ),
)

STAND_INS: StandIns = {"parrot": ("parrot", {})}

_PAGE = {"text": CHALLENGE, "content_type": "text/html"}
_MIDWAY = {"bytes": 200}  # of a long answer: after its first words, before its last

MISHAPS = {
    "refused": (Mishap("unauthorized"),),
    "throttled": (Mishap("rate_limit", {"retry_after": 7}),),
    "challenge page": (Mishap("raw", {**_PAGE, "status": 403}), Mishap("raw", {**_PAGE, "status": 200})),
    "broken off": (Mishap("reset", _MIDWAY), Mishap("cut", _MIDWAY), Mishap("never_done")),
    "silent midway": (Mishap("stall", _MIDWAY),),
    "silent": (Mishap("hang"),),
    "empty": (Mishap("no_words"),),
    "garbled": (Mishap("garbage"),),
}
