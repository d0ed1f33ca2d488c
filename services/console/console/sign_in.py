"""Signing in: the one key of the admin API, `ADMIN_KEY`, of which only the digest is kept.

Wrong keys are counted by client address over all processes, together with wrong keys of callers: after 10 in a minute
they are answered with 429. Whoever has the key gets in all the same.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from parley.errors import Unauthenticated
from parley.sealed import Secret
from parley.state.guesses import Guesses


class SignIn:
    """Tells the operator by the key."""

    def __init__(self, key: Secret | None, guesses: Guesses) -> None:
        self._digest = _digest(key.reveal().encode()) if key else None
        self._guesses = guesses

    @property
    def possible(self) -> bool:
        """Whether there is a key; without one there is no admin API."""
        return self._digest is not None

    async def admit(self, headers: Iterable[tuple[bytes, bytes]], address: str) -> None:
        """Return for who has the key. Raises Unauthenticated, or OverLimit for who guesses."""
        given = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, key = given.strip().partition(b" ")
        key = key.strip()
        if scheme.lower() != b"bearer" or not key:
            raise Unauthenticated("The admin API needs its key: Authorization: Bearer ADMIN_KEY.")
        if self._digest is None or not hmac.compare_digest(_digest(key), self._digest):
            await self._guesses.failed(address)
            raise Unauthenticated("This is not the key of the admin API (ADMIN_KEY).")


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
