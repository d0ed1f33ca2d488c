"""Where a catalog comes from: the environment's families of variables, `parley.yaml`, which wins over them, and
openai-style-api's `model-config.json`, which adds upstreams and keys of its own; and over all of them the changes that
an operator made while Parley runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parley.catalog import Caller, Catalog, CredentialPlan, ModelLimits, Upstream
from parley.configuration.changes import Base, changed, read_document
from parley.configuration.environment import upstreams_of
from parley.configuration.families import Environment
from parley.configuration.file import read_file, secrets_file
from parley.configuration.keys import digest
from parley.configuration.lines import located
from parley.configuration.model_config import read_model_config
from parley.configuration.routes import check_routes
from parley.settings import ConfigurationError, Settings

ECHO = Upstream(
    name="echo", provider="echo", credentials=(CredentialPlan("open", {}),), models=("echo",), default_model="echo"
)


@dataclass(frozen=True, slots=True)
class Configured:
    """A catalog, and what its operator should be told about it."""

    catalog: Catalog
    advice: tuple[str, ...]


def read_catalog(settings: Environment, changes: Mapping[str, Any] | None = None) -> Configured:
    """The catalog of the environment and the files as they are now, with the changes. Raises ConfigurationError."""
    found = upstreams_of(settings)
    file = read_file(settings)
    upstreams = {upstream.name: upstream for upstream in found.upstreams}
    upstreams.update({upstream.name: upstream for upstream in file.upstreams})
    old = read_model_config(settings)
    for upstream in old.upstreams:
        if upstreams.setdefault(upstream.name, upstream) is not upstream:
            raise ConfigurationError(
                f"{settings.parley_model_config} makes an upstream '{upstream.name}', and so does "
                f"{settings.parley_config}; give that one another name."
            )
    with located(settings.parley_config):
        check_routes(
            file.routes, {**upstreams, ECHO.name: ECHO}, lambda i: f"routes[{i}]", f"{settings.parley_config}: "
        )
    now = Base(
        upstreams=upstreams,
        routes={route.model: route for route in file.routes},
        callers=_together(old.callers, file.callers, settings),
        limits={limit.model: limit for limit in file.limits},
        prices=file.prices,
        default_model=file.default_model or settings.default_model,
    )
    if changes:
        now = changed(now, read_document(changes), settings)
    # Echo comes last: a real upstream's model of that name goes first.
    every = {**now.upstreams, **({} if ECHO.name in now.upstreams else {ECHO.name: ECHO})}
    if changes:
        check_routes(routes := list(now.routes.values()), every, lambda i: f"routes.{routes[i].model}")
        _check_bindings(now.callers, every)
    catalog = Catalog(
        every,
        now.routes,
        now.default_model,
        now.callers,
        keyed=old.keyed or bool(now.callers) or "keys" in (changes or {}),
        prices=now.prices,
        model_limits=ModelLimits(now.limits.values()),
    )
    return Configured(catalog, (*found.advice, *old.advice))


def watched(settings: Settings) -> tuple[Path, ...]:
    """The files that a catalog is read from, and that may change while we run."""
    return settings.parley_config, secrets_file(settings), settings.parley_model_config


def _together(old: Mapping[bytes, Caller], file: Mapping[bytes, Caller], settings: Environment) -> dict[bytes, Caller]:
    """All keys of files. None of them may be the master key, whose holder may do more."""
    if set(old) & set(file):
        raise ConfigurationError(f"{settings.parley_config}: one of its keys is a token of the model-config file, too.")
    master = settings.master_key
    if master is not None and bytes.fromhex(digest(master.get_secret_value())) in file:
        raise ConfigurationError(f"{settings.parley_config}: one of its keys is API_MASTER_KEY; choose another.")
    return {**old, **file}


def _check_bindings(callers: Mapping[bytes, Caller], upstreams: Mapping[str, Upstream]) -> None:
    """What a token of the model-config file is bound to cannot be taken away."""
    for caller in callers.values():
        if caller.bound is not None:
            for route in (*caller.bound.names.values(), *([caller.bound.otherwise] if caller.bound.otherwise else [])):
                check_routes([route], upstreams, lambda _: f"keys.{caller.name}")  # noqa: B023  # called at once
