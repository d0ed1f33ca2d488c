"""Asks upstreams which models they have, and keeps the list for every process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.catalog import Upstream
from parley.errors import Failure, NothingToLend
from parley.leases import Lease
from parley.providers import Provider
from parley.providers.optional import ListsModels

if TYPE_CHECKING:
    from keeper.app import Tools


async def once(tools: Tools, upstream: Upstream, provider: Provider) -> None:
    """Ask with the first credential that works. Without an answer the old list stays. Raises the last Failure."""
    if not isinstance(provider, ListsModels):
        return
    last: Failure | None = None
    for row in (await tools.vault.snapshot(upstream)).credentials:
        if row.state != "ok" or row.rests:
            continue
        credential = await tools.vault.credential(upstream, row.id)
        try:
            # Not lent in its turn: a list is not an answer, and nobody waits for it.
            with credential.unsaid(upstream):
                found = await provider.models(Lease("models", upstream, credential, shared=False))
        except Failure as failure:
            last = failure
            continue
        await tools.lists.put(upstream.name, found)
        return
    raise last or NothingToLend("no credential can be used yet")
