"""Zhipu's platform: v4 with both ways to sign in, and v3."""

from __future__ import annotations

import json

from . import CHALLENGE, Mishap, Report, StandIns, Subject

_KEY = {"credentials": ["demoid0123456789.demosecret"]}

_SECOND = "second0123456789.secondsecret"
_SEES = {"model": "glm-4.6v"}


def _turns(report: Report) -> str:
    return json.dumps(report["body"]["prompt"], ensure_ascii=False)


SUBJECTS = (
    Subject("zhipu", "zhipu", "glm-4.6v", "zhipu", _KEY, "/api/paas/v4", second=_SECOND),
    Subject(
        "zhipu-jwt",
        "zhipu",
        "glm-4.6",
        "zhipu",
        {**_KEY, "options": {"sign_in": "jwt"}},
        "/api/paas/v4",
        akin="zhipu",
        asks={"images": _SEES, "audio_input": _SEES},
    ),
    Subject(
        "zhipu-v3", "zhipu-v3", "chatglm_lite", "zhipu", _KEY, "/api/paas/v3/model-api", told=_turns, second=_SECOND
    ),
)

STAND_INS: StandIns = {"zhipu": ("zhipu", {})}

_PAGE = {"text": CHALLENGE, "content_type": "text/html; charset=utf-8"}
_SOON = {"retry_after": 7}
_MIDWAY = {"bytes": 900}  # of a long answer: after its first words, before its last

_SHARED = {
    "refused": (Mishap("code_1002"), Mishap("code_1112"), Mishap("code_1220"), Mishap("front_401")),
    "throttled": (Mishap("code_1302", _SOON), Mishap("code_1303", _SOON)),
    "challenge page": (Mishap("raw", {**_PAGE, "status": 403}), Mishap("raw", {**_PAGE, "status": 200})),
    "broken off": (Mishap("reset", _MIDWAY), Mishap("cut", _MIDWAY)),
    "silent midway": (Mishap("stall", _MIDWAY),),
    "silent": (Mishap("hang"),),
    "empty": (Mishap("empty_body"), Mishap("raw", {"text": ": keep-alive\n\n"})),
    "garbled": (Mishap("not_json"), Mishap("truncated_json")),
}
_FEW = {scene: mishaps[:1] for scene, mishaps in _SHARED.items()}

MISHAPS = {
    scene: {"zhipu": mishaps, "zhipu-jwt": _FEW[scene], "zhipu-v3": mishaps if scene != "refused" else mishaps[:2]}
    for scene, mishaps in _SHARED.items()
}
