"""Whom a route asks first: each strategy is a pure function from its members to their order. Those after the first are
asked only when it fails, so an order is a choice and its failover in one.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway.routing import Candidate, Choice
from parley.chat.prompt import Developer, Prompt, System

Member = Candidate | Choice
Order = list[Member]

_EVERY_64_BITS: Final = 2.0**64


def rotated(members: Sequence[Member], turn: int) -> Order:
    """Round-robin: whose turn it is, then those after it."""
    at = turn % len(members)
    return [*members[at:], *members[:at]]


def shuffled(members: Sequence[Member]) -> Order:
    """Random: each order is as likely as any other."""
    return random.sample(members, len(members))


def by_weight(members: Sequence[Member]) -> Order:
    """Weighted: at random, each first as often as its weight says. So there is no counter for replicas to share, and
    no rhythm that they could fall into together."""
    return _drawn(members, lambda _: 1.0 - random.random())  # noqa: S311  # a choice, not a secret


def by_conversation(members: Sequence[Member], conversation: bytes) -> Order:
    """Sticky: the same conversation gives the same order on every replica, with nothing remembered (rendezvous hashing,
    by weight); when a member joins or leaves, only the conversations that it gains or had move."""

    def luck(member: Member) -> float:
        digest = hashlib.blake2b(_name(member).encode(), digest_size=8, key=conversation).digest()
        return (int.from_bytes(digest) + 1) / _EVERY_64_BITS

    return _drawn(members, luck)


def by_load(members: Sequence[Member], load: Callable[[Candidate], int]) -> Order:
    """Least busy: the fewest answers under way for its weight; among equals at random, lest all replicas agree."""

    def busy(member: Member) -> float:
        answers = min(map(load, _candidates(member)))
        return (answers + 1) / member.weight if member.weight else math.inf

    return sorted(shuffled(members), key=busy)


def by_speed(members: Sequence[Member], seconds: Callable[[Candidate], float]) -> Order:
    """Fastest: the shortest recent wait for a first token."""
    return sorted(members, key=lambda member: min(map(seconds, _candidates(member))))


def resting_last(members: Sequence[Member], rests: Callable[[Candidate], bool]) -> tuple[list[Member], list[Member]]:
    """Those who can be asked, and those who rest: nobody's turn is spent on them."""
    ready: list[Member] = []
    resting: list[Member] = []
    for member in members:
        (resting if all(map(rests, _candidates(member))) else ready).append(member)
    return ready, resting


def conversation(prompt: Prompt) -> bytes:
    """What stays the same while a conversation grows: the key that the caller gave it, its user, or how it began."""
    if said := prompt.prompt_cache_key or prompt.user:
        began: bytes = said.encode()
    else:
        head = []
        for message in prompt.messages:
            head.append(message)
            if not isinstance(message, System | Developer):
                break
        began = msgspec.json.encode(head)
    return hashlib.blake2b(began, digest_size=32).digest()


def _drawn(members: Sequence[Member], luck: Callable[[Member], float]) -> Order:
    """Ordered by exponential waiting times: who has weight w comes first with probability w over the sum of all."""

    def waits(member: Member) -> float:
        return -math.log(luck(member)) / member.weight if member.weight else math.inf

    return sorted(members, key=waits)


def _candidates(member: Member) -> list[Candidate]:
    return [member] if isinstance(member, Candidate) else list(member.candidates)


def _name(member: Member) -> str:
    return f"{member.upstream.name}/{member.model}" if isinstance(member, Candidate) else member.route
