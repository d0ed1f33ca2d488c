"""The keeper: what must happen once in the fleet, and not once per gateway. The composition root of this service.

Any number of keepers may run; the one with the baton works, each loop at its own pace. When the baton is lost, so is
the right to work: the loops are cancelled at once, and what they had begun is either recorded in Redis or done again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from keeper import discover, probe, renew, sweep, warm
from keeper.figures import Figures
from keeper.page import served
from keeper.pulse import beat
from keeper.rounds import rounds
from parley.catalog import Catalog, Upstream
from parley.clock import sleep
from parley.configuration import Configured, read_catalog, watched
from parley.configuration.families import Environment
from parley.configuration.live import Live
from parley.providers import Provider, make_provider, make_providers, unsigned
from parley.sealed import Seal, Secret, master_key
from parley.state.baton import Baton
from parley.state.fleet import Fleet, process_name
from parley.state.line import Line
from parley.state.model_lists import ModelLists
from parley.state.pool import Pool
from parley.state.revisions import Changes, Revisions
from parley.state.terms import Terms
from parley.state.vault import Vault
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets

_PATIENCE = 2.0
"""Seconds the keeper waits for Redis: nobody waits for the keeper."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the loops work with."""

    settings: Environment
    catalog: Catalog
    providers: dict[str, Provider]
    vault: Vault
    pool: Pool
    lists: ModelLists
    figures: Figures


Chore = Callable[[Tools, Upstream, Provider], Awaitable[None]]


async def run(settings: Environment) -> None:
    """Keep until cancelled. Raises ConfigurationError, BadAddress, LostKey."""
    async with _kept(settings) as (keep, baton), asyncio.TaskGroup() as group:
        group.create_task(_beat())
        while True:
            await baton.wait()
            tools = keep.tools
            work = group.create_task(_work(tools))
            while baton.held and keep.tools is tools:
                await sleep(0.2)
            work.cancel()  # with another configuration it begins anew
            await asyncio.wait({work})


async def _work(tools: Tools) -> None:
    """All loops of all upstreams, while the baton is ours."""
    chores: list[tuple[str, float, Chore]] = [
        ("renew", 0.5, renew.once),
        ("warm", 0.5, warm.once),
        ("close", 0.5, sweep.close_doomed),
        ("orphans", 30.0, sweep.close_orphans),
        ("probe", 60.0, probe.once),
        ("models", tools.settings.models_refresh_seconds, discover.once),
    ]
    async with asyncio.TaskGroup() as group:
        for upstream in tools.catalog.upstreams.values():
            provider = tools.providers[upstream.name]
            for name, pace, chore in chores:
                once = _bound(chore, tools, upstream, provider)
                counted = partial(tools.figures.went_round, name, upstream.name)
                group.create_task(rounds(f"{name} {upstream.name}", pace, once, counted))


def _bound(chore: Chore, tools: Tools, upstream: Upstream, provider: Provider) -> Callable[[], Awaitable[None]]:
    async def once() -> None:
        await chore(tools, upstream, provider)

    return once


async def _beat() -> None:
    while True:
        beat()
        await sleep(1.0)


class _Keep:
    """The tools for the configuration in force."""

    def __init__(self, tools: Tools, net: Net) -> None:
        self.tools = tools
        self._net = net

    async def take(self, catalog: Catalog) -> None:
        """Work by another catalog from now on."""
        before = self.tools
        providers = {
            name: before.providers[name]
            if before.catalog.upstreams.get(name) == upstream
            else make_provider(upstream, self._net)
            for name, upstream in catalog.upstreams.items()
        }
        await before.vault.follow(catalog.upstreams.values())
        self.tools = replace(before, catalog=catalog, providers=providers)
        await before.vault.retire_others(catalog.upstreams)


@asynccontextmanager
async def _kept(settings: Environment) -> AsyncIterator[tuple[_Keep, Baton]]:
    secret = settings.parley_secret.get_secret_value() if settings.parley_secret else None
    seal = Seal(master_key(secret, settings.parley_state_dir))
    line = Line(Secret(settings.redis_url.get_secret_value()), process_name("keeper"), limit=_PATIENCE)
    net = Net(HTTP(), WebSockets(), Browser(threads=4))

    def read(changes: Changes) -> Configured:
        configured = read_catalog(settings, changes)
        make_providers(configured.catalog, net)  # options that a provider does not take are told before they count
        return configured

    live = Live(read, Revisions(line, seal), watched(settings))
    terms = Terms.with_leases_of(settings.lease_seconds)
    vault = Vault(line, seal, terms=terms, queue_length=settings.queue_length, unsigned=unsigned)
    lists = ModelLists(line)
    fleet, baton = Fleet(line, vault, lists), Baton(line)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(net.aclose)
        for part in (line, live, vault, fleet, baton):
            stack.push_async_callback(part.close)
        await line.open()
        await live.open()
        await vault.open(live.catalog.upstreams.values())
        await fleet.open()
        await baton.open()
        figures = Figures(fleet.status, lambda: baton.held)
        await stack.enter_async_context(served(figures.page))
        providers = make_providers(live.catalog, net)
        keep = _Keep(Tools(settings, live.catalog, providers, vault, Pool(line), lists, figures), net)
        live.listeners.append(keep.take)
        yield keep, baton
