"""Services that speak OpenAI's API with an accent of their own: each row, against a stand-in that speaks like it.

What is no row's own (who leaves, who falls silent) is OpenAI's to play.
"""

from __future__ import annotations

import json
from typing import Any

from parley.providers.rows import ALL

from . import Mishap, StandIns, Subject

_OTHERS_PLAY = ("expired", "challenge page", "broken off", "silent midway", "silent", "empty", "garbled")


def _row(name: str, provider: str | None = None, **upstream: Any) -> Subject:
    entry = {"credentials": ["sk-upstream-1"], **upstream}
    where = f"/{name}/v1"
    return Subject(name, provider or name, "demo-mini", "lookalikes", entry, where, akin="openai", excused=_OTHERS_PLAY)


SUBJECTS = (
    _row("deepseek"),
    _row("moonshot"),
    _row("openrouter"),
    _row("siliconflow"),
    _row("qwen"),
    _row("ark"),
    _row("ollama"),
    _row("vllm"),
    _row("llama.cpp"),
    Subject(
        "compatible",
        "openai-compatible",
        "demo-mini",
        "lookalikes",
        {"credentials": ["sk-upstream-1"]},
        "/v1",
        akin="openai",
        excused=_OTHERS_PLAY,
    ),
    _row("relay", "openai-compatible", options={"features": sorted(ALL - {"custom_tools", "usage"})}),
    Subject(
        "h2ogpte-openai",
        "h2ogpte-openai",
        "gpt-4o",
        "h2ogpte",
        {"credentials": ["sk-h2o-test"]},
        "/openai_api/v1",
        told=lambda report: json.dumps(report["messages"], ensure_ascii=False),
        asked=lambda report: report["as_it_came"],
        crumbles={"chunk": 1, "chunk_by": "bytes"},
        waits=("first_token_delay", "chunk_delay"),
        akin="openai",
        excused=_OTHERS_PLAY,
    ),
)

STAND_INS: StandIns = {"lookalikes": ("openai", {}), "h2ogpte": ("h2ogpte", {})}

_NAMES = {
    subject.name: subject.name.replace(".", "")
    for subject in SUBJECTS
    if subject.stand_in == "lookalikes" and subject.name != "compatible"
}
_DOOR = "openai_api/v1/chat/completions"

MISHAPS = {
    "refused": {
        **{name: (Mishap(f"{theirs}_wrong_key"),) for name, theirs in _NAMES.items()},
        "compatible": (Mishap("invalid_api_key"),),
        "h2ogpte-openai": (Mishap("http_401", route=_DOOR),),
    },
    "throttled": {
        **{name: (Mishap(f"{theirs}_rate", {"retry_after": 7}),) for name, theirs in _NAMES.items()},
        "compatible": (Mishap("rate_limit", {"retry_after": 7}),),
        "h2ogpte-openai": (Mishap("http_429", {"retry_after": 7}, _DOOR),),
    },
}
