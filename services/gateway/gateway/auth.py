"""Who calls: the master key in `Authorization: Bearer`. Only its digest is kept, and compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
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
    """Tells callers by their keys. Without a master key, anybody may enter."""

    def __init__(self, master_key: Secret | None) -> None:
        self._digest = _digest(master_key.reveal().encode()) if master_key else None

    @property
    def open(self) -> bool:
        """Whether anybody may enter."""
        return self._digest is None

    def admit(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """The caller. Raises Unauthenticated."""
        if self._digest is None:
            return ANYBODY
        given = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, key = given.strip().partition(b" ")
        key = key.strip()
        if scheme.lower() != b"bearer" or not key:
            raise NoKey(
                "You didn't provide an API key. You need to provide your API key in an Authorization header using "
                "Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
            )
        if not hmac.compare_digest(_digest(key), self._digest):
            raise Unauthenticated("Incorrect API key provided.")
        return MASTER


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
