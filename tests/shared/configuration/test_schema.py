"""The schema of parley.yaml says the same as the services do, of what is right and of what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from parley.configuration.environment import read_settings
from parley.configuration.file import read_content
from parley.configuration.schema import schema
from parley.settings import ConfigurationError

SCHEMA = schema()

RIGHT = {
    "nothing": "{}",
    "a text and an object as credentials": """
        upstreams:
          - {name: east, provider: openai, credentials: [sk-east, {value: sk-spare, alias: spare, disabled: true}]}""",
    "a credential of parts": """
        upstreams: [{name: s, provider: spark, credentials: [{app_id: a, api_key: b, api_secret: c}]}]""",
    "options of its provider": """
        upstreams: [{name: a, provider: anthropic, credentials: [sk-a], options: {betas: [new], sampling: keep}}]""",
    "targets as texts and as objects": """
        routes: [{model: m, strategy: weighted, targets: [echo/echo, {target: echo/echo, weight: 2.5}]}]""",
    "defaults that are known and one that is not": """
        routes: [{model: m, targets: [echo/echo], defaults: {top_p: 0.2, n: 1.0, stop: [END], top_k: [4]}}]""",
    "numbers and words from the environment": """
        upstreams: [{name: east, provider: openai, per_minute: "${RPM:-60}", hang_up: "${POLICY:-drain}"}]""",
    "a key by its digest": "keys: [{name: ci, hash: '" + "a" * 64 + "', networks: [10.0.0.0/8]}]",
    "a budget": """
        limits: [{model: "*", budgets: [{unit: money, amount: 12.5, period: month}]}]""",
}
WRONG = {
    "an unknown member": "upstreams: [{name: east, provider: openai, credential: sk-east}]",
    "no provider": "upstreams: [{name: east}]",
    "a name that cannot be in a path": "upstreams: [{name: 'East 1', provider: openai}]",
    "a count below zero": "limits: [{model: m, concurrency: -1}]",
    "a strategy that there is not": "routes: [{model: m, targets: [echo/echo], strategy: cleverly}]",
    "a default of another type": "routes: [{model: m, targets: [echo/echo], defaults: {temperature: cold}}]",
    "a default that is too large": "upstreams: [{name: east, provider: openai, defaults: {n: 1000}}]",
    "a route without targets": "routes: [{model: m, targets: []}]",
    "a key twice": "keys: [{name: ci, key: 'a-key-of-sixteen-letters', hash: '" + "a" * 64 + "'}]",
    "a price without an amount": "prices: {models: [{model: m, prompt: 1}]}",
    "a list where an object belongs": "prices: []",
}
LATER = {
    "a provider that there is not": "upstreams: [{name: east, provider: oracle}]",
    "an option of another provider": "upstreams: [{name: east, provider: openai, options: {betas: [new]}}]",
    "an option where there are none": "upstreams: [{name: e, provider: echo, options: {loud: true}}]",
}
"""What the file may say, and whoever makes the provider refuses."""


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def reading(text: str) -> None:
        (tmp_path / "parley.yaml").write_text(text)
        read_content(read_settings(_env_file=None, parley_config=tmp_path / "parley.yaml"), {})

    return reading


def faults(text: str) -> list[str]:
    return [fault.message for fault in Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(text))]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_right_fits(case: str, read: Any) -> None:
    read(RIGHT[case])
    assert faults(RIGHT[case]) == []


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_does_not_fit(case: str, read: Any) -> None:
    with pytest.raises(ConfigurationError):
        read(WRONG[case])
    assert faults(WRONG[case])


@pytest.mark.parametrize("case", LATER)
def test_what_a_provider_refuses_does_not_fit_either(case: str, read: Any) -> None:
    read(LATER[case])
    assert faults(LATER[case])


def test_every_field_says_what_it_means() -> None:
    fields = dict(_fields(SCHEMA, "parley.yaml"))
    assert len(fields) > 100
    assert [name for name, field in fields.items() if not field.get("description")] == []


def _fields(kind: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for member, field in kind.get("properties", {}).items():
        yield f"{name}.{member}", field
    for other, inner in kind.get("$defs", {}).items():
        yield from _fields(inner, other)
