"""`parley.yaml`: several upstreams of one kind, and routes with several targets.

    upstreams:
      - name: east
        provider: openai
        base_url: https://east.example/v1
        credentials: ["${EAST_KEY}", {value: "${EAST_KEY_2}", alias: spare, proxy: "socks5://127.0.0.1:1080"}]
    routes:
      - model: smart                       # what else a route may say: parley/configuration/routes.py
        targets: [east/big-model, huggingface/openai/gpt-oss-120b]
    default_model: smart
    prices:
      currency: USD
      models:
        - {model: "east/big-*", prompt: 2.5, completion: 10, cached: 1.25}    # per million tokens

`${NAME}` and `${NAME:-default}` are taken from the environment, so that the file itself needs no secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError

from parley.catalog import AS_ASKED, CredentialPlan, PoolPlan, Route, Upstream
from parley.configuration.credentials import credential
from parley.configuration.entries import STRICT, DefaultsEntry
from parley.configuration.network import timeouts_of
from parley.configuration.prices import PricesEntry, prices_of
from parley.configuration.routes import RouteEntry, route_of
from parley.prices import NONE as NO_PRICES
from parley.prices import Prices
from parley.sealed import Secret
from parley.settings import ConfigurationError, Settings

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_POOLED = {"h2ogpte"}
_CONCURRENCY = {"claude-web": 1}
"""Answers at a time per credential, where the file does not say and 'no limit' would harm the account."""


class TimeoutsEntry(BaseModel):
    """Seconds; what is left out is as the environment says."""

    model_config = STRICT

    connect: Annotated[float, Field(gt=0)] | None = None
    first_token: Annotated[float, Field(gt=0)] | None = None
    between_tokens: Annotated[float, Field(gt=0)] | None = None
    total: Annotated[float, Field(gt=0)] | None = None


class PoolEntry(BaseModel):
    """Warm sessions to keep, and their greatest age in seconds."""

    model_config = STRICT

    size: Annotated[int, Field(ge=0, le=200)] = 5
    age: Annotated[float, Field(gt=0)] = 600.0


class UpstreamEntry(BaseModel):
    """One upstream."""

    model_config = STRICT

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    provider: str
    base_url: str = ""
    credentials: list[str | dict[str, Any]] = []
    guests: Annotated[int, Field(ge=0, le=20)] = 0
    models: list[str] = []
    default_model: str | None = None
    concurrency: Annotated[int, Field(ge=0)] | None = None
    per_minute: Annotated[int, Field(ge=0)] = 0
    timeouts: TimeoutsEntry = TimeoutsEntry()
    pool: PoolEntry | None = None
    proxy: str | None = None
    hang_up: Literal["cancel", "drain"] = "cancel"
    defaults: DefaultsEntry = {}
    options: dict[str, Any] = {}


class FileContent(BaseModel):
    """The whole file."""

    model_config = STRICT

    upstreams: list[UpstreamEntry] = []
    routes: list[RouteEntry] = []
    default_model: str | None = None
    prices: PricesEntry = PricesEntry()


@dataclass(frozen=True, slots=True)
class FileFound:
    """What the file configures; nothing when there is no file."""

    upstreams: tuple[Upstream, ...] = ()
    routes: tuple[Route, ...] = ()
    default_model: str | None = None
    prices: Prices = NO_PRICES


def read_file(settings: Settings, environ: Mapping[str, str] = os.environ) -> FileFound:
    """Read `parley.yaml` if it exists. Raises ConfigurationError that says what is wrong and where."""
    path = settings.parley_config
    if not path.is_file():
        return FileFound()
    try:
        content = FileContent.model_validate(_filled(yaml.safe_load(path.read_text("utf-8")) or {}, environ, str(path)))
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{path} is not valid YAML{line}: {getattr(problem, 'problem', problem)}") from None
    except ValidationError as problem:
        wrong = "; ".join(
            f"{'.'.join(map(str, error['loc']))}: {error['msg'].removeprefix('Value error, ')}"
            for error in problem.errors()
        )
        raise ConfigurationError(f"{path}: {wrong}") from None
    upstreams = tuple(
        _upstream(entry, settings, f"{path}: upstreams[{i}]") for i, entry in enumerate(content.upstreams)
    )
    if len({upstream.name for upstream in upstreams}) < len(upstreams):
        raise ConfigurationError(f"{path}: two upstreams have the same name.")
    routes = tuple(route_of(entry, f"{path}: routes[{i}]") for i, entry in enumerate(content.routes))
    if AS_ASKED in (content.default_model or ""):
        raise ConfigurationError(f"{path}: default_model: '{content.default_model}' is a pattern; it must be a name.")
    return FileFound(upstreams, routes, content.default_model, prices_of(content.prices))


def _upstream(entry: UpstreamEntry, settings: Settings, where: str) -> Upstream:
    credentials = [
        credential(item, where=f"{where}.credentials[{i}]", alias=f"{entry.name}-{i + 1}")
        for i, item in enumerate(entry.credentials)
    ]
    credentials += [CredentialPlan(f"guest-{i + 1}", {}, guest=True) for i in range(entry.guests)]
    if not credentials:  # a server that asks for no key is still lent in turn, paced and rested
        credentials = [CredentialPlan("open", {})]
    timeouts = replace(timeouts_of(settings), **entry.timeouts.model_dump(exclude_none=True))
    pool = entry.pool or (PoolEntry() if entry.provider in _POOLED else None)
    return Upstream(
        name=entry.name,
        provider=entry.provider,
        base_url=entry.base_url,
        credentials=tuple(credentials),
        models=tuple(entry.models),
        default_model=entry.default_model,
        concurrency=_CONCURRENCY.get(entry.provider, 0) if entry.concurrency is None else entry.concurrency,
        per_minute=entry.per_minute,
        timeouts=timeouts,
        pool=PoolPlan(pool.size, pool.age) if pool else None,
        proxy=Secret(entry.proxy) if entry.proxy else None,
        hang_up=entry.hang_up,
        defaults=entry.defaults,
        options=entry.options,
    )


def _filled(value: Any, environ: Mapping[str, str], where: str) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, environ, f"{where}: {key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, environ, where) for item in value]
    if not isinstance(value, str):
        return value

    def found(match: re.Match[str]) -> str:
        text = environ.get(match["name"]) or match["default"]
        if text is None:
            raise ConfigurationError(f"{where} names ${{{match['name']}}}, which is not set in the environment.")
        return text

    return _VARIABLE.sub(found, value)
