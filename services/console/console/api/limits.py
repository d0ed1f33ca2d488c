"""Limits and how full they are: `/limits`. What each of them means: docs/limits.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field
from starlette.convertors import StringConvertor, register_url_convertor

from console.audited import Audited
from console.listing import Page, Paging, page
from console.parts import Here, Parts
from console.refusals import NotFound
from parley.catalog import Budget, Catalog, Limits, Period, Unit
from parley.clock import now
from parley.state import periods
from parley.state.scopes import Fullness, Scope, effective


class ScopeConvertor(StringConvertor):
    """A scope in an address; it may have `/`. What does not begin as one is no address."""

    regex = "(?:key|model|credential):.+"


register_url_convertor("scope", ScopeConvertor())
router = APIRouter(tags=["limits"])

ScopeName = Annotated[
    str,
    Path(
        pattern=f"^{ScopeConvertor.regex}$", description="`key:NAME`, `model:PATTERN` or `credential:UPSTREAM/ALIAS`."
    ),
]

Kind = Literal["key", "model", "credential"]


class LimitsQuery(Paging):
    """Which of them."""

    kind: Annotated[Kind | None, Field(description="Only those of keys, of models or of credentials.")] = None


class Use(BaseModel):
    """One limit of a scope."""

    limit: int
    used: Annotated[int, Field(description="As reserved, where an answer is still under way.")]


class BudgetUse(BaseModel):
    """One budget of a scope."""

    unit: Unit
    period: Annotated[Period, Field(description="Of the calendar, in UTC; a week begins on Monday.")]
    amount: Annotated[float, Field(description="Tokens, or money in the currency of the price table.")]
    spent: float
    ends: Annotated[float | None, Field(description="When the period ends; null for a total.")]


class ScopeLimits(BaseModel):
    """The limits of one scope; those that it does not have are null."""

    object: Literal["limits"] = "limits"
    scope: Annotated[str, Field(description="key:NAME, model:PATTERN or credential:UPSTREAM/ALIAS.")]
    kind: Kind
    name: str
    requests_per_minute: Use | None
    requests_per_day: Use | None
    tokens_per_minute: Use | None
    tokens_per_day: Use | None
    concurrency: Use | None
    budgets: list[BudgetUse]


@router.get("/limits")
async def list_limits(here: Here, query: Annotated[LimitsQuery, Query()]) -> Page[ScopeLimits]:
    """Every scope that has limits, by name."""
    scopes = [(name, limits) for name, limits in limited(here.offer.catalog) if query.kind in (None, _kind(name))]
    some = page(scopes, query, lambda scope: (scope[0],))
    full = await here.state.admission.fullness([name for name, _ in some.data])
    data = [_told(name, limits, full[name]) for name, limits in some.data]
    return Page[ScopeLimits](data=data, has_more=some.has_more, next=some.next)


@router.get("/limits/{scope:scope}")
async def get_limits(scope: ScopeName, here: Here) -> ScopeLimits:
    """The limits of one scope."""
    limits = _limits_of(here, scope)
    return _told(scope, limits, (await here.state.admission.fullness([scope]))[scope])


@router.delete("/limits/{scope:scope}", status_code=204)
async def reset_limits(scope: ScopeName, here: Here, audited: Audited) -> Response:
    """Begin anew: what a scope used is forgotten, budgets too. Its limits stay as they are configured."""
    _limits_of(here, scope)
    await here.state.admission.forget(scope)
    await audited("limits.reset", scope)
    return Response(status_code=204)


def limited(catalog: Catalog) -> Iterator[Scope]:
    """Every scope of a catalog that has limits, once."""
    scopes: dict[str, Limits] = {}
    for caller in catalog.callers.values():
        scopes[f"key:{caller.name}"] = caller.limits
    for limit in catalog.model_limits.limits:
        scopes[f"model:{limit.model}"] = limit.limits
    for upstream in catalog.upstreams.values():
        for plan in upstream.credentials:
            scopes[f"credential:{upstream.name}/{plan.alias}"] = plan.limits or upstream.limits
    for name, limits in scopes.items():
        if (found := effective(limits)) is not None:
            yield name, found


def _limits_of(here: Parts, scope: str) -> Limits:
    found = dict(limited(here.offer.catalog)).get(scope)
    if found is None:
        raise NotFound(f"Nothing of the name '{scope}' has limits.", param="scope")
    return found


def _kind(scope: str) -> str:
    return scope.partition(":")[0]


def _told(scope: str, limits: Limits, full: Fullness) -> ScopeLimits:
    kind, _, name = scope.partition(":")
    moment = now()
    return ScopeLimits.model_validate(
        {
            "scope": scope,
            "kind": kind,
            "name": name,
            "requests_per_minute": _use(limits.requests_per_minute, full.minute[0]),
            "requests_per_day": _use(limits.requests_per_day, full.day[0]),
            "tokens_per_minute": _use(limits.tokens_per_minute, full.minute[1]),
            "tokens_per_day": _use(limits.tokens_per_day, full.day[1]),
            "concurrency": _use(limits.concurrency, full.running),
            "budgets": [_budget(budget, full, moment) for budget in limits.budgets],
        }
    )


def _use(limit: int, used: int) -> Use | None:
    return Use(limit=limit, used=used) if limit else None


def _budget(budget: Budget, full: Fullness, moment: float) -> BudgetUse:
    spending = full.spent.get((budget.unit, budget.period))
    current = spending is not None and spending.number == periods.number(budget.period, moment)
    one = 1e6 if budget.unit == "money" else 1
    return BudgetUse(
        unit=budget.unit,
        period=budget.period,
        amount=budget.amount / one,
        spent=spending.amount / one if spending is not None and current else 0,
        ends=periods.end(budget.period, moment),
    )
