"""What the environment and `.env` configure, read once at the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from parley.catalog import Upstream
from parley.configuration.families import FAMILIES, Environment
from parley.settings import ConfigurationError, is_placeholder


@dataclass(frozen=True, slots=True)
class Found:
    """What the environment configures, and what its operator should be told."""

    upstreams: tuple[Upstream, ...]
    advice: tuple[str, ...]


def read_settings(**overrides: Any) -> Environment:
    """Settings of this process. Raises ConfigurationError with sentences a person can act on."""
    try:
        settings = Environment(**overrides)
    except ValidationError as problem:
        raise ConfigurationError("; ".join(_sentence(error) for error in problem.errors())) from None
    master, admin = settings.master_key, settings.admin_key
    if master is not None and is_placeholder(master.get_secret_value()):
        name = "API_MASTER_KEY" if settings.api_master_key else "API_KEY"
        raise _guessable(name, "leave it out to run without a key on 127.0.0.1")
    if admin is not None and is_placeholder(admin.get_secret_value()):
        raise _guessable("ADMIN_KEY", "leave it out to run without the admin API")
    if admin is not None and master is not None and admin.get_secret_value() == master.get_secret_value():
        raise ConfigurationError(
            "ADMIN_KEY is the same as API_MASTER_KEY. Whoever calls models must not be able to change the "
            "configuration: set ADMIN_KEY to another long random value."
        )
    return settings


def upstreams_of(settings: Environment) -> Found:
    """Upstreams of every family that is on, in a fixed order. Raises ConfigurationError."""
    upstreams = tuple(upstream for family in FAMILIES for upstream in family(settings))
    ignored = [name for name in ("host", "port", "debug", "api_prefix") if getattr(settings, name) is not None]
    advice = []
    if ignored:
        names = ", ".join(name.upper() for name in ignored)
        advice.append(
            f"{names} had a meaning in the replaced project and has none here: Parley is at "
            f"http://{settings.nginx_bind}:{settings.nginx_port}/v1 (NGINX_BIND, NGINX_PORT)."
        )
    return Found(upstreams, tuple(advice))


def _guessable(name: str, otherwise: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} is a placeholder that anybody can guess. Set it to a long random value, for example the output "
        f"of `openssl rand -hex 32`, or {otherwise}."
    )


def _sentence(error: Any) -> str:
    where = "_".join(str(part) for part in error["loc"][:1]).upper()
    text = str(error["msg"]).removeprefix("Value error, ")
    return text if not where or text.startswith(where) else f"{where}: {text}"
