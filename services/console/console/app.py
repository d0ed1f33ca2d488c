"""The console, composed: the only place that names concrete classes. Nothing is global; requests find their `Parts`."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from fastapi import FastAPI

from console.application import application
from console.editor import Editor
from console.figures import Figures
from console.following import Following
from console.parts import Offer, Parts, State
from console.sign_in import SignIn
from parley.configuration import Configured, read_catalog, watched
from parley.configuration.environment import read_settings
from parley.configuration.families import Environment
from parley.configuration.live import Live
from parley.journal import Journal, start_logging
from parley.providers import make_providers, unsigned
from parley.sealed import Seal, Secret, master_key
from parley.settings import ConfigurationError
from parley.state.address import BadAddress
from parley.state.admission import Admission
from parley.state.audit import Audit
from parley.state.fleet import Fleet, process_name
from parley.state.guesses import Guesses
from parley.state.holders import Holders
from parley.state.line import Line
from parley.state.model_lists import ModelLists
from parley.state.pool import Pool
from parley.state.readings import Readings
from parley.state.recent import Recent
from parley.state.records import LostKey
from parley.state.rests import Rests
from parley.state.revisions import Changes, Revisions
from parley.state.terms import Terms
from parley.state.vault import Vault
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets
from parley.visitors import Visitors

PATIENCE: Final = 2.0
"""Seconds the console waits for Redis: a person waits here, not a request for an answer."""
_UNUSABLE: Final = 2

log = logging.getLogger(__name__)


def create_app() -> FastAPI:
    """The application, for uvicorn. A configuration that cannot be used ends the process with a sentence."""
    try:
        settings = read_settings()
    except ConfigurationError as problem:
        print(f"console: {problem}", file=sys.stderr)  # noqa: T201  # the one thing to see when it does not start
        sys.exit(_UNUSABLE)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        try:
            name = process_name("console")
            start_logging("console", name, settings.log_level)
            async with assembled(settings, name) as parts:
                yield {"parts": parts}
        except (ConfigurationError, BadAddress, LostKey) as problem:
            log.critical("%s", problem)
            raise SystemExit(_UNUSABLE) from None
        except Exception:
            log.exception("the console cannot go on")
            raise

    return application(lifespan)


@contextlib.asynccontextmanager
async def assembled(settings: Environment, name: str, *, descriptor: int = 1) -> AsyncIterator[Parts]:
    """Everything, from the settings; the journal goes to `descriptor`.

    Raises ConfigurationError, BadAddress, LostKey.
    """
    secret = settings.parley_secret.get_secret_value() if settings.parley_secret else None
    seal = Seal(master_key(secret, settings.parley_state_dir))
    line = Line(Secret(settings.redis_url.get_secret_value()), name, limit=PATIENCE)
    terms = Terms.with_leases_of(settings.lease_seconds)
    vault = Vault(line, seal, terms=terms, queue_length=settings.queue_length, unsigned=unsigned)
    guesses = Guesses(line, limit=settings.wrong_keys_per_minute)
    lists, revisions = ModelLists(line), Revisions(line, seal)
    fleet = Fleet(line, vault, lists, others=(guesses,))
    net = Net(HTTP(), WebSockets(), Browser(threads=2))
    journal = Journal("console", name, descriptor)
    files = watched(settings)

    def read(changes: Changes) -> Configured:
        """What cannot be used is told before it is in force: also options that a provider does not take."""
        configured = read_catalog(settings, changes)
        make_providers(configured.catalog, net)
        return configured

    live = Live(read, revisions, files)
    key = settings.admin_key
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(journal.close)
        stack.push_async_callback(net.aclose)
        for part in (line, vault, fleet, live):
            stack.push_async_callback(part.close)
        await line.open()
        await live.open()
        offer = Offer(live.catalog, make_providers(live.catalog, net))
        live.listeners.append(Following(vault, offer, net).take)
        await vault.open(live.catalog.upstreams.values())
        await fleet.open()
        yield Parts(
            name,
            settings,
            SignIn(Secret(key.get_secret_value()) if key else None, guesses),
            Visitors(settings.trusted_proxies),
            journal,
            Figures(_is_up(line), lambda: live.revision),
            State(
                line,
                vault,
                Pool(line),
                fleet,
                Holders(line),
                Rests(line),
                Admission(line, terms=terms),
                Readings(line),
                Recent(line),
                Audit(line),
                revisions,
            ),
            live,
            offer,
            Editor(settings, revisions, live, seal, net),
        )


def _is_up(line: Line) -> Callable[[], bool]:
    return lambda: line.up
