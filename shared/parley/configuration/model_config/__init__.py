"""`model-config.json` of openai-style-api, as it is: its tokens are keys that decide the upstream, not the model name.

text.py      JSON with comments                    entries.py   what the file holds, and its mistakes
kinds.py     types that stand for one upstream     routers.py   types that choose among other tokens

Structure is strict: a file that is not a list of entries, or whose routers go in a circle, is refused. An entry that
cannot serve (a placeholder, a retired service, a key of the wrong form) is left out with a warning, as the project did:
its token is no key then, and the others work. No token or secret is in any message: entries go by their number.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from parley.catalog import Caller, Upstream
from parley.configuration.families import Environment
from parley.configuration.model_config.entries import PUBLISHED, Entry, entries_of
from parley.configuration.model_config.kinds import ROUTERS, Unusable, Upstreams
from parley.configuration.model_config.routers import Bindings
from parley.settings import ConfigurationError


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What the file configures; nothing when there is none."""

    upstreams: tuple[Upstream, ...] = ()
    callers: Mapping[bytes, Caller] = field(default_factory=dict)
    """By the SHA-256 digest of their token."""
    keyed: bool = False
    """Whether the file has tokens: then a key is asked for, even if none of them can be used."""
    advice: tuple[str, ...] = ()


def read_model_config(settings: Environment) -> ModelConfig:
    """Read the file if it exists. Raises ConfigurationError that says what is wrong and where."""
    path = settings.parley_model_config
    if not path.is_file():
        return ModelConfig()
    where, advice = str(path), list[str]()
    entries = entries_of(path.read_text("utf-8-sig"), where, advice.append)
    _refuse_master(entries, settings, where)
    upstreams = Upstreams(settings)
    bindings = Bindings(where, advice.append)
    for entry in entries:
        at = f"{where}: {entry.name}"
        if entry.token in PUBLISHED:
            advice.append(f"{at}: its token is the one that the README shows, which anybody may try; choose another.")
        try:
            if entry.type in ROUTERS:
                bindings.later(entry)
            else:
                bindings.add(entry, *upstreams.made(entry))
        except Unusable as reason:
            advice.append(f"{at} is left out, and its token opens nothing: {reason}.")
        advice.extend(f"{at}: {note}" for note in upstreams.notes())
    callers = {
        hashlib.sha256(entry.token.encode()).digest(): Caller(entry.label, bound)
        for entry, bound in bindings.resolved()
    }
    if entries and not callers:
        advice.append(f"{where}: none of its tokens can be used; without API_MASTER_KEY nobody has a key.")
    return ModelConfig(upstreams.found, callers, bool(entries), tuple(advice))


def _refuse_master(entries: tuple[Entry, ...], settings: Environment, where: str) -> None:
    master = settings.master_key.get_secret_value() if settings.master_key else ""
    for entry in entries:
        if master and hmac.compare_digest(entry.token.encode(), master.encode()):
            raise ConfigurationError(
                f"{where}: {entry.name}: its token is API_MASTER_KEY; one of them must be another."
            )
