"""Who calls, by the key in `Authorization: Bearer`: the master key, or one of the catalog's. Only digests are kept."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import Final

from parley.catalog import Caller
from parley.clock import monotonic, now
from parley.errors import NotFromHere, StateUnavailable, Unauthenticated
from parley.sealed import Secret

MASTER: Final = Caller("master")
ANYBODY: Final = Caller("anybody")


class NoKey(Unauthenticated):
    """No key was given at all."""

    code = None

    @property
    def reason(self) -> str:
        """The word for logs; the envelope has no code here, as at OpenAI."""
        return "no_api_key"


class WrongKey(Unauthenticated):
    """A key that nobody has: a guess, or a key that was deleted."""


class Doorkeeper:
    """Tells callers by their keys. Where no key was configured at all, anybody may enter."""

    def __init__(
        self,
        master_key: Secret | None,
        callers: Mapping[bytes, Caller] | None = None,
        *,
        keyed: bool = False,
        confirmed: Callable[[], float] = monotonic,
        blind: float = 60.0,
    ) -> None:
        """`callers` by the digests of their keys. `keyed`: a key is asked for even where none is known. `confirmed`:
        when (monotonic) it was last known that these are all the keys there are; for `blind` seconds that is believed.
        """
        self._digest = _digest(master_key.reveal().encode()) if master_key else None
        self._callers = callers or {}
        self._open = master_key is None and not self._callers and not keyed
        self._confirmed = confirmed
        self._blind = blind

    @property
    def open(self) -> bool:
        """Whether anybody may enter."""
        return self._open

    def admit(self, headers: Iterable[tuple[bytes, bytes]], address: str = "") -> Caller:
        """The caller, who calls from that address ("": nobody said). Raises Unauthenticated (NoKey, WrongKey),
        NotFromHere, or StateUnavailable where nobody knows whether the key still counts."""
        if self._open:
            return ANYBODY
        given = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, key = given.strip().partition(b" ")
        key = key.strip()
        if scheme.lower() != b"bearer" or not key:
            raise NoKey(
                "You didn't provide an API key. You need to provide your API key in an Authorization header using "
                "Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
            )
        digest = _digest(key)
        if self._digest is not None and hmac.compare_digest(digest, self._digest):
            return MASTER
        caller = self._callers.get(digest)  # how long a digest takes to be found tells nothing of the key
        if (caller is None or caller.issued) and monotonic() - self._confirmed() > self._blind:
            raise StateUnavailable(
                "Redis does not answer, so that it is not known whether this key is still valid.", retry_after=1.0
            )
        if caller is None:
            raise WrongKey("Incorrect API key provided.")
        _refuse_unless_valid(caller, address)
        return caller


def _refuse_unless_valid(caller: Caller, address: str) -> None:
    if caller.disabled:
        raise Unauthenticated("This API key is disabled.")
    if caller.expires is not None and caller.expires <= now():
        raise Unauthenticated("This API key has expired.")
    if caller.networks and not _within(caller, address):
        raise NotFromHere("This API key may not be used from your address.")


def _within(caller: Caller, address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)  # an IPv4 client, as a socket of IPv6 tells it
    return any((mapped or found) in network for network in caller.networks)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
