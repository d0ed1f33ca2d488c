"""Whose request it is: the client's address, as nginx and the proxies that the operator trusts report it.

nginx writes the address it sees at the end of X-Forwarded-For. Whoever stands in front of nginx may have written the
rest, so an earlier entry is believed only if everything after it is a proxy named in TRUSTED_PROXIES.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from parley.settings import ConfigurationError

Network = IPv4Network | IPv6Network

_LONGEST: Final = 45
"""Characters of the longest way to write an address."""


class Visitors:
    """Tells clients' addresses."""

    def __init__(self, trusted: Sequence[str]) -> None:
        """Raise ConfigurationError for what is neither an address nor a network."""
        self._trusted = [_network(entry) for entry in trusted]

    def address(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The client's address, or "" when nobody says one (a service that is asked past nginx)."""
        told = b",".join(value for name, value in headers if name == b"x-forwarded-for").decode("latin-1")
        if not self._trusted:  # then the last entry stands, whatever it is: nginx wrote it
            return told.rpartition(",")[2].strip()[:_LONGEST]
        entries = [entry.strip() for entry in told.split(",") if entry.strip()]
        address = ""
        for entry in reversed(entries):
            try:
                found = ip_address(entry)
            except ValueError:
                break  # somebody's invention; what came after it stands
            address = str(found)
            if not any(found in network for network in self._trusted):
                break
        return address


def _network(entry: str) -> Network:
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        raise ConfigurationError(
            f"TRUSTED_PROXIES: '{entry}' is neither an address nor a network such as 10.0.0.0/8."
        ) from None
