"""What tokens cost: the operator's table, and the sum of one answer.

Nobody's prices are built in: they change, and an invoice is not to be guessed. A model without a price costs nothing
that we know of (None), which is not the same as a price of 0. All prices of a table are in one currency, because what
is asked of it are sums.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final, Protocol

from parley.patterns import pattern

_MILLION: Final = 1_000_000
_REMEMBERED: Final = 1024


class Tokens(Protocol):
    """Tokens of one answer; `cached` are among those of the prompt. `parley.chat.events.Usage` is one."""

    prompt: int
    completion: int
    cached: int


@dataclass(frozen=True, slots=True)
class Price:
    """What models of one pattern cost, in millionths of the currency per million tokens."""

    pattern: str
    """Of `upstream/model`, or of a model's name at any upstream (`parley.patterns`)."""
    prompt: int
    completion: int
    cached: int
    """For the part of the prompt that the upstream had in its cache."""

    @classmethod
    def per_million(
        cls, pattern: str, prompt: Decimal | float, completion: Decimal | float, cached: Decimal | float | None = None
    ) -> Price:
        """A price as people write it, per million tokens; a `cached` of None is that of the prompt."""
        return cls(pattern, *map(_millionths, (prompt, completion, prompt if cached is None else cached)))

    def cost(self, usage: Tokens) -> int:
        """Millionths of the currency, rounded to the nearest."""
        cached = min(usage.cached, usage.prompt)
        exact = (usage.prompt - cached) * self.prompt + cached * self.cached + usage.completion * self.completion
        return (exact + _MILLION // 2) // _MILLION


class Prices:
    """A table of prices; the first pattern that fits a model counts."""

    def __init__(self, prices: Iterable[Price] = (), currency: str = "USD") -> None:
        self.currency = currency
        self.prices = tuple(prices)
        self._patterns = [(pattern(price.pattern), price) for price in self.prices]
        self.of = lru_cache(_REMEMBERED)(self._of)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Prices):
            return NotImplemented
        return (self.currency, self.prices) == (other.currency, other.prices)

    def __hash__(self) -> int:
        return hash((self.currency, self.prices))

    def cost(self, model: str, usage: Tokens) -> int | None:
        """Millionths of the currency for an answer of `model` (`upstream/model`); None where no price is known."""
        price = self.of(model)
        return None if price is None else price.cost(usage)

    def _of(self, model: str) -> Price | None:
        """The price of `model` (`upstream/model`)."""
        bare = model.partition("/")[2]
        return next((price for fits, price in self._patterns if fits.fullmatch(model) or fits.fullmatch(bare)), None)


def _millionths(amount: Decimal | float) -> int:
    return round(Decimal(str(amount)) * _MILLION)


NONE: Final = Prices()
"""The table of an operator who set no prices."""
