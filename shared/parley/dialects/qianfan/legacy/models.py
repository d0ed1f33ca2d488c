"""Which path a model has. Old names of a model are known too, and names in any case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

OFFERED: Final = (
    "ERNIE-4.0-8K",
    "ERNIE-4.0-8K-Latest",
    "ERNIE-4.0-Turbo-8K",
    "ERNIE-3.5-8K",
    "ERNIE-3.5-128K",
    "ERNIE-Speed-8K",
    "ERNIE-Speed-128K",
    "ERNIE-Lite-8K",
    "ERNIE-Tiny-8K",
    "ERNIE-Character-8K",
    "ERNIE-Functions-8K",
)
"""What is offered unless an operator says otherwise: the API has no list to ask for."""

_PATHS: Final[Mapping[str, str]] = {
    "ernie-4.0-8k": "completions_pro",
    "ernie-bot-4": "completions_pro",
    "ernie-4.0-8k-0518": "completions_adv_pro",
    "ernie-4.0-8k-preview-0518": "completions_adv_pro",
    "ernie-3.5-8k": "completions",
    "ernie-bot": "completions",
    "ernie-lite-8k-0922": "eb-instant",
    "ernie-bot-turbo": "eb-instant",
    "ernie-lite-8k-0308": "ernie-lite-8k",
    "ernie-speed-8k": "ernie_speed",
    "ernie-speed": "ernie_speed",
    "ernie-character-8k": "ernie-char-8k",
    "ernie-functions-8k": "ernie-func-8k",
    "ernie-function-8k": "ernie-func-8k",
}
"""Models whose path is not simply their name."""


def endpoint(model: str, own: Mapping[str, str]) -> str:
    """The last part of the model's address; `own` are an operator's (names in lower case), before all others."""
    name = model.lower()
    return quote(own.get(name) or _PATHS.get(name) or name, safe="")
