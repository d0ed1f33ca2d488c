"""How nginx deals with several gateways: whether all get work, first where less is under way; whether a caller who
leaves is gone for the gateway too; and whether another takes over from one that dies before it said a word.

Requests that are held at the gateways make the questions exact: with `least_conn` the next goes where the fewest are.
Other traffic blurs that. What it could explain is no fault; where more held requests can tell, more are sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import choice
from typing import Final

import httpx

from parley.clock import monotonic, sleep
from parley.doctor.answers import told
from parley.doctor.front import CannotTell, Front, Held, Refused, name
from parley.doctor.reflection import TRIAL, Visit
from parley.doctor.report import Check, fault, ok, unknown

SPREAD: Final = "spread"
BALANCE: Final = "balance"
HANG_UP: Final = "hang-up"
TAKEOVER: Final = "takeover"

NAMES: Final = (SPREAD, BALANCE, HANG_UP, TAKEOVER)

_HELD_FOR: Final = 30.0
"""Seconds; all are released long before."""
_ROUNDS: Final = 3
_MOST_PER_ROUND: Final = 20
_NOTICED_WITHIN: Final = 2.0
_SETTLED_WITHIN: Final = 1.0
"""Seconds in which Redis and nginx agree again on who lives."""
_SPARED_FOR: Final = 5.5
"""Seconds in which a gateway that broke a connection for somebody else is ready to do so again."""


@dataclass(slots=True)
class Crowd:
    """Requests held at the gateways."""

    held: list[Held] = field(default_factory=list)
    broken: str = ""
    """Why there are no more, if there should be."""

    @property
    def counts(self) -> Counter[str]:
        """How many each gateway has."""
        return Counter(one.replica for one in self.held)

    def at(self, replica: str) -> list[Held]:
        """Those at one gateway."""
        return [one for one in self.held if one.replica == replica]


async def replicas(front: Front, only: Collection[str] = NAMES) -> list[Check]:
    """The checks that share the held requests."""
    async with AsyncExitStack() as stack:
        crowd = Crowd()
        stack.push_async_callback(_release, crowd)
        await _gather(front, crowd)
        spread = await _spread(front)
        checks = [spread, judge_balance(crowd.counts, front.living, spread_out=spread.verdict == "ok")]
        if not crowd.held:
            return [*checks, *(unknown(name, crowd.broken) for name in (HANG_UP, TAKEOVER))]
        chosen = _least(crowd.counts)
        checks += await told((HANG_UP,), _hang_up(front, crowd, chosen))
        if TAKEOVER in only:
            checks += await told((TAKEOVER,), _takeover(front, chosen, spread))
        return checks


async def _gather(front: Front, crowd: Crowd) -> None:
    """Hold requests, two per gateway; between any two ask all others once, so that mere turns come back to the same."""
    await front.mirror()
    gateways = max(len(front.living), len(front.seen), 1)
    for _ in range(_ROUNDS if gateways > 1 else 1):
        for _ in range(min(2 * gateways + 2, _MOST_PER_ROUND)):
            try:
                crowd.held.append(await front.hold(_HELD_FOR))
            except (CannotTell, httpx.HTTPError) as problem:
                crowd.broken = f"A request could not be held: {problem or type(problem).__name__}"
                return
            for _ in range(gateways - 1):
                await front.mirror()
        if not _piled(crowd.counts):
            return


def _piled(counts: Mapping[str, int]) -> bool:
    """Whether nearly all are at one gateway."""
    return max(counts.values(), default=0) > 0.8 * sum(counts.values())


async def _spread(front: Front) -> Check:
    missing = set(front.living) - front.seen
    if missing:  # one of them may have come, or gone, just now
        await sleep(_SETTLED_WITHIN)
        for _ in range(2 * len(front.living)):
            await front.mirror()
        missing = set(front.living) - front.seen
    beyond: bool | None = None
    if missing and len(front.seen) == 1:
        beyond = await _asks_beyond(front, next(iter(front.seen)))
    return judge_spread(front.seen, front.living, beyond)


def judge_spread(seen: Collection[str], living: Collection[str], beyond: bool | None) -> Check:
    """`beyond`: where only one was seen, whether nginx asks another when that one fails; None: not tried."""
    missing = sorted(set(living) - set(seen))
    figures = {"seen": len(seen), "living": len(living)}
    if not living:
        if len(seen) > 1:
            return ok(SPREAD, f"{len(seen)} gateways got requests (Redis does not say how many live).", **figures)
        return unknown(SPREAD, "One gateway got all requests; Redis does not say whether others live.", **figures)
    if not missing:
        return ok(
            SPREAD, "The one gateway gets requests." if len(living) == 1 else "All gateways get requests.", **figures
        )
    if beyond:
        return fault(
            SPREAD,
            f"One of {len(living)} gateways gets all requests of a client: something ties clients to gateways.",
            "least_conn",
            "least_conn;   # in upstream gateways, and no ip_hash, hash or sticky",
            **figures,
        )
    return fault(
        SPREAD,
        f"nginx does not know {len(missing)} of {len(living)} gateways: {', '.join(missing)}.",
        "server",
        "server ADDRESS max_fails=10 fail_timeout=1s;   # in upstream gateways, for each (NGINX_GATEWAYS)",
        **figures,
    )


async def _asks_beyond(front: Front, replica: str) -> bool:
    """Whether somebody else answers when that gateway does not; asked again if it was broken for others just now."""
    try:
        seen = (await front.mirror("POST", content=b"{}", broken_at=replica)).reflection
        if seen.spared:
            await sleep(_SPARED_FOR)
            seen = (await front.mirror("POST", content=b"{}", broken_at=replica)).reflection
    except Refused:
        return False
    return seen.replica != replica


def judge_balance(counts: Mapping[str, int], living: Collection[str], *, spread_out: bool) -> Check:
    """Held requests at each gateway that has some."""
    gateways = max(len(living), len(counts))
    figures = {"held": sum(counts.values()), "most_at_one": max(counts.values(), default=0)}
    if gateways < 2:
        return ok(BALANCE, "There is one gateway to send requests to.", **figures)
    if not counts:
        return unknown(BALANCE, "No request could be held at a gateway.")
    if not spread_out:
        return unknown(BALANCE, "Not all gateways get requests at all; see spread.", **figures)
    if _piled(counts):
        return fault(
            BALANCE,
            f"Of {figures['held']} long requests, {figures['most_at_one']} are at one of {gateways} gateways: nginx "
            "does not look at what is under way. (Or the others have that many more.)",
            "least_conn",
            "least_conn;   # in upstream gateways",
            **figures,
        )
    return ok(BALANCE, "A request goes where the fewest are under way.", **figures)


async def _hang_up(front: Front, crowd: Crowd, replica: str) -> Check:
    """Hang up on all that are held at one gateway; it must notice."""
    last = ""
    began = monotonic()
    for held in crowd.at(replica):
        await held.release()
        last = held.name
    while True:
        visit = await _about(front, replica, last)
        took = monotonic() - began
        if visit is not None and visit.hung_up:
            milliseconds = round(took * 1000, 1)
            return ok(
                HANG_UP,
                f"When a caller leaves, the gateway knows within {milliseconds:.0f} ms.",
                noticed_ms=milliseconds,
            )
        if took > _NOTICED_WITHIN:
            return fault(
                HANG_UP,
                f"A caller left, and after {took:.1f} s the gateway did not know: the upstream goes on for nobody.",
                "proxy_ignore_client_abort",
                "proxy_ignore_client_abort off;",
            )
        await sleep(0.02)


async def _takeover(front: Front, replica: str, spread: Check) -> Check:
    """Send a request to the gateway that has nothing held, which breaks the connection: nginx must ask another.

    nginx.conf has a second round for requests that all gateways failed. It would hide that the first round is over
    after one gateway; but as the others are busy, it chooses the same one again, which breaks the connection again.
    """
    gateways = len(front.seen)
    if gateways == 1:
        return _alone(spread)
    spared = False
    for attempt in range(3 * gateways):
        for _ in range(attempt % gateways):  # where nginx goes by turns, the right one comes
            await front.mirror()
        own = name()
        try:
            seen = await front.mirror("POST", headers={TRIAL: own}, content=b"{}", broken_at=replica)
        except Refused as refused:
            if refused.status not in (502, 503, 504):
                raise
            return judge_takeover(refused.status, await _about(front, replica, own))
        if seen.reflection.spared:
            if spared:
                break
            spared = True
            await sleep(_SPARED_FOR)
            continue
        visit = await _about(front, replica, own)
        if visit is not None:
            return judge_takeover(200, visit)
    raise CannotTell("With so much other traffic, the gateway that should fail was not the one that nginx chose.")


def judge_takeover(status: int, visit: Visit | None) -> Check:
    """A gateway broke a POST's connection as often as `visit` says; the client saw `status`."""
    figures = {"status": status, "arrivals": visit.arrivals if visit else 0}
    if status != 200:
        return fault(
            TAKEOVER,
            f"A gateway died before it answered, and the client got a {status}: nginx did not ask another.",
            "proxy_next_upstream",
            "proxy_next_upstream error timeout non_idempotent;",
            **figures,
        )
    return ok(TAKEOVER, "When a gateway dies before it answered, another answers; a POST, too.", **figures)


def _least(counts: Mapping[str, int]) -> str:
    """One of the gateways that have the fewest."""
    fewest = min(counts.values())
    return choice([replica for replica, held in counts.items() if held == fewest])  # noqa: S311  # no secret


def _alone(spread: Check) -> Check:
    if spread.figures.get("living") == 1:
        return unknown(TAKEOVER, "There is one gateway: nobody could take over from it. Start a second.")
    return unknown(TAKEOVER, "Only one gateway gets requests; see spread.")


async def _about(front: Front, replica: str, own: str) -> Visit | None:
    """What a gateway knows of a request. Raises CannotTell when that gateway cannot be reached."""
    for _ in range(6 * max(1, len(front.living))):
        seen = (await front.mirror(about=own)).reflection
        if seen.replica == replica:
            return seen.about
    raise CannotTell("With so much other traffic, the gateway in question could not be asked again.")


async def _release(crowd: Crowd) -> None:
    for held in crowd.held:
        await held.release()
