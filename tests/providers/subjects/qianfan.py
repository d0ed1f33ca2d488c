"""Baidu Qianfan: v2 with the bearers that IAM keys buy, and the legacy API with the access tokens of an application.

Both are signed in by tokens that run out, which is the longer way; v2 with an API key, and the legacy API signed with
IAM keys, are in `tests/shared/providers/test_qianfan.py`.
"""

from __future__ import annotations

import json

from . import CHALLENGE, Mishap, Report, StandIns, Subject


def _turns(report: Report) -> str:
    body = report["body"]
    return json.dumps([body.get("system"), body["messages"]], ensure_ascii=False)


SUBJECTS = (
    Subject(
        "qianfan",
        "qianfan",
        "ernie-4.0-8k",
        "qianfan",
        {"credentials": [{"access_key": "DEMOAK", "secret_key": "DEMOSK"}]},
        "/v2",
        second={"access_key": "SECONDAK", "secret_key": "SECONDSK"},
        accounts=("DEMOAK", "SECONDAK"),
        greets=True,
        excused=(),
        asks={"images": {"model": "ernie-4.5-vl-demo"}},
    ),
    Subject(
        "qianfan-legacy",
        "qianfan-legacy",
        "ERNIE-4.0-8K",
        "qianfan-legacy",
        {"credentials": [{"api_key": "demoapikey1", "secret_key": "demosecretkey1"}]},
        told=_turns,
        second={"api_key": "demoapikey2", "secret_key": "demosecretkey2"},
        accounts=("demoapikey1", "demoapikey2"),
        greets=True,
        one_call=True,
        ends_with_words=True,
        excused=(),
    ),
)

STAND_INS: StandIns = {"qianfan": ("qianfan", {}), "qianfan-legacy": ("qianfan", {})}

_PAGE = {"text": CHALLENGE, "content_type": "text/html; charset=utf-8"}
_SOON = {"retry_after": 7}
_MIDWAY = {"bytes": 1400}  # of a long answer: after its first words, before its last


def _chat(fault: str, **params: object) -> Mishap:
    """Something that happens to questions, and not to the sale of tokens."""
    return Mishap(fault, params, "chat")


_V2 = {
    "refused": (_chat("invalid_appid"), _chat("http_error", status=401)),
    "expired": (_chat("invalid_iam_token"),),
    "throttled": (_chat("rpm_rate_limit_exceeded", **_SOON), _chat("Offline_batch_reasoning_refused", **_SOON)),
    "challenge page": (_chat("raw", **_PAGE, status=403), _chat("raw", **_PAGE, status=200)),
    "broken off": (_chat("reset", **_MIDWAY), _chat("cut", **_MIDWAY)),
    "silent midway": (_chat("stall", **_MIDWAY),),
    "silent": (_chat("hang"),),
    "empty": (_chat("empty_body"), _chat("raw", text=": keep-alive\n\n")),
    "garbled": (_chat("not_json"), _chat("truncated_json")),
}
_LEGACY = {
    **_V2,
    "refused": (_chat("code_13"), _chat("code_14")),
    "expired": (_chat("code_110"), _chat("code_111")),
    "throttled": (_chat("code_18", **_SOON), _chat("code_336502", **_SOON)),
    "broken off": (_chat("reset", **_MIDWAY), _chat("cut_off")),
}

MISHAPS = {scene: {"qianfan": _V2[scene], "qianfan-legacy": _LEGACY[scene]} for scene in _V2}
