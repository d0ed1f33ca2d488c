"""What an address names: an upstream of the catalog in force, and a credential of it."""

from __future__ import annotations

from console.parts import Parts
from console.refusals import NotFound
from parley.catalog import Upstream
from parley.state.standing import CredentialStanding


def upstream_named(here: Parts, name: str) -> Upstream:
    """The upstream. Raises NotFound."""
    found = here.offer.catalog.upstreams.get(name)
    if found is None:
        raise NotFound(f"There is no upstream '{name}'.", param="upstream")
    return found


async def credential_named(here: Parts, upstream: Upstream, alias: str) -> CredentialStanding:
    """How the credential stands; its id will do as well. Raises NotFound, StateUnavailable."""
    rows = (await here.state.vault.snapshot(upstream)).credentials
    found = next((row for row in rows if row.alias == alias), None) or next(
        (row for row in rows if row.id == alias), None
    )
    if found is None:
        raise NotFound(f"The upstream '{upstream.name}' has no credential '{alias}' that is lent.", param="alias")
    return found
