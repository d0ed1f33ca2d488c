"""A catalog that changes: the next request goes by it, and one that began before keeps what it began with."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest

from gateway.auth import Doorkeeper
from gateway.current import Current
from parley.catalog import Caller, Catalog, CredentialPlan, Upstream
from parley.sealed import Secret
from parley.settings import ConfigurationError
from parley.transports import Net

ONE = Upstream("one", "openai", "http://127.0.0.1:1", (CredentialPlan("a", {"value": Secret("s")}),), models=("m",))
TWO = Upstream("two", "openai", "http://127.0.0.1:2", models=("n",))


class Vaulted:
    """Writes down what it is told, and which upstreams are asked by then."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[str], list[str]]] = []
        self.current: Current | None = None

    async def follow(self, upstreams: Iterable[Upstream]) -> None:
        self._tell("follow", [upstream.name for upstream in upstreams])

    async def retire_others(self, names: Container[str]) -> None:
        self._tell("retire others", sorted(names))  # type: ignore[arg-type, call-overload]

    def _tell(self, what: str, names: list[str]) -> None:
        assert self.current is not None
        self.told.append((what, names, list(self.current.snapshot.catalog.upstreams)))


def made(catalog: Catalog) -> tuple[Current, Vaulted]:
    vault: Any = Vaulted()
    net = Net(*[None] * 3)  # type: ignore[arg-type]  # nobody is asked
    current = Current(catalog, net, vault, lambda _: (), lambda found: Doorkeeper(Secret("master"), found.callers))
    vault.current = current
    return current, vault


async def test_what_is_new_can_be_lent_before_it_is_asked_and_what_is_gone_is_retired_after() -> None:
    current, vault = made(Catalog({"one": ONE}))
    await current.take(Catalog({"two": TWO}))
    assert vault.told == [("follow", ["two"], ["one"]), ("retire others", ["two"], ["two"])]
    assert (current.kind("one"), current.kind("never")) == ("openai", "other")


async def test_providers_of_unchanged_upstreams_go_on() -> None:
    current, _ = made(Catalog({"one": ONE, "two": TWO}))
    before = current.snapshot.directory.providers
    other = Upstream("two", "openai", "http://127.0.0.1:3")
    same = Upstream(
        "one", "openai", "http://127.0.0.1:1", (CredentialPlan("a", {"value": Secret("s")}),), models=("m",)
    )
    await current.take(Catalog({"one": same, "two": other}))
    after = current.snapshot.directory.providers
    assert after["one"] is before["one"] and after["two"] is not before["two"]


async def test_a_request_keeps_the_snapshot_that_it_began_with() -> None:
    current, _ = made(Catalog({"one": ONE}, callers={b"digest": Caller("alice")}))
    began = current.snapshot
    await current.take(Catalog({"two": TWO}))
    assert began.directory.find("m") is not None and current.snapshot.directory.find("m") is None


async def test_what_no_provider_takes_changes_nothing() -> None:
    current, vault = made(Catalog({"one": ONE}))
    before = current.snapshot
    for wrong in (Upstream("x", "nobody"), Upstream("x", "openai", options={"nonsense": 1}), Upstream("x", "bing")):
        with pytest.raises(ConfigurationError):
            await current.take(Catalog({"x": wrong}))
    assert current.snapshot is before and vault.told == []
