"""The world that a contract test is played in, and the order that keeps a family's tests together."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.providers.subjects import Family
from tests.providers.world import World


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Family by family; every other test stays where it is."""
    found = [(at, item, family) for at, item in enumerate(items) if (family := _family_of(item))]
    for (at, _, _), (_, item, _) in zip(found, sorted(found, key=lambda one: one[2]), strict=True):
        items[at] = item


def _family_of(item: pytest.Item) -> str | None:
    """The name of the family that this test is about."""
    callspec = getattr(item, "callspec", None)
    family = callspec.params.get("family") if callspec else None
    return family.name if isinstance(family, Family) else None


@pytest.fixture(scope="session")
def worlds() -> Iterator[Callable[[Family], World]]:
    """The world of a family; asking for another one's ends it."""
    current: list[World] = []

    def world_of(family: Family) -> World:
        if current and current[0].family is not family:
            current.pop().__exit__(None, None, None)
        if not current:
            current.append(World(family).__enter__())
        return current[0]

    yield world_of
    for world in current:
        world.__exit__(None, None, None)


@pytest.fixture
def world(worlds: Callable[[Family], World], family: Family) -> World:
    """This test's."""
    return worlds(family)
