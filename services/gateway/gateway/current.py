"""What follows from the catalog in force. A request takes the snapshot of the moment when it comes, and keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from gateway.auth import Doorkeeper
from gateway.limiter import counts_tokens
from gateway.routing import Directory, Discovered
from parley import tokens
from parley.catalog import Catalog
from parley.providers import Provider, make_provider
from parley.state.vault import Vault
from parley.transports import Net


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One catalog, and who acts by it."""

    catalog: Catalog
    directory: Directory
    doorkeeper: Doorkeeper


class Current:
    """The snapshot of this moment. `take` is told of each new catalog."""

    def __init__(
        self,
        catalog: Catalog,
        net: Net,
        vault: Vault,
        discovered: Discovered,
        doorkeeper: Callable[[Catalog], Doorkeeper],
    ) -> None:
        """Raise ConfigurationError for an upstream that no provider can be made for."""
        self._net = net
        self._vault = vault
        self._discovered = discovered
        self._doorkeeper = doorkeeper
        self._kinds: dict[str, str] = {}
        self._load_tokens = False
        self.snapshot = self._made(catalog, {})

    async def take(self, catalog: Catalog) -> None:
        """Act by another catalog from now on: what is new can be lent before it is asked for, and what is gone is lent
        no more when nobody can ask for it."""
        before = self.snapshot
        kept = {
            name: before.directory.providers[name]
            for name, upstream in catalog.upstreams.items()
            if before.catalog.upstreams.get(name) == upstream
        }
        snapshot = self._made(catalog, kept)
        await self.load_tokens()
        await self._vault.follow(catalog.upstreams.values())
        self.snapshot = snapshot
        await self._vault.retire_others(catalog.upstreams)

    def kind(self, upstream: str) -> str:
        """The provider of an upstream, also of one that a request still knows and the catalog does not."""
        return self._kinds.get(upstream, "other")

    async def load_tokens(self) -> None:
        """Have the tokenizer's tables where somebody's usage will be counted: no stream is to wait for them later."""
        if self._load_tokens:
            await asyncio.to_thread(tokens.load)

    def _made(self, catalog: Catalog, kept: dict[str, Provider]) -> Snapshot:
        providers = {
            name: kept[name] if name in kept else make_provider(upstream, self._net)
            for name, upstream in catalog.upstreams.items()
        }
        self._kinds.update({name: upstream.provider for name, upstream in catalog.upstreams.items()})
        self._load_tokens = counts_tokens(catalog) or not all("usage" in made.features for made in providers.values())
        return Snapshot(catalog, Directory(catalog, providers, self._discovered), self._doorkeeper(catalog))
