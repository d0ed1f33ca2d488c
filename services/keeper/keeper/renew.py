"""Renews credentials that ran out, and signs in guests whose place is empty, before a request has to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.catalog import Upstream
from parley.providers import Provider
from parley.providers.optional import RenewsCredential

if TYPE_CHECKING:
    from keeper.app import Tools


async def once(tools: Tools, upstream: Upstream, provider: Provider) -> None:
    """Renew what needs it and does not rest; one at a time in the fleet, whoever it is that tries."""
    if not isinstance(provider, RenewsCredential):
        return
    for row in (await tools.vault.snapshot(upstream)).credentials:
        if row.state != "ok" and not row.rests and not row.renewing:
            await tools.vault.renew(upstream, row.id, provider.renew)
