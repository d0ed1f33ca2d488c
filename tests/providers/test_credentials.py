"""Credentials by the rules: in turn, at rest one by one, each by its own way, and looked at without a cost."""

from __future__ import annotations

import dataclasses
from collections import Counter
from contextlib import suppress
from typing import Any

from parley.errors import CredentialRejected
from parley.leases import Credential, Lease
from parley.providers.optional import ListsModels, ProbesCredential, RenewsCredential
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets
from tests.providers.subjects import FIRST_TOKEN_SECONDS, Family, one_of_each, pairs, stood_in
from tests.providers.world import World

MANY = 6


@one_of_each
def test_only_who_has_no_credentials_has_no_pair(family: Family, name: str) -> None:
    (subject,) = (one for one in family.subjects if one.name == name)
    assert bool(subject.second) == bool(subject.upstream.get("credentials"))


def shown(world: World, name: str) -> tuple[list[str | None], Counter[str]]:
    """Ask the pair many times: the answers' texts, and how often each credential was shown."""
    heard = [world.listen(name, f"!say:number {n}", True, upstream=f"{name}-pair") for n in range(MANY)]
    attempts = [attempt["credential"] for one in heard for attempt in world.record(one)["attempts"]]
    return [one.text or one.code for one in heard], Counter(attempts)


@pairs
def test_two_credentials_take_turns_each_through_its_own_proxy_at_its_own_address(world: World, name: str) -> None:
    world.begin(name, kind="pair")
    world.proxies.used.clear()
    texts, attempts = shown(world, name)
    assert texts == [f"number {n}" for n in range(MANY)]
    assert attempts == {"one": MANY // 2, "two": MANY // 2}
    assert world.asked(name) >= MANY, "the upstream's own address is nowhere: each was asked at its credential's"
    assert set(world.proxies.used) == {"http", "socks5"}


@pairs
def test_one_credential_rests_while_the_other_goes_on(world: World, name: str) -> None:
    subject = world.subjects[name]
    world.begin(name, kind="pair")
    mishap = next(mishap for one, mishap in world.family.cases("throttled") if one is subject)
    world.play(name, mishap, account=subject.account(0))
    texts, attempts = shown(world, name)
    assert texts == [f"number {n}" for n in range(MANY)], "nobody noticed"
    assert attempts == {"one": 1, "two": MANY}, "it was shown again while it rests"


@pairs
def test_a_credential_has_time_outs_of_its_own(world: World, name: str) -> None:
    heard = world.silences["pair", name, True]
    assert (heard.status, heard.code) == (504, "upstream_timeout")
    record = world.record(heard)
    assert len(record["attempts"]) == 2
    assert all(attempt["ms"] < 1000 * (FIRST_TOKEN_SECONDS + 1) for attempt in record["attempts"])


@stood_in
async def test_looking_at_a_credential_or_at_the_models_asks_nothing_that_costs(world: World, name: str) -> None:
    world.begin(name)
    subject, stand_in = world.subjects[name], world.stand_in(name)
    before = Counter(costs(stand_in.stats()))
    net = Net(HTTP(), WebSockets(), Browser())
    place = subject.place(stand_in.url)
    provider, plan = subject.make(place, net), subject.plan
    credential = Credential("look", plan.alias, plan.parts, guest=plan.guest)
    try:
        if isinstance(provider, RenewsCredential) and (plan.guest or subject.greets):
            with suppress(CredentialRejected):  # an API key is what it is
                credential = dataclasses.replace(credential, parts=(await provider.renew(credential)).parts)
        if isinstance(provider, ProbesCredential):
            await provider.probe(credential)
        if isinstance(provider, ListsModels):
            await provider.models(Lease("look", place, credential))
    finally:
        await net.aclose()
    assert Counter(costs(stand_in.stats())) == before


def costs(stats: dict[str, Any]) -> dict[str, int]:
    """What a service would bill, or count against a limit of questions."""
    return {name: stats["counts"].get(name, 0) for name in ("chat", "question", "completion", "guest")}
