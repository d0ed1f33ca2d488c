"""What a gateway's mirror (`GET` and `POST /health/mirror`, `services/gateway/gateway/front.py`) says of a request."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

PATH: Final = "/health/mirror"
TRIAL: Final = "x-parley-doctor"
"""A header of the doctor's own: the name of the request, whose value the mirror gives back."""


class Visit(Struct, frozen=True):
    """What became of an earlier request, by its name, at the gateway that is asked."""

    arrivals: int
    hung_up: bool = False
    """Whether the caller left before the end."""


class Reflection(Struct, frozen=True, kw_only=True):
    """What arrived, as the gateway saw it. Nothing in it is secret: of most headers it has the name alone."""

    replica: str
    replicas: tuple[str, ...] = ()
    """The gateways that live, as Redis knows; empty when Redis does not answer."""
    peer: str
    """Address and port of the connection on which the request came: that of nginx."""
    http_version: str
    names: tuple[str, ...] = ()
    """Names of the headers that came, in lower case."""
    values: dict[str, str] = {}
    """Values of the headers that nginx writes, and of the doctor's own."""
    client: str = ""
    """Who the gateway thinks has sent the request."""
    body_bytes: int = 0
    body_seconds: float = 0.0
    """Between the request's head and the end of its body."""
    max_body_mb: int = 0
    total_seconds: float = 0.0
    """The longest that an answer may take here."""
    about: Visit | None = None
    spared: bool = False
    """Whether the gateway was asked to break the connection, and did not: it had done so just before."""
