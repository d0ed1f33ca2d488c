"""Where Redis is: a REDIS_URL becomes connections that are signed in, encrypted and pointed at the right database.

    redis://[[user]:password@]host:port/db          plain
    rediss://...?ssl_ca_certs=FILE                  TLS
    unix://[:password@]/path?db=N                   a socket file
    redis+sentinel://[[user]:password@]host:port,host:port/mymaster/db[?sentinel_password=...]
    rediss+sentinel://...                           the same, all of it over TLS

With Sentinel each new connection asks again who the master is. redis-py does all of this; only the sentinel URLs, which
it has no syntax for, are read here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from parley.sealed import Secret

Dial = Callable[[], AbstractConnection]
"""Makes a connection that is not connected yet."""

_SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")


class BadAddress(ValueError):
    """A REDIS_URL that cannot be understood; the text never shows its password."""


def dialer(url: Secret, name: str, patience: float) -> Dial:
    """How to connect to `url` as a client called `name`, each step taking `patience` seconds at most."""
    scheme, found, _ = url.reveal().partition("://")
    if not found or scheme not in _SCHEMES:
        raise BadAddress(f"REDIS_URL must start with one of {', '.join(f'{known}://' for known in _SCHEMES)}")
    manners: dict[str, Any] = {
        "protocol": 2,
        "client_name": name,
        "socket_timeout": patience,
        "socket_connect_timeout": patience,
        "retry": Retry(NoBackoff(), 0),
    }
    try:
        return _by_sentinel(url, manners) if scheme.endswith("+sentinel") else _direct(url, manners)
    except BadAddress:
        raise
    except (ValueError, TypeError):
        raise BadAddress("REDIS_URL cannot be understood; a password in it must be percent-encoded") from None


def _direct(url: Secret, manners: dict[str, Any]) -> Dial:
    where: dict[str, Any] = {**parse_url(url.reveal())}
    kind = where.pop("connection_class", Connection)
    return lambda: kind(**{**where, **manners})


def _by_sentinel(url: Secret, manners: dict[str, Any]) -> Dial:
    parts = urlsplit(url.reveal())
    user_and_password, _, places = parts.netloc.rpartition("@")
    user, _, password = user_and_password.partition(":")
    master, _, database = parts.path.strip("/").partition("/")
    if not master:
        raise BadAddress("REDIS_URL for Sentinel needs the master's name: redis+sentinel://host:26379/mymaster/0")
    options = dict(parse_qsl(parts.query))
    sentinel_password = options.pop("sentinel_password", None)
    tls = {"ssl": True} if parts.scheme.startswith("rediss") else {}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [_host_and_port(place) for place in places.split(",")],
        sentinel_kwargs={**manners, **options, **tls, "password": sentinel_password},
    )
    pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        master,
        sentinel,
        **{
            **options,
            **tls,
            **manners,
            "db": int(database or 0),
            "username": unquote(user) or None,
            "password": unquote(password) or None,
        },
    )

    def dial() -> AbstractConnection:
        connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        return connection

    return dial


def _host_and_port(place: str) -> tuple[str, int]:
    host, colon, port = place.rpartition(":")
    return (host.strip("[]"), int(port)) if colon and port.isdigit() else (place, 26379)
