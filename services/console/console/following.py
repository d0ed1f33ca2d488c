"""Following the configuration: what the console knows of upstreams is what the catalog in force says."""

from __future__ import annotations

from console.parts import Offer
from parley.catalog import Catalog
from parley.providers import make_provider
from parley.state.vault import Vault
from parley.transports import Net


class Following:
    """Told of each new catalog (`Live.listeners`)."""

    def __init__(self, vault: Vault, offer: Offer, net: Net) -> None:
        self._vault = vault
        self._offer = offer
        self._net = net

    async def take(self, catalog: Catalog) -> None:
        """Speak of the upstreams of this catalog from now on. Raises ConfigurationError, LostKey."""
        before, known = self._offer.catalog.upstreams, self._offer.providers
        providers = {
            name: known[name] if before.get(name) == upstream else make_provider(upstream, self._net)
            for name, upstream in catalog.upstreams.items()
        }
        await self._vault.follow(catalog.upstreams.values())
        self._offer.catalog, self._offer.providers = catalog, providers
        await self._vault.retire_others(catalog.upstreams)
