"""Rotation: whose turn it is on a route, exact over all replicas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from parley.errors import StateUnavailable
from parley.state import keys, script
from parley.state.line import Line
from parley.state.terms import ms

_DAY: Final = 24 * 3600.0


class Rotation:
    """A counter for each route. Without Redis each process counts by itself, from its place in the fleet."""

    def __init__(self, line: Line, place: Callable[[], int]) -> None:
        self._line = line
        self._place = place
        self._own: dict[str, int] = {}

    async def turn(self, route: str, admitted_as: str = "") -> int:
        """The next number of a route: 0, 1, 2, ..., each to one caller in the fleet. One round trip.

        With `admitted_as` (`Asked.id`) a request that was not admitted takes no turn, and is told any number.
        """
        admission = keys.admission(admitted_as) if admitted_as else ""
        try:
            given: int = await self._line.run(script.ROTATE, keys.rotation(route), ms(_DAY), admission)
        except StateUnavailable:
            turn = self._own.get(route, self._place())
            self._own[route] = turn + 1
            return turn
        self._own.pop(route, None)
        return given - 1
