"""Baidu Qianfan: v2 with an API key and with IAM keys, and the legacy API of access tokens."""

from __future__ import annotations

import json

from . import CHALLENGE, Mishap, Report, StandIns, Subject


def _turns(report: Report) -> str:
    body = report["body"]
    return json.dumps([body.get("system", ""), body["messages"]], ensure_ascii=False)


_KEY_1, _KEY_2 = (f"bce-v3/ALTAK-demo{n}/demosecretpart{n}" for n in (1, 2))
_KEY = {"credentials": [_KEY_1]}
_APPLICATION = {"credentials": [{"api_key": "demoapikey1", "secret_key": "demosecretkey1"}]}
_ACCESS_KEYS = {"credentials": [{"access_key": "DEMOAK", "secret_key": "DEMOSK"}]}
_ASKS = {"images": {"model": "ernie-4.5-vl-demo"}}

SUBJECTS = (
    Subject("qianfan", "qianfan", "ernie-4.0-8k", "qianfan", _KEY, "/v2", second=_KEY_2, asks=_ASKS),
    Subject(
        "qianfan-iam",
        "qianfan",
        "deepseek-v3",
        "qianfan-iam",
        _ACCESS_KEYS,
        "/v2",
        greets=True,
        excused=(),
        akin="qianfan",
        asks=_ASKS,
    ),
    Subject(
        "qianfan-legacy",
        "qianfan-legacy",
        "ERNIE-4.0-8K",
        "qianfan-legacy",
        _APPLICATION,
        told=_turns,
        second={"api_key": "demoapikey2", "secret_key": "demosecretkey2"},
        accounts=("demoapikey1", "demoapikey2"),
        greets=True,
        one_call=True,
        ends_with_words=True,
        excused=(),
    ),
)

STAND_INS: StandIns = {name: ("qianfan", {}) for name in ("qianfan", "qianfan-iam", "qianfan-legacy")}

_PAGE = {"text": CHALLENGE, "content_type": "text/html; charset=utf-8"}
_SOON = {"retry_after": 7}
_MIDWAY = {"bytes": 1400}  # of a long answer: after its first words, before its last


def _chat(fault: str, **params: object) -> Mishap:
    """Something that happens to questions, and not to the sale of tokens."""
    return Mishap(fault, params, "chat")


_SHARED = {
    "challenge page": (_chat("raw", **_PAGE, status=403), _chat("raw", **_PAGE, status=200)),
    "broken off": (_chat("reset", **_MIDWAY), _chat("cut", **_MIDWAY)),
    "silent midway": (_chat("stall", **_MIDWAY),),
    "silent": (_chat("hang"),),
    "empty": (_chat("empty_body"), _chat("raw", text=": keep-alive\n\n")),
    "garbled": (_chat("not_json"), _chat("truncated_json")),
}
_V2 = {
    "refused": (_chat("invalid_appid"), _chat("invalid_iam_token")),
    "throttled": (
        _chat("rpm_rate_limit_exceeded", **_SOON),
        _chat("Offline_batch_reasoning_refused", **_SOON),
    ),
    **_SHARED,
}
_IAM = {
    **{scene: mishaps[:1] for scene, mishaps in _V2.items()},
    "expired": (_chat("invalid_iam_token"),),
}
_LEGACY = {
    "refused": (_chat("code_13"), _chat("code_14")),
    "expired": (_chat("code_110"), _chat("code_111")),
    "throttled": (_chat("code_18", **_SOON), _chat("code_336502", **_SOON)),
    **_SHARED,
    "broken off": (*_SHARED["broken off"], _chat("cut_off")),
}

MISHAPS = {
    scene: {"qianfan": _V2.get(scene, ()), "qianfan-iam": _IAM[scene], "qianfan-legacy": _LEGACY[scene]}
    for scene in _LEGACY
}
