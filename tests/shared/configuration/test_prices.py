"""`prices:` in parley.yaml."""

from __future__ import annotations

import pytest

from parley.chat.events import Usage
from parley.configuration import read_catalog
from parley.configuration.families import Environment
from parley.settings import ConfigurationError


def catalog(tmp_path, text):
    file = tmp_path / "parley.yaml"
    file.write_text(text)
    return read_catalog(Environment(_env_file=None, parley_config=file)).catalog


def test_prices_are_written_per_million_tokens_as_on_a_price_list(tmp_path):
    prices = catalog(
        tmp_path,
        "prices:\n  currency: CNY\n  models:\n"
        "    - {model: 'glm-*', prompt: 0.8, completion: 2, cached: 0.16}\n"
        "    - {model: '**', prompt: 1, completion: 1}\n",
    ).prices
    assert prices.currency == "CNY"
    assert prices.cost("zhipu/glm-4.5", Usage(1_000_000, 1_000_000, cached=500_000)) == 400_000 + 80_000 + 2_000_000
    assert prices.cost("hf/org/model", Usage(7, 3)) == 10


def test_without_prices_nothing_has_a_cost(tmp_path):
    assert catalog(tmp_path, "default_model: echo\n").prices.cost("echo/echo", Usage(1, 1)) is None


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{model: m, prompt: -1, completion: 1}", "prices.models.0.prompt"),
        ("{model: m, prompt: 1}", "prices.models.0.completion"),
        ("{model: m, prompt: 1, completion: .nan}", "prices.models.0.completion"),
        ("{model: '', prompt: 1, completion: 1}", "prices.models.0.model"),
        ("{model: m, prompt: 1, completion: 1, currency: USD}", "prices.models.0.currency"),
    ],
)
def test_a_wrong_price_is_refused_with_its_place(tmp_path, entry, said):
    with pytest.raises(ConfigurationError, match=said.replace(".", r"\.")):
        catalog(tmp_path, f"prices: {{models: [{entry}]}}\n")


def test_a_currency_is_three_capital_letters(tmp_path):
    with pytest.raises(ConfigurationError, match=r"prices\.currency"):
        catalog(tmp_path, "prices: {currency: dollars}\n")
