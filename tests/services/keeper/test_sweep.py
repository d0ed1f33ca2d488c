"""What the keeper deletes, and at whose door it does not knock: against a vault, a pool and a provider on a stage."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from keeper import sweep
from parley.catalog import Upstream
from parley.chat.events import Events
from parley.errors import Challenged, CredentialRejected, Throttled
from parley.leases import Credential, Session

UPSTREAM = Upstream("u", "u")


class Opens:
    """A provider whose sessions are in a list; what it deletes is gone."""

    features: frozenset[Any] = frozenset()
    drops: frozenset[str] = frozenset()

    def __init__(self, *listed: str) -> None:
        self.listed = list(listed)
        self.closed: list[str] = []
        self.asked = 0

    def stream(self, prompt: Any, lease: Any) -> Events:
        raise NotImplementedError

    async def open_session(self, credential: Credential) -> Session:
        raise NotImplementedError

    async def close_sessions(self, credential: Credential, ids: list[str]) -> None:
        self.closed += ids

    async def list_sessions(self, credential: Credential) -> list[str]:
        self.asked += 1
        return [one for one in self.listed if one not in self.closed]


class Marks(Opens):
    """It marks its sessions, too."""

    def bears_our_mark(self, credential: Credential, session: str) -> bool:
        return session.startswith(f"{credential.id}-ours")


class Tools:
    """A vault and a pool, as the sweeper sees them."""

    def __init__(self, *, guest: bool = False, rests: float = 0, reason: str = "", upstream_reason: str = "") -> None:
        row = SimpleNamespace(id="c", guest=guest, state="ok", rests=rests, reason=reason)
        self.standing = SimpleNamespace(rests=9 if upstream_reason else 0, reason=upstream_reason, credentials=(row,))
        self.doomed: list[Session] = []
        self.remembered: set[str] = set()
        self.vault = self.pool = self

    async def snapshot(self, _: Upstream) -> Any:
        return self.standing

    async def credential(self, _: Upstream, identity: str) -> Credential:
        return Credential(identity, identity, {})

    async def known(self, _: Upstream, __: str) -> set[str]:
        return self.remembered

    async def due(self, _: Upstream) -> list[Session]:
        return self.doomed

    async def done(self, _: Upstream, sessions: list[Session]) -> None:
        self.doomed = [one for one in self.doomed if one not in sessions]


async def orphans(tools: Any, provider: Opens, looks: int = 2) -> list[str]:
    for _ in range(looks):
        await sweep.close_orphans(tools, UPSTREAM, provider)
    return provider.closed


async def doomed(tools: Any, provider: Opens) -> list[str]:
    await sweep.close_doomed(tools, UPSTREAM, provider)
    return provider.closed


@pytest.fixture(autouse=True)
def _nothing_suspected() -> Iterator[None]:
    sweep._suspects.clear()
    yield
    sweep._suspects.clear()


async def test_a_guests_sessions_are_all_ours() -> None:
    assert await orphans(Tools(guest=True), Opens("a", "b")) == ["a", "b"]


async def test_an_orphan_is_deleted_at_the_second_look_and_not_if_it_was_remembered_meanwhile() -> None:
    tools, provider = Tools(guest=True), Opens("a", "b")
    assert await orphans(tools, provider, looks=1) == []
    tools.remembered = {"b"}
    assert await orphans(tools, provider, looks=1) == ["a"]


async def test_an_operators_own_account_is_not_looked_at() -> None:
    provider = Opens("a", "b")
    assert await orphans(Tools(), provider) == []
    assert provider.asked == 0


async def test_in_an_operators_own_account_only_what_bears_our_mark_is_deleted() -> None:
    tools = Tools()
    tools.remembered = {"c-ours-2"}
    assert await orphans(tools, Marks("a persons own", "c-ours-1", "c-ours-2", "d-ours-3")) == ["c-ours-1"]


async def test_nobody_is_asked_who_rests() -> None:
    provider = Marks("c-ours-1")
    assert await orphans(Tools(rests=5, reason="rate_limit_exceeded"), provider) == []
    assert provider.asked == 0


SESSIONS = [Session("s1", "c", 1), Session("s2", "c", 1)]


@pytest.mark.parametrize(
    "tools",
    [
        Tools(),
        Tools(rests=5, reason=str(Throttled.code)),
        Tools(reason=str(CredentialRejected.code)),
        Tools(upstream_reason="upstream_unreachable"),
    ],
    ids=["well", "throttled", "refused once", "upstream rests"],
)
async def test_what_is_due_is_closed_also_with_a_credential_that_reached_a_limit(tools: Tools) -> None:
    tools.doomed = list(SESSIONS)
    assert await doomed(tools, Opens()) == ["s1", "s2"]
    assert tools.doomed == []


@pytest.mark.parametrize(
    "tools",
    [Tools(rests=5, reason=str(CredentialRejected.code)), Tools(upstream_reason=str(Challenged.code))],
    ids=["refused", "challenged"],
)
async def test_a_door_that_was_shut_is_not_knocked_at_and_nothing_is_forgotten(tools: Tools) -> None:
    tools.doomed = list(SESSIONS)
    assert await doomed(tools, Opens()) == []
    assert tools.doomed == SESSIONS
