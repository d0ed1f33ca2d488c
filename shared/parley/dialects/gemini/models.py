"""What the name of a Gemini model tells: where it is, and how it thinks (`upstreams/gemini.md` sections 1 and 4)."""

from __future__ import annotations

import re
from typing import Any, Final

from parley.errors import BadRequest, ModelNotFound

_NAME: Final = re.compile(r"(?:(?P<kind>models|tunedModels)/)?(?P<name>[A-Za-z0-9_-][A-Za-z0-9._-]*)")
_GENERATION: Final = re.compile(r"gemini-(?P<major>\d+)(?:\.(?P<minor>\d+))?(?:-|$)")
_ANY_GENERATION: Final = re.compile(r"gemini-[a-z]")
"""`gemini-flash-latest` and its like: the newest there is."""
_SILENT: Final = re.compile(r"-(?:image|tts|live|audio|embedding|robotics|computer)")
"""Special models that do not think, or do not know how to be told to."""
_NEWEST: Final = (3, 0)
_BUDGETS: Final = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
"""The vendor's own table."""
_LEAST_BUDGET: Final = 128
_LEVELS: Final = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}


def path_of(model: str) -> str:
    """The model's path below the API's version. Raises ModelNotFound for what cannot be a name there."""
    found = _NAME.fullmatch(model)
    if found is None:
        raise ModelNotFound("The model's name is not one that Gemini could have.", param="model")
    return f"{found['kind'] or 'models'}/{found['name']}"


def generation(model: str) -> tuple[int, int] | None:
    """(3, 1) for `gemini-3.1-pro`; the newest for a name without a number; None for models that are no Gemini."""
    name = model.rpartition("/")[2].lower()
    if found := _GENERATION.match(name):
        return int(found["major"]), int(found["minor"] or 0)
    return _NEWEST if _ANY_GENERATION.match(name) else None


def wants_signatures(model: str) -> bool:
    """Whether the model refuses its own calls when they come back without their signature."""
    return (generation(model) or (0, 0)) >= _NEWEST


def knows_instructions(model: str) -> bool:
    """Whether the model takes a system instruction; Gemma's do not."""
    return not model.rpartition("/")[2].lower().startswith("gemma")


def thinking(model: str, effort: str | None) -> dict[str, Any]:
    """The `thinkingConfig` for this model and effort; empty where there is nothing to say. Raises BadRequest."""
    if effort is not None and effort not in _LEVELS:
        known = ", ".join(f"'{name}'" for name in _LEVELS)
        raise BadRequest(
            f"Invalid value for 'reasoning_effort': expected one of {known}.",
            param="reasoning_effort",
            code="invalid_value",
        )
    made = generation(model)
    if made is None or made < (2, 5) or _SILENT.search(model):
        return {}
    told: dict[str, Any] = {"includeThoughts": True}
    if effort is None:
        return told
    pro = "-pro" in model
    if made >= _NEWEST:
        level = _LEVELS[effort]
        return {**told, "thinkingLevel": "LOW" if pro and level == "MINIMAL" else level}
    budget = _BUDGETS[effort]
    if not budget and not pro:
        return {"thinkingBudget": 0}  # no thoughts can be asked for where none are thought
    return {**told, "thinkingBudget": max(budget, _LEAST_BUDGET)}
