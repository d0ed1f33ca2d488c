"""Where a catalog comes from: the environment's families of variables, and `parley.yaml`; the file wins."""

from __future__ import annotations

from dataclasses import dataclass

from parley.catalog import Catalog, CredentialPlan, Upstream
from parley.configuration.environment import upstreams_of
from parley.configuration.families import Environment
from parley.configuration.file import read_file
from parley.configuration.routes import check_routes

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
    # Echo comes last: a real upstream's model of that name goes first.
    upstreams.setdefault(ECHO.name, ECHO)
    check_routes(file.routes, upstreams, str(settings.parley_config))
    default = file.default_model or settings.default_model
    routes = {route.model: route for route in file.routes}
    return Configured(Catalog(upstreams, routes, default, prices=file.prices), found.advice)
