"""How a question that failed is answered: that it could not be told, and why; and which questions are asked again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import httpx

from parley.doctor.front import CannotTell, Front
from parley.doctor.report import Check, unknown

_TRIES: Final = 3


def steadily(ask: Callable[[Front], Awaitable[Check]]) -> Callable[[Front], Awaitable[Check]]:
    """A question about time, asked again after a bad answer: a busy machine delays now and then, a directive always."""

    async def asked(front: Front) -> Check:
        for _ in range(_TRIES - 1):
            if (check := await ask(front)).verdict != "fault":
                return check
        return await ask(front)

    return asked


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
