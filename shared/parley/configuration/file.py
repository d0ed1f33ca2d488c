"""`parley.yaml`: several upstreams of one kind, routes with several targets, keys, limits, prices.

    upstreams:
      - name: east
        provider: openai
        base_url: https://east.example/v1
        credentials: ["${EAST_KEY}", {value: "${EAST_KEY_2}", alias: spare, proxy: "socks5://127.0.0.1:1080"}]
    routes:
      - model: smart                       # what else a route may say: parley/configuration/routes.py
        targets: [east/big-model, huggingface/openai/gpt-oss-120b]
    default_model: smart
    keys:                                  # parley/configuration/keys.py
      - {name: alice, key: "${ALICE_KEY}", limits: {requests_per_minute: 60}}
    limits:                                # of models, by pattern: parley/configuration/limits.py
      - {model: "east/*", concurrency: 10}
    prices:
      currency: USD
      models:
        - {model: "east/big-*", prompt: 2.5, completion: 10, cached: 1.25}    # per million tokens

`${NAME}` and `${NAME:-default}` are taken from the environment, from `.env`, or from a file `secrets.env` beside it (a
container sees neither of the others' own names), so that the file itself needs no secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dotenv import dotenv_values
from pydantic import BaseModel, ValidationError

from parley.catalog import AS_ASKED, Caller, ModelLimit, Route, Upstream
from parley.configuration.entries import STRICT, mistakes
from parley.configuration.keys import KeyEntry, refuse_reserved
from parley.configuration.limits import ModelLimitEntry
from parley.configuration.lines import located, read_yaml
from parley.configuration.prices import PricesEntry, prices_of
from parley.configuration.routes import RouteEntry, route_of
from parley.configuration.upstreams import UpstreamEntry, credentials_of, upstream_of
from parley.prices import NONE as NO_PRICES
from parley.prices import Prices
from parley.settings import ConfigurationError, Settings

_VARIABLE: Final = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


class FileContent(BaseModel):
    """All that `parley.yaml` says. `${NAME}` and `${NAME:-default}` in any text are taken from the environment,
    from `.env`, or from `secrets.env` beside it."""

    model_config = STRICT

    upstreams: list[UpstreamEntry] = []
    """Places that are asked for answers; one that the environment makes, too, is as it is here."""
    routes: list[RouteEntry] = []
    """Model names of yours, and who answers them."""
    default_model: str | None = None
    """Who serves an unknown or missing model name: a route, a model, or `upstream/model`."""
    prices: PricesEntry = PricesEntry()
    """What tokens cost."""
    keys: list[KeyEntry] = []
    """Who may call, beside the master key."""
    limits: list[ModelLimitEntry] = []
    """How much may be asked of models, by all callers together; the first line that fits a model counts."""


@dataclass(frozen=True, slots=True)
class FileFound:
    """What the file configures; nothing when there is no file."""

    upstreams: tuple[Upstream, ...] = ()
    routes: tuple[Route, ...] = ()
    default_model: str | None = None
    prices: Prices = NO_PRICES
    callers: Mapping[bytes, Caller] = field(default_factory=dict)
    """By the SHA-256 digest of their keys."""
    limits: tuple[ModelLimit, ...] = ()


def read_content(settings: Settings, environ: Mapping[str, str] | None = None) -> FileContent:
    """What `parley.yaml` says, variables filled in. Raises ConfigurationError that says what is wrong and where."""
    path = settings.parley_config
    if not path.is_file():
        return FileContent()
    names = _names(settings) if environ is None else environ
    with located(path):
        try:
            return FileContent.model_validate(_filled(read_yaml(path) or {}, names, f"{path}: "))
        except ValidationError as problem:
            raise ConfigurationError(f"{path}: {mistakes(problem)}") from None


def read_file(settings: Settings, environ: Mapping[str, str] | None = None) -> FileFound:
    """Read `parley.yaml` if it exists. Raises ConfigurationError that says what is wrong and where."""
    content = read_content(settings, environ)
    with located(settings.parley_config):
        return _found(content, settings)


def _found(content: FileContent, settings: Settings) -> FileFound:
    path = settings.parley_config
    upstreams: dict[str, Upstream] = {}
    for position, entry in enumerate(content.upstreams):
        at = f"{path}: upstreams[{position}]"
        if entry.name in upstreams:
            raise ConfigurationError(f"{at}: there is an upstream '{entry.name}' before it; two have the same name.")
        upstreams[entry.name] = upstream_of(entry.name, entry, credentials_of(entry, at), settings)
    routes = tuple(route_of(entry, f"{path}: routes[{i}]") for i, entry in enumerate(content.routes))
    if AS_ASKED in (content.default_model or ""):
        raise ConfigurationError(f"{path}: default_model: '{content.default_model}' is a pattern; it must be a name.")
    return FileFound(
        tuple(upstreams.values()),
        routes,
        content.default_model,
        prices_of(content.prices),
        _callers(content.keys, str(path)),
        tuple(entry.model_limit() for entry in content.limits),
    )


def _callers(entries: Sequence[KeyEntry], where: str) -> dict[bytes, Caller]:
    callers: dict[bytes, Caller] = {}
    names: set[str] = set()
    for position, entry in enumerate(entries):
        at = f"{where}: keys[{position}]"
        refuse_reserved(entry.name, at)
        for digest, caller in entry.callers():
            if entry.name in names or digest in callers:
                raise ConfigurationError(f"{at}: another key has the same name, or is the same.")
            callers[digest] = caller
        names.add(entry.name)
    return callers


def secrets_file(settings: Settings) -> Path:
    """Where values for `${NAME}` may be, beside the file."""
    return settings.parley_config.with_name("secrets.env")


def _names(settings: Settings) -> dict[str, str]:
    """What `${NAME}` may name; the environment wins, as it does for settings."""
    files = (secrets_file(settings), Path(".env"))
    names: dict[str, str] = {}
    for file in files:
        if file.is_file():
            names |= {name: text for name, text in dotenv_values(file, interpolate=False).items() if text}
    return names | {name: text for name, text in os.environ.items() if text}


def _filled(value: Any, environ: Mapping[str, str], where: str) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, environ, f"{where}{key}.") for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, environ, f"{where}{i}.") for i, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def found(match: re.Match[str]) -> str:
        text = environ.get(match["name"]) or match["default"]
        if text is None:
            raise ConfigurationError(
                f"{where.removesuffix('.')} names ${{{match['name']}}}, which is not set in the environment, in .env "
                "or in secrets.env."
            )
        return text

    return _VARIABLE.sub(found, value)
