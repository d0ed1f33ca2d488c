"""What this gateway shares with the others, all of it over one line to Redis; opened and closed together."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from parley.configuration import Configured, read_catalog, watched
from parley.configuration.families import Environment
from parley.configuration.live import Live
from parley.providers import make_providers, unsigned
from parley.sealed import Seal, Secret, master_key
from parley.state.admission import Admission
from parley.state.fleet import Fleet
from parley.state.guesses import Guesses
from parley.state.line import Line
from parley.state.meter import Meter
from parley.state.model_lists import ModelLists
from parley.state.recent import Recent
from parley.state.revisions import Changes, Revisions
from parley.state.terms import Terms
from parley.state.vault import Vault
from parley.transports import Net


@dataclass(frozen=True, slots=True)
class State:
    """Whatever replicas must agree on."""

    line: Line
    live: Live
    vault: Vault
    admission: Admission
    guesses: Guesses
    meter: Meter
    recent: Recent
    lists: ModelLists
    fleet: Fleet

    def discovered(self, upstream: str) -> Sequence[str]:
        """Model ids found at an upstream, as far as it was asked."""
        found = self.lists.get(upstream)
        return found.models if found else ()


@contextlib.asynccontextmanager
async def shared(settings: Environment, replica: str, net: Net) -> AsyncIterator[State]:
    """The state meanwhile. Raises ConfigurationError, BadAddress, LostKey."""
    secret = settings.parley_secret.get_secret_value() if settings.parley_secret else None
    line = Line(Secret(settings.redis_url.get_secret_value()), replica, limit=settings.redis_patience_seconds)
    seal = Seal(master_key(secret, settings.parley_state_dir))
    terms = Terms.with_leases_of(settings.lease_seconds)

    def read(changes: Changes) -> Configured:
        """What cannot be used is told before it is in force: also options that a provider does not take."""
        configured = read_catalog(settings, changes)
        make_providers(configured.catalog, net)
        return configured

    live = Live(read, Revisions(line, seal), watched(settings))
    admission = Admission(line, terms=terms)
    vault = Vault(line, seal, terms=terms, queue_length=settings.queue_length, admission=admission, unsigned=unsigned)
    guesses = Guesses(line, limit=settings.wrong_keys_per_minute)
    lists, meter, recent = ModelLists(line), Meter(line), Recent(line)
    fleet = Fleet(line, vault, lists, others=[admission, guesses])
    async with contextlib.AsyncExitStack() as stack:
        for part in (line, live, vault, admission, fleet):
            stack.push_async_callback(part.close)
        stack.callback(meter.flush)
        stack.callback(recent.flush)
        await line.open()
        await live.open()
        await vault.open(live.catalog.upstreams.values())
        admission.open()
        await fleet.open()
        yield State(line, live, vault, admission, guesses, meter, recent, lists, fleet)
