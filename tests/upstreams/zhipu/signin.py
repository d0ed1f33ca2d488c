"""Who calls: a key as it is, or a token signed with it, whose members may come in any order."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any, NamedTuple

from .errors import Refused
from .settings import Settings


class Caller(NamedTuple):
    """The key, and how it was shown."""

    key: str
    way: str


def admit(authorization: str | None, settings: Settings, *, v3: bool) -> Caller:
    """The caller. Raises Refused."""
    if not authorization:
        raise Refused("1001")
    scheme, space, token = authorization.partition(" ")
    if v3:
        if space:  # v3 knows no schemes: "Bearer x" is no token
            raise Refused("1002")
        return _signed(authorization, settings)
    if scheme != "Bearer" or not token:
        raise Refused("1002")
    if token in settings.keys:
        return Caller(token, "bearer")
    if token.count(".") != 2:
        raise Refused("1000")
    return _signed(token, settings)


def _signed(token: str, settings: Settings) -> Caller:
    said, _, signature = token.rpartition(".")
    header, payload = (_part(part) for part in [*said.split("."), ""][:2])
    if header.get("alg") != "HS256" or header.get("sign_type") != "SIGN" or header.get("typ", "JWT") != "JWT":
        raise Refused("1002")
    key = next((key for key in settings.keys if key.partition(".")[0] == payload.get("api_key")), None)
    if key is None:
        raise Refused("1002")
    # Over what came, not over what we would have written: the order of members is the signer's.
    right = hmac.digest(key.partition(".")[2].encode(), said.encode(), hashlib.sha256)
    if not hmac.compare_digest(_bytes(signature), right):
        raise Refused("1002")
    times = (payload.get("exp"), payload.get("timestamp"))
    if not all(isinstance(value, int) for value in times):
        raise Refused("1000")
    if payload["exp"] <= settings.now * 1000:  # milliseconds; seconds are long ago
        raise Refused("1003")
    return Caller(key, "jwt")


def _part(text: str) -> dict[str, Any]:
    try:
        part = json.loads(_bytes(text))
    except ValueError:
        raise Refused("1002") from None
    if not isinstance(part, dict):
        raise Refused("1002")
    return part


def _bytes(text: str) -> bytes:
    if "=" in text:
        raise Refused("1002")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Refused("1002") from None
