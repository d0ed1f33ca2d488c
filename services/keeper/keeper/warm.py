"""Keeps sessions warm: opens what is missing, and retires what got too old, per credential that can be used."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from parley.catalog import Upstream
from parley.errors import CredentialExpired, Failure
from parley.leases import Credential
from parley.providers import Provider
from parley.providers.optional import OpensSessions, RenewsCredential

if TYPE_CHECKING:
    from keeper.app import Tools

_AT_ONCE = 4
"""Sessions opened side by side with one credential: an upstream is not to be hammered."""


async def once(tools: Tools, upstream: Upstream, provider: Provider) -> None:
    """Bring every usable credential's share of the pool up to its size. Raises the first Failure met."""
    plan = upstream.pool
    if plan is None or not isinstance(provider, OpensSessions):
        return
    standing = await tools.vault.snapshot(upstream)
    usable = [row for row in standing.credentials if row.state == "ok" and not row.rests and not row.half_open]
    for position, row in enumerate(usable):
        # Retired a little before a request would refuse them, so that the pool is never full of what is too old.
        retired = await tools.pool.weed(upstream, row.id, plan.age * 0.9)
        share = plan.size // len(usable) + (position < plan.size % len(usable))
        missing = min(share - row.ready + retired, _AT_ONCE)
        if missing > 0 and not standing.rests:
            credential = await tools.vault.credential(upstream, row.id)
            opened = await asyncio.gather(
                *(_open(tools, upstream, provider, credential) for _ in range(missing)), return_exceptions=True
            )
            for outcome in opened:
                if isinstance(outcome, BaseException):
                    raise outcome


async def _open(tools: Tools, upstream: Upstream, provider: OpensSessions, credential: Credential) -> None:
    # Shielded: a session that the upstream makes while the baton is lost must still be recorded.
    await asyncio.shield(asyncio.ensure_future(_open_and_add(tools, upstream, provider, credential)))


async def _open_and_add(tools: Tools, upstream: Upstream, provider: OpensSessions, credential: Credential) -> None:
    try:
        with credential.unsaid(upstream):
            session = await provider.open_session(credential)
    except CredentialExpired:
        if not isinstance(provider, RenewsCredential):
            raise
        await tools.vault.renew(upstream, credential.id, provider.renew, generation=credential.generation)
    except Failure as failure:
        tools.vault.report(upstream, credential, failure)
        raise
    else:
        await tools.pool.add(upstream, session)
