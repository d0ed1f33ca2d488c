"""Addresses that an operator sends: what could never be connected to is refused before it is in force."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from parley.catalog import Upstream
from parley.settings import ConfigurationError

_SITES: Final = ("http", "https", "ws", "wss")
_PROXIES: Final = ("http", "https", "socks5", "socks5h", "socks4", "socks4a")


def check_addresses(upstream: Upstream) -> None:
    """Raise ConfigurationError, which shows no address, for one that is none."""
    where = f"upstreams.{upstream.name}"
    _check(upstream.base_url, _SITES, f"{where}.base_url")
    _check(upstream.proxy.reveal() if upstream.proxy else "", _PROXIES, f"{where}.proxy")
    for plan in upstream.credentials:
        where = f"credentials.{upstream.name}.{plan.alias}"
        _check(plan.base_url or "", _SITES, f"{where}.base_url")
        _check(plan.proxy.reveal() if plan.proxy else "", _PROXIES, f"{where}.proxy")


def _check(address: str, schemes: tuple[str, ...], where: str) -> None:
    if not address:
        return
    try:
        parts = urlsplit(address)
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not address.isprintable() or " " in address:
        raise ConfigurationError(
            f"{where}: it must be an address such as {schemes[0]}://host:port ({', '.join(schemes)})."
        )
