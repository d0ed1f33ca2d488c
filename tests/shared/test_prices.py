"""What an answer costs by an operator's table."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from parley.chat.events import Usage
from parley.prices import NONE, Price, Prices

TABLE = Prices(
    [
        Price.per_million("east/big", Decimal("3"), Decimal("15"), Decimal("0.3")),
        Price.per_million("gpt-5*", Decimal("1.25"), Decimal("10"), Decimal("0.125")),
        Price.per_million("own/**", 0, 0),
        Price.per_million("openai/gpt-oss*", 0.1, 0.5),
    ]
)


@pytest.mark.parametrize(
    ("model", "usage", "millionths"),
    [
        ("east/big", Usage(1_000_000, 0), 3_000_000),
        ("east/big", Usage(0, 1_000_000), 15_000_000),
        ("east/big", Usage(1_000_000, 100_000, cached=400_000), 600_000 * 3 + 400_000 * 3 // 10 + 100_000 * 15),
        ("azure/gpt-5-mini", Usage(8, 2), 10 + 20),
        ("openai/gpt-5.1", Usage(100, 10, cached=100), 12 + 1 + 100),  # 112.5 is nearer to nothing: up
        ("own/anything/at/all", Usage(5000, 5000), 0),
        ("huggingface/openai/gpt-oss-20b", Usage(10, 10, cached=10), 6),  # cached as the prompt: no price of its own
    ],
)
def test_an_answer_costs_what_the_first_fitting_price_says(model, usage, millionths):
    assert TABLE.cost(model, usage) == millionths


@pytest.mark.parametrize("model", ["east/bigger", "gpt-4/llama", "gpt-5/llama", "west/big", "", "owner/x"])
def test_a_model_without_a_price_has_no_cost(model):
    assert TABLE.cost(model, Usage(10, 10)) is None
    assert NONE.cost(model, Usage(10, 10)) is None


def test_reasoning_is_part_of_the_completion_and_paid_once():
    assert TABLE.cost("east/big", Usage(0, 100, reasoning=90)) == TABLE.cost("east/big", Usage(0, 100))


def test_more_cached_tokens_than_there_are_do_not_make_a_negative_cost():
    assert TABLE.cost("east/big", Usage(10, 0, cached=1000)) == 3


def test_a_dot_in_a_pattern_is_a_dot():
    assert Prices([Price.per_million("m1.5", 1, 1)]).cost("up/m1x5", Usage(1, 1)) is None


@given(
    tokens=some.lists(some.tuples(some.integers(0, 10**7), some.integers(0, 10**7)), max_size=20),
    price=some.decimals(0, 1000, places=4),
)
def test_the_costs_of_parts_differ_from_that_of_the_whole_by_rounding_alone(tokens, price):
    table = Prices([Price.per_million("*", price, price)])
    whole = table.cost("m", Usage(sum(p for p, _ in tokens), sum(c for _, c in tokens)))
    parts = sum(table.cost("m", Usage(p, c)) for p, c in tokens)
    assert whole is not None
    assert abs(whole - parts) <= (len(tokens) + 1) / 2


def test_tables_with_the_same_prices_are_equal_and_hash_alike():
    one, other = (Prices([Price.per_million("*", 1, 2)], "EUR") for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != NONE
    assert one != "EUR"
