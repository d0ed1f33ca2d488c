"""The two ways to sign in (`upstreams/zhipu.md` section 1.1): the key as it is, or a token that we sign with it.

A token is a JWT whose times are milliseconds and whose header says `sign_type`. It is made for each answer: signing is
cheap, and a token that nobody keeps is never too old.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import msgspec

from parley import clock

Way = Literal["bearer", "jwt", "v3"]
"""`v3` is a token without the word Bearer."""

_LIFETIME: Final = 210.0
_HEADER: Final = b'{"alg":"HS256","typ":"JWT","sign_type":"SIGN"}'


def is_key(text: str) -> bool:
    """Whether this is `{id}.{secret}`, as every key of the platform is."""
    name, dot, secret = text.partition(".")
    return bool(name and dot and secret) and "." not in secret


def token(key: str, at: float) -> str:
    """The token for a key, signed at that time (seconds since the epoch)."""
    name, _, secret = key.partition(".")
    timestamp = round(at * 1000)
    payload = {"api_key": name, "exp": timestamp + round(_LIFETIME * 1000), "timestamp": timestamp}
    said = b".".join((_base64(_HEADER), _base64(msgspec.json.encode(payload))))
    signature = hmac.digest(secret.encode(), said, hashlib.sha256)
    return b".".join((said, _base64(signature))).decode()


class SignIn:
    """The Authorization of one answer. When its token is called expired, the upstream's clock is believed, once."""

    def __init__(self, key: str, way: Way) -> None:
        self._key = key
        self._way = way
        self._ahead = 0.0
        """By how much the upstream's clock is ahead of ours."""
        self._corrected = way == "bearer"

    @property
    def authorization(self) -> str:
        """What the header says."""
        if self._way == "bearer":
            return f"Bearer {self._key}"
        signed = token(self._key, clock.now() + self._ahead)
        return signed if self._way == "v3" else f"Bearer {signed}"

    def correct(self, headers: Mapping[str, str]) -> bool:
        """Whether another try makes sense; it is signed by the clock of these headers, where they tell it."""
        if self._corrected:
            return False
        self._corrected = True
        try:
            theirs = parsedate_to_datetime(headers.get("date", ""))
        except ValueError:
            return True
        self._ahead = (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)).timestamp() - clock.now()
        return True


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
