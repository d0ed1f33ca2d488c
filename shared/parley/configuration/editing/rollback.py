"""Going back to an earlier revision, without giving a key back to whoever it was taken from.

What was configured then counts again, but a key that is refused by now stays refused: one that was deleted, the one
before a rotation, one that was disabled, one that expired. It may have been given up because somebody else knows it,
and whoever goes back for the sake of a route does not think of that. What else is said of a key (its models, its
limits) is as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from parley.configuration.editing.edits import Changes
from parley.configuration.editing.overlay import View

Refusal = Literal["deleted", "rotated", "disabled", "expired"]

_ITSELF: Final = ("prefix", "hash", "previous", "created", "rotated")
"""Which key it is, beside what an operator decides about it."""


class Kept(NamedTuple):
    """A key that would have been good again, and why it is not."""

    key: str
    because: Refusal


class WentBack(NamedTuple):
    """The changes of an earlier revision as they may count again, and which keys of it stay refused."""

    changes: Changes
    kept: tuple[Kept, ...]


def went_back(view: View, past: Mapping[str, Any], *, now: float) -> WentBack:
    """The changes of a `past` revision for what there is at `now` (seconds since the epoch)."""
    keys: dict[str, Any] = dict(past.get("keys", {}))
    kept: list[Kept] = []
    held = view.document["keys"]
    for name, then in View(view.sources, past).document["keys"].items():
        if name not in held:
            kept.append(Kept(name, "deleted"))
            keys.pop(name, None)
            if name in view.sources.document["keys"]:
                keys[name] = None
        elif why := list(_refused_since(then, held[name], now)):
            kept += [Kept(name, reason) for reason in why]
            keys[name] = _still_refused(then, held[name], now)
    return WentBack({**past, "keys": keys} if keys or "keys" in past else dict(past), tuple(kept))


def _refused_since(then: Mapping[str, Any], held: Mapping[str, Any], now: float) -> Iterator[Refusal]:
    if any(then.get(member) != held.get(member) for member in ("hash", "previous")):
        yield "rotated"
    if held.get("disabled") and not then.get("disabled"):
        yield "disabled"
    if _is_over(held, now) and not _is_over(then, now):
        yield "expired"


def _still_refused(then: Mapping[str, Any], held: Mapping[str, Any], now: float) -> dict[str, Any]:
    decided = {member: said for member, said in then.items() if member not in _ITSELF}
    itself = {"prefix": "", "created": now, **{member: held[member] for member in _ITSELF if member in held}}
    if held.get("disabled"):
        decided["disabled"] = True
    if _is_over(held, now):
        decided["expires"] = held["expires"]
    return {**decided, **itself}


def _is_over(key: Mapping[str, Any], now: float) -> bool:
    """Whether it expired. (A moment without a zone is UTC; the file's entries say so by now.)"""
    expires = key.get("expires")
    if not expires:
        return False
    moment = datetime.fromisoformat(expires)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() <= now
