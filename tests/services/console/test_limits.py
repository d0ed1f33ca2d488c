"""Limits: what is configured, how full it is, and how to begin anew."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from parley.errors import OverBudget, OverLimit
from parley.state.admission import Admission
from tests.services.console.conftest import Console, Consoles

CONFIGURED = """
keys:
  - {name: alice, key: sk-of-alice-in-this-test, limits: {requests_per_minute: 3, concurrency: 2,
     budgets: [{unit: money, amount: 0.5, period: month}, {unit: tokens, amount: 1000, period: total}]}}
  - {name: bob, key: sk-of-bob-in-this-test}
limits:
  - {model: "gpt/**", tokens_per_day: 5000}
upstreams:
  - {name: one, provider: openai, limits: {requests_per_day: 10}, credentials: [{value: sk-one, alias: x}]}
"""


@pytest.fixture
async def limited(consoles: Consoles, tmp_path: Path) -> Console:
    (tmp_path / "parley.yaml").write_text(CONFIGURED)
    return await consoles()


def scopes(console: Console, *names: str):
    from console.api.limits import limited as of

    every = dict(of(console.parts.offer.catalog))
    return [(name, every[name]) for name in names]


async def test_every_scope_that_has_limits_is_listed(limited: Console) -> None:
    rows = (await limited.get("limits"))["data"]
    assert [(row["scope"], row["kind"], row["name"]) for row in rows] == [
        ("credential:one/x", "credential", "one/x"),
        ("key:alice", "key", "alice"),
        ("model:gpt/**", "model", "gpt/**"),
    ]
    assert rows[0]["requests_per_day"] == {"limit": 10, "used": 0}
    assert rows[0]["requests_per_minute"] is None
    assert rows[2]["tokens_per_day"] == {"limit": 5000, "used": 0}
    assert [row["scope"] for row in (await limited.get("limits", kind="key"))["data"]] == ["key:alice"]
    first = await limited.get("limits", limit=2)
    assert (first["has_more"], len(first["data"])) == (True, 2)
    assert [row["name"] for row in (await limited.get("limits", after=first["next"]))["data"]] == ["gpt/**"]


async def test_what_is_used_is_told_as_it_is_reserved_and_settled(limited: Console) -> None:
    admission: Admission = limited.parts.state.admission
    admitted = await admission.admit(scopes(limited, "key:alice", "model:gpt/**"), tokens=300, cost=200_000)
    row = await limited.get("limits/key:alice")
    assert row["requests_per_minute"] == {"limit": 3, "used": 1}
    assert row["concurrency"] == {"limit": 2, "used": 1}
    money, tokens = sorted(row["budgets"], key=lambda budget: budget["unit"])
    assert (money["amount"], money["spent"], money["period"]) == (0.5, 0.2, "month")
    assert time.time() < money["ends"] < time.time() + 31 * 86_400 + 1
    assert (tokens["amount"], tokens["spent"], tokens["ends"]) == (1000, 300, None)
    assert (await limited.get("limits/model:gpt/**"))["tokens_per_day"]["used"] == 300
    admission.settle(admitted, 100, 50_000)
    await limited.parts.state.line.call("PING")
    row = await limited.get("limits/key:alice")
    assert row["concurrency"]["used"] == 0
    assert sorted(budget["spent"] for budget in row["budgets"]) == [0.05, 100]


async def test_a_scope_begins_anew(limited: Console) -> None:
    admission: Admission = limited.parts.state.admission
    for _ in range(3):
        admission.release(await admission.admit(scopes(limited, "key:alice"), tokens=0, cost=0))
    with pytest.raises(OverLimit):
        await admission.admit(scopes(limited, "key:alice"), tokens=0, cost=0)
    assert (await limited.client.delete("limits/key:alice")).status_code == 204
    spent = await admission.admit(scopes(limited, "key:alice"), tokens=1000, cost=0)
    admission.settle(spent, 1000, 0)
    with pytest.raises(OverBudget):
        await admission.admit(scopes(limited, "key:alice"), tokens=1, cost=0)
    assert (await limited.client.delete("limits/key:alice")).status_code == 204
    await admission.admit(scopes(limited, "key:alice"), tokens=1000, cost=0)
    changes = (await limited.get("audit"))["data"]
    assert [(change["what"], change["on"]) for change in changes] == [("limits.reset", "key:alice")] * 2
    await limited.client.delete("limits/key:alice")


@pytest.mark.parametrize("scope", ["key:bob", "key:nobody", "model:nothing", "credential:one/y"])
async def test_what_has_no_limits_is_not_found(limited: Console, scope: str) -> None:
    for method in ("GET", "DELETE"):
        assert (await limited.refused(method, f"limits/{scope}", 404))["param"] == "scope"
        assert (await limited.refused(method, f"limits/{scope.partition(':')[2]}", 404))["code"] == "unknown_url"
