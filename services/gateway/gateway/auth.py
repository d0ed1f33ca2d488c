"""Who calls, by the key in `Authorization: Bearer`: the master key, or one of the catalog's. Only digests are kept."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Final

from parley.catalog import Caller
from parley.errors import Unauthenticated
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


class Doorkeeper:
    """Tells callers by their keys. Where no key was configured at all, anybody may enter."""

    def __init__(
        self, master_key: Secret | None, callers: Mapping[bytes, Caller] | None = None, *, keyed: bool = False
    ) -> None:
        """`callers` by the digests of their keys. `keyed`: a key is asked for even where none is known."""
        self._digest = _digest(master_key.reveal().encode()) if master_key else None
        self._callers = callers or {}
        self._open = master_key is None and not self._callers and not keyed

    @property
    def open(self) -> bool:
        """Whether anybody may enter."""
        return self._open

    def admit(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """The caller. Raises Unauthenticated."""
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
        if caller is None:
            raise Unauthenticated("Incorrect API key provided.")
        return caller


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
