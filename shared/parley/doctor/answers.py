"""How a question that failed is answered: that it could not be told, and why."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

import httpx

from parley.doctor.front import CannotTell
from parley.doctor.report import Check, unknown


async def told(names: Sequence[str], asked: Awaitable[Check | list[Check]]) -> list[Check]:
    """The answers, or why there are none."""
    try:
        found = await asked
    except CannotTell as reason:
        return [unknown(name, str(reason)) for name in names]
    except httpx.HTTPError as problem:
        said = str(problem) or type(problem).__name__
        return [unknown(name, f"The connection broke before there was an answer: {said}.") for name in names]
    return found if isinstance(found, list) else [found]
