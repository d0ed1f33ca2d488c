"""Services that speak OpenAI's API with an accent of their own: each row, against a stand-in that speaks like it.

What is no row's own (who leaves, who falls silent) is OpenAI's to play.
"""

from __future__ import annotations

from typing import Any

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
    _row("relay", "openai-compatible"),
)

STAND_INS: StandIns = {"lookalikes": ("openai", {})}

_NAMES = {subject.name: subject.name.replace(".", "") for subject in SUBJECTS}

MISHAPS = {
    "refused": {name: (Mishap(f"{theirs}_wrong_key"),) for name, theirs in _NAMES.items()},
    "throttled": {name: (Mishap(f"{theirs}_rate", {"retry_after": 7}),) for name, theirs in _NAMES.items()},
}
