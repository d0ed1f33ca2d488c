"""Where a catalog comes from: the environment's families of variables, `parley.yaml`, which wins over them, and
openai-style-api's `model-config.json`, which adds upstreams and keys of its own."""

from __future__ import annotations

from dataclasses import dataclass

from parley.catalog import Catalog, CredentialPlan, Upstream
from parley.configuration.environment import upstreams_of
from parley.configuration.families import Environment
from parley.configuration.file import read_file
from parley.configuration.model_config import read_model_config
from parley.configuration.routes import check_routes
from parley.settings import ConfigurationError

ECHO = Upstream(
    name="echo", provider="echo", credentials=(CredentialPlan("open", {}),), models=("echo",), default_model="echo"
)


@dataclass(frozen=True, slots=True)
class Configured:
    """A catalog, and what its operator should be told about it."""

    catalog: Catalog
    advice: tuple[str, ...]


def read_catalog(settings: Environment) -> Configured:
    """The catalog of this start. Raises ConfigurationError."""
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
    # Echo comes last: a real upstream's model of that name goes first.
    upstreams.setdefault(ECHO.name, ECHO)
    check_routes(file.routes, upstreams, str(settings.parley_config))
    default = file.default_model or settings.default_model
    routes = {route.model: route for route in file.routes}
    catalog = Catalog(upstreams, routes, default, old.callers, old.keyed, prices=file.prices)
    return Configured(catalog, (*found.advice, *old.advice))
