"""How prices are written in `parley.yaml`.

    prices:
      currency: USD
      models:
        - {model: "gpt-5*", prompt: 1.25, completion: 10, cached: 0.125}      # per million tokens
        - {model: "east/*", prompt: 0, completion: 0}                         # our own machine

The first line that fits counts. A pattern is compared with `upstream/model` and with the model's name alone; `*` stands
for any text without `/`, `**` for any text. What has no price has no cost: it is not taken for free, it is left out.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from parley.configuration.entries import STRICT, AsNumber
from parley.prices import Price, Prices

Amount = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False), AsNumber]


class PriceEntry(BaseModel):
    """What models of one pattern cost per million tokens; `cached` is as `prompt` where it is left out."""

    model_config = STRICT

    model: Annotated[str, Field(min_length=1)]
    """A pattern, compared with `upstream/model` and with the model's name alone."""
    prompt: Amount
    """Of a million tokens of the question."""
    completion: Amount
    """Of a million tokens of the answer."""
    cached: Amount | None = None
    """Of a million tokens of the question that the upstream had in its cache; None: as `prompt`."""


class PricesEntry(BaseModel):
    """The price table, all of it in one currency."""

    model_config = STRICT

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    """Three letters."""
    models: list[PriceEntry] = []
    """The lines of the table; the first that fits counts. What has no price has no cost."""


def prices_of(entry: PricesEntry) -> Prices:
    """The table that an entry writes down."""
    table = [Price.per_million(item.model, item.prompt, item.completion, item.cached) for item in entry.models]
    return Prices(table, entry.currency)
