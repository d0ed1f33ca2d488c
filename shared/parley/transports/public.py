"""Which addresses are on the public internet: what a caller names may be asked there only, never in our own network."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address


def is_public(address: str) -> bool:
    """Whether an IP address, perhaps with a zone (`fe80::1%eth0`), is one that everybody reaches. Raises ValueError."""
    found = ip_address(address.partition("%")[0])
    inner = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (inner or found).is_global
