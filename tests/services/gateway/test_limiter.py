"""What a request reserves, and of which limits."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.accounting import Tally
from gateway.limiter import Limiter
from gateway.routing import Choice, Directory
from parley.catalog import Budget, Caller, Catalog, Limits, ModelLimit, ModelLimits, Route, Target, Upstream
from parley.chat.prompt import Prompt, User
from parley.errors import ModelNotFound
from parley.prices import Price, Prices
from parley.state.scopes import Scope


def ask(model: str, **more: Any) -> Prompt:
    return Prompt([User("hi")], model=model, **more)


class Reserving:
    """Stands for the admission, and remembers what was asked of it."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.reserved = (-1, -1)

    def ask(self, scopes: Iterable[Scope], *, tokens: int, cost: int) -> Any:
        self.scopes, self.reserved = list(scopes), (tokens, cost)
        return SimpleNamespace(id="r-1", decided=True, admitted=None)


class Able:
    features = frozenset({"usage", "n"})

    def stream(self, prompt: Prompt, lease: object) -> Any:
        raise AssertionError


def catalog(*limits: ModelLimit, prices: Prices | None = None) -> Catalog:
    return Catalog(
        {name: Upstream(name, "openai", models=("m",), defaults={"max_tokens": 50} if name == "short" else {})
         for name in ("one", "short")},
        {"smart": Route("smart", (Target("one", "m"), Target("short", "m")), aliases=("clever",))},
        prices=prices or Prices(),
        model_limits=ModelLimits(limits),
    )  # fmt: skip


async def permitted(catalog: Catalog, caller: Caller, prompt: Prompt) -> tuple[Reserving, Prompt]:
    reserving: Any = Reserving()
    directory = Directory(catalog, {"one": Able(), "short": Able()})
    tally = Tally("r", lambda _: None)
    permit, prompt = await Limiter(reserving, lambda: catalog.prices, 4096).ask(
        catalog, caller, directory.choices(prompt, caller), prompt, tally
    )
    assert tally.permit is permit
    return reserving, prompt


async def test_nothing_is_asked_where_nothing_is_limited() -> None:
    reserving, _ = await permitted(catalog(ModelLimit("other*", Limits(concurrency=1))), Caller("a"), ask("m"))
    assert reserving.scopes == [] and reserving.reserved == (-1, -1)


@pytest.mark.parametrize(
    ("name", "pattern"), [("m", "one/*"), ("one/m", "m"), ("smart", "sm*"), ("clever", "smart"), ("clever", "clever")]
)
async def test_a_model_goes_by_its_names(name: str, pattern: str) -> None:
    limits = Limits(requests_per_minute=3)
    reserving, _ = await permitted(catalog(ModelLimit(pattern, limits)), Caller("a", limits=limits), ask(name))
    assert reserving.scopes == [("key:a", limits), (f"model:{pattern}", limits)]
    assert reserving.reserved == (0, 0), "nobody wants to know of tokens"


async def test_the_worst_is_reserved_for_each_choice() -> None:
    caller = Caller("a", limits=Limits(tokens_per_minute=1000))
    reserving, prompt = await permitted(catalog(), caller, ask("m", max_tokens=100, n=2))
    counted = reserving.reserved[0] - 200
    assert 5 < counted < 20 and prompt.limit == 100
    reserving, prompt = await permitted(catalog(), caller, ask("m"))
    assert reserving.reserved[0] == counted + 4096 and prompt.limit is None, "a limit by the minute is settled later"
    reserving, _ = await permitted(catalog(), caller, ask("short/m"))
    assert reserving.reserved[0] == counted + 50, "the defaults of its target say how long it may be"


async def test_a_budget_is_never_overspent_by_an_answer_of_any_length() -> None:
    prices = Prices(
        [Price.per_million("one/m", Decimal(1), Decimal(2)), Price.per_million("m", Decimal(3), Decimal(4))]
    )
    caller = Caller("a", limits=Limits(budgets=(Budget("money", 10**9, "month"),)))
    reserving, prompt = await permitted(catalog(prices=prices), caller, ask("m"))
    assert prompt.limit == 4096 and prompt.raw["max_completion_tokens"] == 4096
    tokens, cost = reserving.reserved
    assert cost == tokens - 4096 + 2 * 4096
    reserving, _ = await permitted(catalog(prices=prices), caller, ask("smart", max_tokens=100))
    tokens, cost = reserving.reserved
    assert cost == 3 * (tokens - 100) + 4 * 100, "the dearest of its targets"


async def test_a_key_may_be_for_some_models_alone() -> None:
    directory = Directory(catalog(), {"one": Able(), "short": Able()})
    caller = Caller("a", models=("smart", "one/*"))
    assert isinstance(directory.choices(ask("clever"), caller)[0], Choice)
    assert directory.choices(ask("m"), caller)
    with pytest.raises(ModelNotFound):
        directory.choices(ask("short/m"), caller)
    assert [name for name, _ in directory.offered(caller)] == ["smart", "clever", "m", "one/m"]
    assert directory.find("short/m", caller) is None and directory.find("smart", caller) == ("smart", "parley")
