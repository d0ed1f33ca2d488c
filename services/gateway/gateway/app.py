"""The gateway, composed: the only place that names concrete classes. Nothing is global; requests find their `Parts`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI

from gateway.api import VERSION, application
from gateway.auth import Doorkeeper
from gateway.books import Books
from gateway.converse import Converse
from gateway.delivery import Pulse
from gateway.drain import end_drains
from gateway.figures import Figures
from gateway.health import Health
from gateway.parts import Parts
from gateway.planning import Planner
from gateway.relay import Relay
from gateway.routing import Directory
from gateway.speeds import Speeds
from parley import tokens
from parley.configuration import Configured, read_catalog
from parley.configuration.environment import read_settings
from parley.journal import Journal, start_logging
from parley.providers import make_providers
from parley.sealed import Seal, Secret, master_key
from parley.settings import ConfigurationError, Settings
from parley.state.address import BadAddress
from parley.state.fleet import Fleet, process_name
from parley.state.line import Line
from parley.state.meter import Meter
from parley.state.model_lists import ModelLists
from parley.state.recent import Recent
from parley.state.records import LostKey
from parley.state.retries import Retries
from parley.state.rotation import Rotation
from parley.state.terms import Terms
from parley.state.vault import Vault
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets
from parley.visitors import Visitors

_UNUSABLE = 4
"""The exit code that gunicorn takes for `the application failed to load`: it does not start it over and over."""

log = logging.getLogger(__name__)


def create_app() -> FastAPI:
    """The application, for uvicorn. A configuration that cannot be used ends the process with a sentence."""
    try:
        settings = read_settings()
        configured = read_catalog(settings)
    except ConfigurationError as problem:
        print(f"gateway: {problem}", file=sys.stderr)  # noqa: T201  # the one thing to see when it does not start
        sys.exit(_UNUSABLE)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        try:
            async with _parts(settings, configured) as parts:
                yield {"parts": parts}
        except (ConfigurationError, BadAddress, LostKey) as problem:
            log.critical("%s", problem)
            raise SystemExit(_UNUSABLE) from None
        except Exception:
            log.exception("the gateway cannot go on")
            raise

    return application(lifespan, settings.cors_origins)


@contextlib.asynccontextmanager
async def _parts(settings: Settings, configured: Configured) -> AsyncIterator[Parts]:
    replica = process_name("gateway")
    start_logging("gateway", replica, settings.log_level)
    for advice in configured.advice:
        log.warning("%s", advice)
    master = settings.master_key
    catalog = configured.catalog
    doorkeeper = Doorkeeper(Secret(master.get_secret_value()) if master else None, catalog.callers, keyed=catalog.keyed)
    if doorkeeper.open:
        log.warning("NO API_MASTER_KEY IS SET: everybody who reaches this address may use it")
    visitors = Visitors(settings.trusted_proxies)
    secret = settings.parley_secret.get_secret_value() if settings.parley_secret else None
    line = Line(Secret(settings.redis_url.get_secret_value()), replica, limit=settings.redis_patience_seconds)
    vault = Vault(
        line,
        Seal(master_key(secret, settings.parley_state_dir)),
        terms=Terms.with_leases_of(settings.lease_seconds),
        queue_length=settings.queue_length,
    )
    meter = Meter(line)
    lists = ModelLists(line)
    fleet = Fleet(line, vault, lists)
    net = Net(HTTP(), WebSockets(), Browser())
    journal = Journal("gateway", replica)
    recent = Recent(line)
    pulse = Pulse(settings.header_grace_seconds, settings.heartbeat_seconds)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(journal.close)
        stack.push_async_callback(net.aclose)
        for part in (line, vault, fleet):
            stack.push_async_callback(part.close)
        stack.callback(meter.flush)
        stack.callback(recent.flush)
        stack.push_async_callback(end_drains)
        await line.open()
        await vault.open(catalog.upstreams.values())
        await fleet.open()
        beating = asyncio.create_task(pulse.run())
        stack.callback(beating.cancel)

        def discovered(upstream: str) -> tuple[str, ...]:
            found = lists.get(upstream)
            return found.models if found else ()

        providers = make_providers(catalog, net)
        if not all("usage" in provider.features for provider in providers.values()):
            tokens.load()
        directory = Directory(catalog, providers, discovered)
        speeds = Speeds()
        planner = Planner(vault, Rotation(line, lambda: fleet.place), speeds)
        retries = Retries(line, lambda: fleet.peers, share=settings.retry_share, floor=settings.retry_floor)
        relay = Relay(vault, retries, speeds, settings.attempts, settings.queue_seconds)
        figures = Figures(VERSION, line, meter, lambda name: catalog.upstreams[name].provider, lambda: vault.out)

        def enter(record: dict[str, Any]) -> None:
            recent.note(journal.write(record))

        books = Books(enter, meter, figures, lambda: catalog.prices)
        health = Health(replica, VERSION, doorkeeper.open, fleet.status)
        # What lives from the start lives to the end: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        # An answer leaves few cycles behind; looking for them every 700 objects is a pause for every stream.
        gc.set_threshold(50_000, 20, 20)
        yield Parts(
            settings,
            visitors,
            doorkeeper,
            directory,
            Converse(directory, planner, relay),
            pulse,
            journal,
            books,
            health,
        )
