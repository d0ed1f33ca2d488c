"""Sessions: counted, and flushed."""

from __future__ import annotations

from parley.leases import Session
from tests.servers import RedisServer
from tests.services.console.conftest import Console, Consoles
from tests.shared.state.conftest import replica

H2OGPTE = {
    "H2OGPTE_BASE_URL": "http://127.0.0.1:9",
    "H2OGPTE_SESSION": "a-session-of-the-test",
    "H2OGPTE_CSRF_TOKEN": "a-token-of-the-test",
    "H2OGPTE_WORKSPACE_ID": "workspaces/6f0d3c1e-6a52-4c51-9a54-0d0f6a3f0001",
    "IS_GUEST": "false",
}


async def warm(console: Console, *ids: str) -> str:
    """Sessions of the upstream's only credential, whose id this is."""
    here = console.parts
    place = here.offer.catalog.upstreams["h2ogpte"]
    [row] = (await here.state.vault.snapshot(place)).credentials
    for each in ids:
        assert await here.state.pool.add(place, Session(each, row.id, row.epoch))
    return row.id


async def test_sessions_are_counted_where_they_are(consoles: Consoles, redis: RedisServer) -> None:
    console = await consoles(**H2OGPTE)
    assert [row["upstream"] for row in (await console.get("sessions"))["data"]] == ["h2ogpte"]
    await warm(console, "one", "two", "three")
    here = console.parts
    place = here.offer.catalog.upstreams["h2ogpte"]
    async with replica(redis.url, place, seal=here.state.revisions.seal) as lender:
        lease = await lender.lend(place, sessions=True)
        assert lease.session
        [row] = (await console.get("sessions"))["data"]
        assert (row["ready"], row["leased"], row["to_close"]) == (2, 1, 0)
        assert row["wanted"] == place.pool.size
        assert list(row["credentials"].values()) == [2]
        lender.vault.give_back(lease, None)
        await lender.line.call("PING")
        [row] = (await console.get("sessions"))["data"]
        assert (row["ready"], row["leased"], row["to_close"]) == (2, 0, 1)


async def test_a_flush_dooms_what_is_ready_and_nothing_else(consoles: Consoles) -> None:
    console = await consoles(**H2OGPTE)
    await warm(console, "one", "two", "three")
    answer = await console.client.post("sessions/h2ogpte/flush")
    assert answer.json() == {"object": "sessions.flushed", "upstream": "h2ogpte", "closed": 3}
    [row] = (await console.get("sessions"))["data"]
    assert (row["ready"], row["to_close"], row["credentials"]) == (0, 3, {})
    assert (await console.client.post("sessions/h2ogpte/flush")).json()["closed"] == 0
    changes = (await console.get("audit"))["data"]
    assert [(change["what"], change["details"]) for change in changes] == [
        ("sessions.flush", {"closed": 0}),
        ("sessions.flush", {"closed": 3}),
    ]
    assert (await console.refused("POST", "sessions/nowhere/flush", 404))["code"] == "not_found"
