"""The router of Hugging Face."""

from __future__ import annotations

from . import CHALLENGE, Mishap, StandIns, Subject

SUBJECTS = (
    Subject(
        "huggingface",
        "huggingface",
        "demo-org/demo-120b",
        "huggingface",
        {"credentials": ["hf_demo"]},
        "/v1",
        second="sk-upstream-2",
    ),
)

STAND_INS: StandIns = {"huggingface": ("openai", {"dialect": "huggingface"})}

_PAGE = {"text": CHALLENGE, "content_type": "text/html; charset=utf-8"}
_MIDWAY = {"bytes": 900}  # of a long answer in OpenAI's frames: after its first words, before its last

MISHAPS = {
    "refused": (Mishap("hf_unauthorized"), Mishap("hf_permission")),
    "throttled": (Mishap("hf_rate_limit", {"retry_after": 7}),),
    "challenge page": (Mishap("raw", {**_PAGE, "status": 503}),),
    "broken off": (Mishap("reset", _MIDWAY), Mishap("cut", _MIDWAY)),
    "silent midway": (Mishap("stall", _MIDWAY),),
    "silent": (Mishap("hang"),),
    "empty": (Mishap("empty_body"), Mishap("raw", {"text": ": keep-alive\n\n"})),
    "garbled": (Mishap("garbage_frame"), Mishap("truncated_json")),
}
