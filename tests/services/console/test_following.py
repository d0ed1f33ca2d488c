"""The console follows the configuration: what it tells of upstreams is what is in force."""

from __future__ import annotations

from typing import Any

from parley.providers.openai import OpenAI
from tests.services.console.conftest import Console


async def change(console: Console, number: int, document: dict[str, Any]) -> None:
    await console.parts.state.revisions.write(document, upon=number - 1, who="test", what="a change")
    await console.parts.live.look()


async def test_what_is_new_is_there_at_once_and_what_is_gone_is_not(console: Console) -> None:
    before = console.parts.offer.providers["openai"]
    new = {"provider": "openai-compatible", "base_url": "http://127.0.0.1:9/v1"}
    await change(console, 1, {"upstreams": {"new": new}, "credentials": {"new": {"a": {"value": "sk-of-the-new"}}}})
    assert [row["alias"] for row in (await console.get("upstreams/new/credentials"))["data"]] == ["a"]
    assert isinstance(console.parts.offer.providers["new"], OpenAI)
    assert console.parts.offer.providers["openai"] is before, "who did not change keeps its connections"
    await change(console, 2, {"credentials": {"openai": {"b": None}}})
    await console.refused("GET", "upstreams/new/credentials", 404)
    rows = (await console.get("upstreams/openai/credentials"))["data"]
    assert [row["alias"] for row in rows] == ["a", "c"]
    await change(console, 3, {"upstreams": {"openai": None}})
    await console.refused("GET", "upstreams/openai/credentials", 404)
    assert {row["upstream"] for row in (await console.get("credentials"))["data"]} == {"echo"}
    assert (await console.get("status"))["configuration"]["revision"] == 3


async def test_options_that_no_provider_takes_are_not_put_in_force(console: Console) -> None:
    new = {"provider": "h2ogpte", "base_url": "http://127.0.0.1:9", "options": {"no_such_option": 1}}
    await change(console, 1, {"upstreams": {"new": new}, "credentials": {"new": {"a": {"value": "sk-of-the-new"}}}})
    configuration = (await console.get("status"))["configuration"]
    assert "no_such_option" in configuration["problem"]
    await console.refused("GET", "upstreams/new/credentials", 404)
    assert len((await console.get("upstreams/openai/credentials"))["data"]) == 3
