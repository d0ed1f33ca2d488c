"""The gateway, composed: the only place that names concrete classes. Nothing is global; requests find their `Parts`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

from fastapi import FastAPI

from gateway.api import VERSION, application
from gateway.auth import Doorkeeper
from gateway.books import Books
from gateway.converse import Converse
from gateway.current import Current
from gateway.delivery import Pulse
from gateway.drain import end_drains
from gateway.figures import Figures
from gateway.health import Health
from gateway.limiter import Limiter
from gateway.parts import Parts
from gateway.planning import Planner
from gateway.relay import Relay
from gateway.speeds import Speeds
from gateway.state import shared
from parley.catalog import Catalog
from parley.configuration import read_catalog
from parley.configuration.environment import read_settings
from parley.configuration.families import Environment
from parley.journal import Journal, start_logging
from parley.sealed import Secret
from parley.settings import ConfigurationError
from parley.state.address import BadAddress
from parley.state.fleet import process_name
from parley.state.records import LostKey
from parley.state.retries import Retries
from parley.state.rotation import Rotation
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
        advice = read_catalog(settings).advice
    except ConfigurationError as problem:
        print(f"gateway: {problem}", file=sys.stderr)  # noqa: T201  # the one thing to see when it does not start
        sys.exit(_UNUSABLE)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        try:
            async with _parts(settings, advice) as parts:
                yield {"parts": parts}
        except (ConfigurationError, BadAddress, LostKey) as problem:
            log.critical("%s", problem)
            raise SystemExit(_UNUSABLE) from None
        except Exception:  # whatever it is: it stands in the log as a record, by type and place, before it ends us
            log.exception("the gateway cannot go on")
            raise

    return application(lifespan, settings.cors_origins)


@contextlib.asynccontextmanager
async def _parts(settings: Environment, advice: Sequence[str]) -> AsyncIterator[Parts]:
    replica = process_name("gateway")
    start_logging("gateway", replica, settings.log_level)
    for sentence in advice:
        log.warning("%s", sentence)
    master = Secret(settings.master_key.get_secret_value()) if settings.master_key else None
    visitors = Visitors(settings.trusted_proxies)
    journal = Journal("gateway", replica)
    net = Net(HTTP(), WebSockets(), Browser())
    pulse = Pulse(settings.header_grace_seconds, settings.heartbeat_seconds)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(journal.close)
        stack.push_async_callback(net.aclose)
        state = await stack.enter_async_context(shared(settings, replica, net))
        stack.push_async_callback(end_drains)
        beating = asyncio.create_task(pulse.run())
        stack.callback(beating.cancel)
        live, vault, fleet = state.live, state.vault, state.fleet

        def doorkeeper(catalog: Catalog) -> Doorkeeper:
            return Doorkeeper(
                master,
                catalog.callers,
                keyed=catalog.keyed,
                confirmed=lambda: live.confirmed,
                blind=settings.revocation_seconds,
            )

        current = Current(live.catalog, net, vault, state.discovered, doorkeeper)
        live.listeners.append(current.take)
        await current.load_tokens()
        if current.snapshot.doorkeeper.open:
            log.warning("NO API_MASTER_KEY IS SET: everybody who reaches this address may use it")
        speeds = Speeds()
        planner = Planner(vault, Rotation(state.line, lambda: fleet.place), speeds)
        retries = Retries(state.line, lambda: fleet.peers, share=settings.retry_share, floor=settings.retry_floor)
        limiter = Limiter(state.admission, lambda: current.snapshot.catalog.prices, settings.answer_tokens)
        relay = Relay(vault, retries, speeds, limiter, settings.attempts, settings.queue_seconds)
        figures = Figures(VERSION, state.line, state.meter, current.kind, lambda: vault.out)

        def enter(record: dict[str, Any]) -> None:
            state.recent.note(journal.write(record))

        books = Books(enter, state.meter, figures, lambda: current.snapshot.catalog.prices, limiter.over)

        def status() -> dict[str, Any]:
            return {**fleet.status(), "configuration": live.status()}

        health = Health(replica, VERSION, lambda: current.snapshot.doorkeeper.open, status)
        # What lives from the start lives to the end: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        # An answer leaves few cycles behind; looking for them every 700 objects is a pause for every stream.
        gc.set_threshold(50_000, 20, 20)
        yield Parts(
            settings,
            visitors,
            current,
            state.guesses,
            Converse(limiter, planner, relay),
            pulse,
            journal,
            books,
            health,
        )
