"""How limits are written: of a key, of a model, of a credential. What each means: docs/limits.md.

limits: {requests_per_minute: 60, tokens_per_day: 1000000, budgets: [{unit: money, amount: 20, period: month}]}
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

from pydantic import BaseModel, Field, field_validator

from parley.catalog import Budget, Limits, ModelLimit, Period, Unit
from parley.configuration.entries import STRICT, AsNumber

_MILLION: Final = 1_000_000
Count = Annotated[int, Field(ge=0, le=1_000_000_000_000)]


class BudgetEntry(BaseModel):
    """What may be spent in each period of the calendar (UTC), or in all."""

    model_config = STRICT

    unit: Unit
    """What is counted."""
    amount: Annotated[Decimal, Field(gt=0, le=1_000_000_000, allow_inf_nan=False), AsNumber]
    """Tokens, or whole units of the price table's currency."""
    period: Period
    """How often it begins anew: with each minute, hour, day, week (on Monday) or month in UTC, or never (`total`)."""

    @field_validator("amount")
    @classmethod
    def _countable(cls, amount: Decimal) -> Decimal:
        if amount * _MILLION % 1:
            raise ValueError("has more than six decimals")
        return amount

    def budget(self) -> Budget:
        """The same as the catalog has it."""
        return Budget(self.unit, round(self.amount * (_MILLION if self.unit == "money" else 1)), self.period)


class LimitsEntry(BaseModel):
    """How much of what may be asked; 0, or left out: no limit."""

    model_config = STRICT

    requests_per_minute: Count = 0
    """Requests in any 60 seconds."""
    requests_per_day: Count = 0
    """Requests in any 24 hours."""
    tokens_per_minute: Count = 0
    """Tokens, of questions and answers, in any 60 seconds."""
    tokens_per_day: Count = 0
    """Tokens in any 24 hours."""
    concurrency: Count = 0
    """Answers at a time."""
    budgets: list[BudgetEntry] = []
    """Tokens or money that may be spent in periods of the calendar."""

    def limits(self) -> Limits:
        """The same as the catalog has it."""
        return Limits(
            self.requests_per_minute,
            self.requests_per_day,
            self.tokens_per_minute,
            self.tokens_per_day,
            self.concurrency,
            tuple(budget.budget() for budget in self.budgets),
        )


class ModelLimitEntry(LimitsEntry):
    """What may be asked of all models that a pattern fits, together; the first line that fits a model counts."""

    model: Annotated[str, Field(min_length=1)]
    """A pattern, compared with `upstream/model` or the route's name, and with the model's name alone."""

    def model_limit(self) -> ModelLimit:
        """The same as the catalog has it."""
        return ModelLimit(self.model, self.limits())


def written(limits: Limits) -> LimitsEntry:
    """Limits as they are written."""
    return LimitsEntry(
        requests_per_minute=limits.requests_per_minute,
        requests_per_day=limits.requests_per_day,
        tokens_per_minute=limits.tokens_per_minute,
        tokens_per_day=limits.tokens_per_day,
        concurrency=limits.concurrency,
        budgets=[
            BudgetEntry(
                unit=budget.unit,
                amount=Decimal(budget.amount) / (_MILLION if budget.unit == "money" else 1),
                period=budget.period,
            )
            for budget in limits.budgets
        ],
    )
