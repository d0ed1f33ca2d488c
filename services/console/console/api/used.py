"""Amounts that were used, as the admin API shows them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from parley.state.meter import BOUNDS
from parley.state.readings import Amounts
from parley.state.readings import Histogram as Measured

OTHER: Final = "`other` are all those together that have no series of their own."
_SHARES: Final = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))


class Bucket(BaseModel):
    """How many took no longer, and longer than the bucket before."""

    le: Annotated[float | None, Field(description="Seconds; null: any.")]
    count: int


class Histogram(BaseModel):
    """How long it took, in seconds."""

    count: int
    seconds: Annotated[float, Field(description="All together.")]
    mean: float | None
    p50: Annotated[float | None, Field(description="Quantiles are as good as the buckets: linear inside of each.")]
    p90: float | None
    p99: float | None
    buckets: list[Bucket]


class Tokens(BaseModel):
    """Tokens; of those that were measured and of those that were estimated."""

    total: int
    prompt: int
    completion: int
    cached: Annotated[int, Field(description="Part of the measured prompt.")]
    reasoning: Annotated[int, Field(description="Part of the measured completion.")]
    estimated_prompt: int
    estimated_completion: int


class Used(BaseModel):
    """What was used."""

    requests: Annotated[int, Field(description="That ended; of upstreams and credentials: attempts.")]
    failed: int
    errors: Annotated[dict[str, int], Field(description="The failed ones by kind (docs/metrics.md, error_type).")]
    tokens: Tokens
    cost: Annotated[float, Field(description="By the price table of the moment; what has no price costs nothing.")]
    currency: str
    duration: Histogram
    first_token: Annotated[Histogram, Field(description="Of those that had one.")]

    @staticmethod
    def told(amounts: Amounts, currency: str) -> dict[str, Any]:
        """The members, of these amounts."""
        of = amounts.of
        return {
            "requests": amounts.requests,
            "failed": sum(amounts.errors.values()),
            "errors": amounts.errors,
            "tokens": Tokens(
                total=amounts.tokens,
                prompt=of("prompt"),
                completion=of("completion"),
                cached=of("cached"),
                reasoning=of("reasoning"),
                estimated_prompt=of("estimated_prompt"),
                estimated_completion=of("estimated_completion"),
            ),
            "cost": amounts.cost / 1e6,
            "currency": currency,
            "duration": _histogram(amounts.took),
            "first_token": _histogram(amounts.waited),
        }


def quantiles(measured: Measured) -> dict[str, float | None]:
    """The quantiles that are told, by their names; milliseconds are enough."""
    found = {name: measured.quantile(share) for name, share in _SHARES}
    return {name: None if seconds is None else round(seconds, 3) for name, seconds in found.items()}


def _histogram(measured: Measured) -> Histogram:
    return Histogram(
        count=measured.count,
        seconds=measured.seconds,
        mean=round(measured.seconds / measured.count, 3) if measured.count else None,
        buckets=[Bucket(le=le, count=count) for le, count in zip((*BOUNDS, None), measured.buckets, strict=True)],
        **quantiles(measured),
    )
