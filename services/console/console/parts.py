"""What a console process is made of: built by `console.app` when it starts, handed to every request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from console.editor import Editor
from console.figures import Figures
from console.sign_in import SignIn
from parley.catalog import Catalog
from parley.configuration.live import Live
from parley.journal import Journal
from parley.providers import Provider
from parley.settings import Settings
from parley.state.admission import Admission
from parley.state.audit import Audit
from parley.state.fleet import Fleet
from parley.state.holders import Holders
from parley.state.line import Line
from parley.state.pool import Pool
from parley.state.readings import Readings
from parley.state.recent import Recent
from parley.state.rests import Rests
from parley.state.revisions import Revisions
from parley.state.vault import Vault
from parley.visitors import Visitors


@dataclass(frozen=True, slots=True)
class State:
    """All that Redis remembers, as the console reads and changes it."""

    line: Line
    vault: Vault
    pool: Pool
    fleet: Fleet
    holders: Holders
    rests: Rests
    admission: Admission
    readings: Readings
    recent: Recent
    audit: Audit
    revisions: Revisions


@dataclass(slots=True)
class Offer:
    """The providers of the catalog in force; they are made anew with it."""

    catalog: Catalog
    providers: Mapping[str, Provider]


@dataclass(frozen=True, slots=True)
class Parts:
    """The lifespan's state, under the name `parts`."""

    name: str
    """Of this process."""
    settings: Settings
    sign_in: SignIn
    visitors: Visitors
    journal: Journal
    figures: Figures
    state: State
    live: Live
    offer: Offer
    editor: Editor


def _of(request: Request) -> Parts:
    parts: Parts = request.scope["state"]["parts"]
    return parts


Here = Annotated[Parts, Depends(_of)]
"""As the type of an endpoint's parameter: the parts of this process."""
