"""From who may answer to who is asked when: the plan of one request.

Only `round-robin` asks Redis (a counter that all replicas share, so that turns are exact); everything else is decided
by what this process knows: how upstreams stood at its last look (a second ago at most), and what it saw itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway import strategies
from gateway.routing import Candidate, Choice, Choices
from gateway.speeds import Speeds
from gateway.strategies import Order
from parley.chat.prompt import Prompt
from parley.state.rotation import Rotation
from parley.state.vault import Vault

Lane = Sequence[Candidate]
"""Asked one after another, until one speaks."""
Heat = Sequence[Lane]
"""Lanes that run side by side."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Heats, run one after another until somebody speaks."""

    heats: Sequence[Heat]


@dataclass(frozen=True, slots=True)
class Planner:
    """What is known about those who may answer."""

    vault: Vault
    rotation: Rotation
    speeds: Speeds

    async def plan(self, choices: Choices, prompt: Prompt, admitted_as: str = "") -> Plan:
        """Decide. With `admitted_as` (`Asked.id`) a turn is only taken by a request that was admitted."""
        if len(choices) == 1 and isinstance(choices[0], Candidate):
            return Plan([[[choices[0]]]])
        heats: list[Heat] = []
        for number, choice in enumerate(choices):
            heats += await self._heats(choice, prompt, admitted_as, first=number == 0)
        return Plan(_joined(heats))

    async def _heats(self, choice: Candidate | Choice, prompt: Prompt, admitted_as: str, *, first: bool) -> list[Heat]:
        if isinstance(choice, Candidate):
            return [[[choice]]]
        if choice.strategy == "parallel":
            return [[await self._lane(member, prompt, admitted_as, first=first) for member in choice.members]]
        heats: list[Heat] = []
        for number, member in enumerate(await self._ordered(choice, prompt, admitted_as, first=first)):
            heats += await self._heats(member, prompt, admitted_as, first=first and number == 0)
        return heats

    async def _lane(self, member: Candidate | Choice, prompt: Prompt, admitted_as: str, *, first: bool) -> Lane:
        heats = await self._heats(member, prompt, admitted_as, first=first)
        return [candidate for heat in heats for lane in heat for candidate in lane]

    async def _ordered(self, choice: Choice, prompt: Prompt, admitted_as: str, *, first: bool) -> Order:
        """Who rests comes last, whatever the strategy. `first`: the choice is asked, and not only a fallback."""
        if choice.strategy == "failover" or len(choice.members) == 1:
            return list(choice.members)
        ready, resting = strategies.resting_last(choice.members, self._rests)
        if not ready:
            ready, resting = resting, ready
        match choice.strategy:
            case "round-robin":  # a turn is only taken by who is asked
                order = strategies.rotated(ready, await self.rotation.turn(choice.route, admitted_as) if first else 0)
            case "random":
                order = strategies.shuffled(ready)
            case "weighted":
                order = strategies.by_weight(ready)
            case "sticky":
                order = strategies.by_conversation(ready, strategies.conversation(prompt))
            case "least-busy":
                order = strategies.by_load(ready, self._busy)
            case "fastest":
                order = strategies.by_speed(ready, self.speeds.expected)
                if first and isinstance(order[0], Candidate):
                    self.speeds.tries(order[0])
            case _:
                order = list(ready)
        return [*order, *resting]

    def _rests(self, candidate: Candidate) -> bool:
        return self.vault.rests(candidate.upstream.name)

    def _busy(self, candidate: Candidate) -> int:
        return self.vault.busy(candidate.upstream.name)


def _joined(heats: Sequence[Heat]) -> Sequence[Heat]:
    """Neighbours of one lane each are one after another anyway."""
    joined: list[Heat] = []
    for heat in heats:
        if joined and len(heat) == len(joined[-1]) == 1:
            joined[-1] = [[*joined[-1][0], *heat[0]]]
        else:
            joined.append(heat)
    return joined
