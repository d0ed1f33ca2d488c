"""iFlytek Spark, over its signed sockets and over HTTP."""

from __future__ import annotations

import json

from . import CHALLENGE, Mishap, Report, StandIns, Subject


def _told(report: Report) -> str:
    """What the frame says."""
    return json.dumps(report["frame"]["payload"]["message"]["text"], ensure_ascii=False)


def _break(frames: int, _: int) -> tuple[Mishap, ...]:
    ways = Mishap("cut", {"frames": frames}, "question"), Mishap("reset", {"frames": frames}, "question")
    return ways if frames <= 8 else ()  # the short answer has fewer


_APPLICATION = {"app_id": "demoapp1", "api_key": "demo-api-key", "api_secret": "demo-api-secret"}

SUBJECTS = (
    Subject(
        "spark",
        "spark",
        "generalv3.5",
        "spark",
        {"credentials": [_APPLICATION], "models": ["generalv3.5"], "options": {"image_hosts": ["127.0.0.1"]}},
        told=_told,
        second={"app_id": "demoapp2", "api_key": "demo-api-key-2", "api_secret": "demo-api-secret-2"},
        accounts=("demoapp1", "demoapp2"),
        breaks=_break,
        crumbles=Mishap("split", {"size": 1}, "question"),
        one_call=True,
        ends_with_words=True,
        asked=lambda report: report["frame"],
        asks={"images": {"model": "imagev3"}, "web_search": {"model": "4.0Ultra"}, "reasoning": {"model": "x1"}},
    ),
    Subject(
        "spark-http",
        "spark-http",
        "generalv3.5",
        "spark-http",
        {"credentials": ["demo-password"], "models": ["generalv3.5"]},
        asks={"reasoning": {"model": "x1"}},
        second="demo-password-2",
        breaks=lambda _, size: (Mishap("cut_bytes", {"bytes": size}), Mishap("reset_bytes", {"bytes": size})),
    ),
)

STAND_INS: StandIns = {"spark": ("spark", {}), "spark-http": ("spark", {})}

_DOOR = "socket/v3.5/chat"
"""Where questions knock, and probes do not."""
_PAGE = {"text": CHALLENGE, "content_type": "text/html"}
_MIDWAY = {"frames": 20}
_BYTES = {"bytes": 3000}

MISHAPS = {
    "refused": {
        "spark": (
            Mishap("unauthorized", route=_DOOR),
            Mishap("no_credential", route=_DOOR),
            Mishap("headers_list", route=_DOOR),
            Mishap("bad_signature", route=_DOOR),
            Mishap("code", {"code": 10015}, "question"),
        ),
        "spark-http": (Mishap("invalid_user"), Mishap("bad_form"), Mishap("code", {"code": 10015})),
    },
    "throttled": {
        "spark": (Mishap("refuse", {"status": 429, "retry_after": 7}, _DOOR),),
        "spark-http": (
            Mishap("http_error", {"status": 429, "retry_after": 7}),
            Mishap("http_error", {"status": 429, "code": 11202, "retry_after": 7}),
        ),
    },
    "challenge page": {
        "spark": (
            Mishap("refuse", {**_PAGE, "status": 403}, _DOOR),
            Mishap("refuse", {**_PAGE, "status": 200}, _DOOR),
        ),
        "spark-http": (Mishap("raw", {**_PAGE, "status": 403}), Mishap("raw", {**_PAGE, "status": 200})),
    },
    "broken off": {
        "spark": (
            Mishap("reset", _MIDWAY, "question"),
            Mishap("cut", _MIDWAY, "question"),
            Mishap("close", {**_MIDWAY, "code": 1000}, "question"),
        ),
        "spark-http": (Mishap("reset_bytes", _BYTES), Mishap("cut_bytes", _BYTES)),
    },
    "silent midway": {
        "spark": (Mishap("stall", _MIDWAY, "question"),),
        "spark-http": (Mishap("stall_bytes", _BYTES),),
    },
    "silent": {"spark": (Mishap("stall", route="question"),), "spark-http": (Mishap("hang"),)},
    "empty": {
        "spark": (Mishap("empty", route="question"),),
        "spark-http": (Mishap("empty"), Mishap("raw"), Mishap("raw", {"text": "data:[DONE]\n\n"})),
    },
    "garbled": {
        "spark": (Mishap("not_json", _MIDWAY, "question"), Mishap("not_utf8", _MIDWAY, "question")),
        "spark-http": (Mishap("not_json", _MIDWAY), Mishap("raw", {"text": "upstream said what?"})),
    },
}
