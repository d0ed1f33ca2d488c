"""What a question's signature must be; written from the page, and not with Parley's own code."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

MODES = ("dash-auth", "concat-device", "colon-device", "body")


def expected(mode: str, headers: Mapping[str, str], body: bytes) -> str:
    """The signature that this mode wants for these headers and this body."""
    stamp, nonce, device = (headers.get(name, "") for name in ("x-timestamp", "x-nonce", "x-flow-device-id"))
    text = {
        "dash-auth": f"{stamp}-{nonce}-{headers.get('authorization', '')}".encode(),
        "concat-device": (stamp + nonce + device).encode(),
        "colon-device": ":".join((stamp, nonce, device)).encode(),
        "body": body,
    }[mode]
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def fits(headers: Mapping[str, str], body: bytes) -> str | None:
    """Which mode the signature was made by."""
    said = headers.get("x-signature", "")
    return next((mode for mode in MODES if expected(mode, headers, body) == said), None)


def complaint(mode: str, headers: Mapping[str, str], body: bytes, now: float, window: float, seen: set[str]) -> str:
    """What is wrong with the three headers; empty when all is well. The nonce counts as seen from now on."""
    nonce, stamp = headers.get("x-nonce", ""), headers.get("x-timestamp", "")
    if not re.fullmatch(r"[0-9a-f]{32}", nonce):
        return "invalid nonce"
    if nonce in seen:
        return "nonce already used"
    seen.add(nonce)
    if not stamp.isdigit() or abs(int(stamp) - now) > window:
        return "timestamp out of range"
    if mode != "off" and headers.get("x-signature") != expected(mode, headers, body):
        return "invalid signature"
    return ""
