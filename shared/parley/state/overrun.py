"""Overrun: how a refusal by a limit of ours is said: which limit, of whom, how far it is used, and when to return."""

from __future__ import annotations

from typing import Final

from parley.catalog import Budget
from parley.errors import OverBudget, OverLimit, OverTokens

_MILLION: Final = 1_000_000


def overrun(
    scope: str, what: str | Budget, limit: int, *, wanted: int, retry_after: float | None, used: int | None = None
) -> OverLimit:
    """The refusal of a request that wants so much. `used` is None where it is not known: Redis is away."""
    if isinstance(what, Budget):
        name = f"{what.unit}_total" if what.period == "total" else f"{what.unit}_per_{what.period}"
    else:
        name = what
    money = isinstance(what, Budget) and what.unit == "money"
    facts = [f"limit {_written(limit, money)}", f"requested {_written(wanted, money)}"]
    if wanted > limit:
        sentences = [f"Request too large for '{scope}' on {name.replace('_', ' ')}: {', '.join(facts)}."]
    else:
        spoken = "Budget spent" if isinstance(what, Budget) else "Rate limit reached"
        if used is not None:
            facts.insert(1, f"used {_written(used, money)}")
        sentences = [f"{spoken} for '{scope}' on {name.replace('_', ' ')}: {', '.join(facts)}."]
    if used is None:
        sentences.append("Redis does not answer: this gateway keeps to its share.")
    if retry_after is not None:
        sentences.append(f"Please try again in {retry_after:g}s.")
    kind = OverBudget if isinstance(what, Budget) else OverTokens if name.startswith("tokens") else OverLimit
    return kind(" ".join(sentences), scope=scope, limit=name, retry_after=retry_after)


def _written(amount: int, money: bool) -> str:
    """Money with as many places as it has, and no more than six; anything else is whole."""
    if not money:
        return str(amount)
    whole, rest = divmod(amount, _MILLION)
    return f"{whole}.{rest:06}".rstrip("0").rstrip(".") if rest else str(whole)
