"""Credentials: how they stand, who holds them, rests by hand, tests on demand."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from parley.clock import monotonic
from parley.errors import (
    CredentialRejected,
    Failure,
    LimitReached,
    ModelExhausted,
    NothingToLend,
    Throttled,
    UpstreamBroken,
)
from parley.leases import Credential, Session
from tests.servers import RedisServer
from tests.services.console.conftest import Console, Consoles
from tests.shared.state.conftest import replica

UP = "upstreams/openai/credentials"


def gateway(console: Console, redis: RedisServer, **facts: Any):
    """A replica that lends what the console's catalog has."""
    here = console.parts
    return replica(redis.url, *here.offer.catalog.upstreams.values(), seal=here.state.revisions.seal, **facts)


async def test_a_credential_stands_as_its_answers_told(console: Console, redis: RedisServer) -> None:
    place = console.parts.offer.catalog.upstreams["openai"]
    async with gateway(console, redis) as lender:
        lease = await lender.lend(place)
        lender.vault.give_back(lease, None)
        second = await lender.lend(place)
        lender.vault.give_back(second, Throttled("Slow down.", retry_after=30))
        await lender.line.call("PING")
    page = await console.get(UP)
    assert [row["alias"] for row in page["data"]] == ["a", "b", "c"]
    well, resting, unused = page["data"]
    assert (well["state"], well["rest"], well["health"]["served"]) == ("ok", None, 1)
    assert abs(well["health"]["last_success"] - time.time()) < 5
    assert (resting["state"], resting["rest"]["reason"]) == ("resting", "rate_limit_exceeded")
    assert 20 < resting["rest"]["seconds"] <= 30
    assert resting["health"]["last_failure"]["reason"] == "rate_limit_exceeded"
    assert (resting["health"]["failed"], resting["health"]["strikes"]) == (1, 1)
    assert unused["health"] == {
        "last_success": None, "last_failure": None, "served": 0, "failed": 0, "strikes": 0, "requests": 0,
        "success_rate": None,
    }  # fmt: skip
    everywhere = [(row["upstream"], row["id"]) for row in (await console.get("credentials"))["data"]]
    assert everywhere[1:] == [("openai", row["id"]) for row in page["data"]]  # after that of echo
    assert (await console.get(f"{UP}/b"))["id"] == (await console.get(f"{UP}/{resting['id']}"))["id"] == resting["id"]
    assert "sk-" not in json.dumps(page)


async def test_who_holds_a_lease_is_told(console: Console, redis: RedisServer) -> None:
    place = console.parts.offer.catalog.upstreams["openai"]
    async with gateway(console, redis) as one, gateway(console, redis) as other:
        first, second = await one.lend(place), await other.lend(place)
        one.vault.note_session(first, Session("warm-one", first.credential.id, 1))
        await one.line.call("PING")
        rows = {row["alias"]: row for row in (await console.get(UP))["data"]}
        [mine], [theirs] = rows[first.credential.alias]["leases"], rows[second.credential.alias]["leases"]
        assert (mine["process"], theirs["process"]) == (one.line.name, other.line.name)
        assert (mine["session"], theirs["session"]) == (True, False)
        assert 10 < mine["seconds"] <= 15
        one.vault.give_back(first, None)
        await one.line.call("PING")
        assert (await console.get(f"{UP}/{first.credential.alias}"))["leases"] == []


async def test_the_success_rate_is_of_the_last_hour_and_callers_mistakes_are_not_in_it(console: Console) -> None:
    from parley.state.meter import Meter

    meter = Meter(console.parts.state.line)
    names = ("upstream", "openai", "credential", "openai/a")
    for error in ("", "", "", "throttled", "refused", "hung_up"):
        meter.add(names, 0.1, None, None, None, error=error)
    meter.flush()
    while meter.untold:
        await asyncio.sleep(0.01)
    for health in ((await console.get(UP))["data"][0]["health"], (await console.get(f"{UP}/a"))["health"]):
        assert (health["requests"], health["success_rate"]) == (6, 0.75)


# --- rests by hand ------------------------------------------------------------------------------------------------


async def test_an_operator_sends_a_credential_to_rest_and_ends_that(console: Console, redis: RedisServer) -> None:
    place = console.parts.offer.catalog.upstreams["openai"]
    async with gateway(console, redis) as lender:
        for alias in "ab":
            answer = await console.client.post(f"{UP}/{alias}/rest", json={"seconds": 90.5, "reason": " new plan "})
            assert (answer.status_code, answer.content) == (204, b"")
        row = await console.get(f"{UP}/a")
        assert row["state"] == "resting"
        assert row["rest"]["reason"] == "operator: new plan"
        assert 85 < row["rest"]["seconds"] <= 90.5
        lent = [await lender.lend(place) for _ in range(3)]
        assert {lease.credential.alias for lease in lent} == {"c"}
        for lease in lent:  # answers that go well meanwhile change nothing
            lender.vault.give_back(lease, None)
        for _ in range(2):
            assert (await console.client.delete(f"{UP}/a/rest")).status_code == 204
        assert (await console.get(f"{UP}/a"))["state"] == "ok"
        again = [await lender.lend(place) for _ in range(4)]
        assert {lease.credential.alias for lease in again} == {"a", "c"}
    changes = (await console.get("audit"))["data"]
    assert [(change["what"], change["on"]) for change in changes] == [
        ("credential.rest.end", "openai/a"),
        ("credential.rest", "openai/b"),
        ("credential.rest", "openai/a"),
    ]
    assert changes[-1]["details"] == {"seconds": 90.5, "reason": "new plan"}


async def test_a_cooldown_that_an_upstream_caused_is_lifted_too(console: Console, redis: RedisServer) -> None:
    place = console.parts.offer.catalog.upstreams["openai"]
    async with gateway(console, redis) as lender:
        for _ in range(3):
            lender.vault.give_back(await lender.lend(place), Throttled("Slow down."))
        with pytest.raises(LimitReached):
            await lender.lend(place)
        await console.client.delete(f"{UP}/b/rest")
        assert (await lender.lend(place)).credential.alias == "b"


async def test_a_rest_for_one_model_is_told_apart_and_lifted_with_the_others(
    console: Console, redis: RedisServer
) -> None:
    place = console.parts.offer.catalog.upstreams["openai"]
    async with gateway(console, redis) as lender:
        lease = await lender.lend(place, model="opus")
        lender.vault.give_back(lease, ModelExhausted("None left.", retry_after=60))
        await lender.line.call("PING")
        row = await console.get(f"{UP}/{lease.credential.alias}")
        assert (row["state"], row["rest"]) == ("ok", None)
        ((model, reason, seconds),) = [(one["model"], one["reason"], one["seconds"]) for one in row["models"]]
        assert (model, reason) == ("opus", "insufficient_quota") and 50 < seconds <= 60
        await console.client.delete(f"{UP}/{lease.credential.alias}/rest")
        assert (await console.get(f"{UP}/{lease.credential.alias}"))["models"] == []


async def test_after_a_rest_by_hand_one_request_finds_out(console: Console, redis: RedisServer) -> None:
    place = console.parts.offer.catalog.upstreams["openai"]
    async with gateway(console, redis) as lender:
        for alias in "abc":
            await console.client.post(f"{UP}/{alias}/rest", json={"seconds": 0.2})
        with pytest.raises(NothingToLend, match="operator"):
            await lender.lend(place)
        await asyncio.sleep(0.25)
        assert (await console.get(f"{UP}/a"))["state"] == "probing"
        assert (await lender.lend(place)).probe


async def test_a_whole_upstream_rests(console: Console, redis: RedisServer) -> None:
    place = console.parts.offer.catalog.upstreams["openai"]
    async with gateway(console, redis) as lender:
        assert (await console.client.post("upstreams/openai/rest", json={"seconds": 60})).status_code == 204
        with pytest.raises(NothingToLend):
            await lender.lend(place)
        assert (await console.client.delete("upstreams/openai/rest")).status_code == 204
        await lender.lend(place)
    assert [change["what"] for change in (await console.get("audit", what="upstream"))["data"]] == [
        "upstream.rest.end",
        "upstream.rest",
    ]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_what_is_not_there_cannot_rest(console: Console, method: str) -> None:
    body = {"json": {"seconds": 1}} if method == "POST" else {}
    assert (await console.refused(method, f"{UP}/nobody/rest", 404, **body))["param"] == "alias"
    assert (await console.refused(method, "upstreams/nowhere/rest", 404, **body))["param"] == "upstream"
    assert (await console.get("audit"))["data"] == []


# --- test now -----------------------------------------------------------------------------------------------------


class Probed:
    """A provider whose probe does as it is told."""

    def __init__(self, failure: Failure | None = None) -> None:
        self.failure = failure
        self.probed: list[str] = []

    async def probe(self, credential: Credential) -> None:
        self.probed.append(credential.part("value"))
        if self.failure is not None:
            raise self.failure


def speaks(console: Console, provider: Any) -> None:
    console.parts.offer.providers = {**console.parts.offer.providers, "openai": provider}


async def test_a_credential_is_tried_at_once(console: Console) -> None:
    provider = Probed()
    speaks(console, provider)
    answer = await console.client.post(f"{UP}/b/test")
    told = answer.json()
    assert (told["result"], told["failure"], told["alias"]) == ("ok", None, "b")
    assert provider.probed == ["sk-bbb"]
    assert (await console.get(f"{UP}/b"))["health"]["last_success"] is not None


async def test_one_that_is_refused_rests_and_its_secret_is_not_repeated(console: Console) -> None:
    speaks(console, Probed(CredentialRejected("I know you: sk-bbb!", upstream_status=401)))
    told = (await console.client.post(f"{UP}/b/test")).json()
    assert told["result"] == "failed"
    assert told["failure"] == {
        "code": "upstream_authentication_error", "message": "I know you: ...!", "blames": "credential",
        "upstream_status": 401,
    }  # fmt: skip
    assert (await console.get(f"{UP}/b"))["rest"]["reason"] == "upstream_authentication_error"
    speaks(console, Probed())
    assert (await console.client.post(f"{UP}/b/test")).json()["result"] == "ok"
    assert (await console.get(f"{UP}/b"))["state"] == "ok"


async def test_the_upstreams_own_failure_is_no_fault_of_the_credential(console: Console) -> None:
    speaks(console, Probed(UpstreamBroken("They have a bad day.")))
    assert (await console.client.post(f"{UP}/b/test")).json()["failure"]["blames"] == "upstream"
    row = await console.get(f"{UP}/b")
    assert (row["state"], row["health"]["failed"]) == ("ok", 0)


async def test_where_no_probe_is_free_that_is_said(console: Console) -> None:
    told = (await console.client.post("upstreams/echo/credentials/open/test")).json()
    assert (told["result"], told["seconds"], told["failure"]) == ("no_probe", None, None)


async def test_a_guest_who_is_not_there_yet_cannot_be_tested(consoles: Consoles) -> None:
    console = await consoles(H2OGPTE_BASE_URL="http://127.0.0.1:9")
    [row] = (await console.get("upstreams/h2ogpte/credentials"))["data"]
    assert (row["guest"], row["state"]) == (True, "new")
    error = await console.refused("POST", f"upstreams/h2ogpte/credentials/{row['alias']}/test", 409)
    assert error["code"] == "conflict"


# --- pages --------------------------------------------------------------------------------------------------------


async def test_pages_of_all_credentials(console: Console) -> None:
    names: list[tuple[str, str]] = []
    after: dict[str, str] = {}
    while True:
        page = await console.get("credentials", limit=1, **after)
        names += [(row["upstream"], row["alias"]) for row in page["data"]]
        if not page["has_more"]:
            break
        after = {"after": page["next"]}
    assert names == [("echo", "open"), ("openai", "a"), ("openai", "b"), ("openai", "c")]
    for wrong in ({"limit": 0}, {"limit": 1001}, {"after": "?"}, {"page": 2}):
        error = await console.refused("GET", "credentials", 400, params=wrong)
        assert error["param"] == next(iter(wrong))


async def test_a_lease_is_never_of_a_caller_who_waits(console: Console, redis: RedisServer) -> None:
    """Leases are told by what is held, not by who asked: one that is over is not among them."""
    place = console.parts.offer.catalog.upstreams["openai"]
    async with gateway(console, redis) as lender:
        await lender.line.call("ZADD", f"parley:{{openai}}:held:{'0' * 12}", 1, "gone-1")
        lease = await lender.vault.lend(place, wait_until=monotonic())
        held = await console.parts.state.holders.of("openai", [lease.credential.id, "0" * 12])
        assert [one.lease for one in held] == [lease.id]
        await lender.line.call("DEL", f"parley:{{openai}}:held:{'0' * 12}")


async def test_a_disabled_credential_is_told_as_such_and_can_neither_rest_nor_be_tested(consoles: Consoles) -> None:
    items = [{"value": "sk-aaa", "alias": "a"}, {"value": "sk-bbb", "alias": "b", "disabled": True}]
    console = await consoles(OPENAI_CREDENTIALS=json.dumps(items))
    rows = (await console.get(UP))["data"]
    assert [(row["alias"], row["state"]) for row in rows] == [("a", "ok"), ("b", "disabled")]
    assert await console.get(f"{UP}/b") == rows[1]
    for path, body in (("rest", {"seconds": 1}), ("test", None)):
        await console.refused("POST", f"{UP}/b/{path}", 404, json=body)
