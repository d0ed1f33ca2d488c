"""The bearer token: a JWT whose lifetime can be read without asking anybody (`upstreams/flowgpt.md` section 2)."""

from __future__ import annotations

import binascii
import math
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

_BEARER: Final = "bearer "
_MARGIN: Final = 60.0
"""A token is not used in its last minute: it could run out on its way."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token and what its payload says; its signature is the service's affair."""

    text: str = field(repr=False)
    owner: str = ""
    """Whose it is; empty when that cannot be read."""
    expires: float | None = None

    @property
    def authorization(self) -> str:
        """The header's whole value."""
        return f"Bearer {self.text}"

    def ran_out(self, now: float) -> bool:
        """Whether it must not be sent any more."""
        return self.expires is not None and now > self.expires - _MARGIN


def read_token(text: str) -> Token:
    """Read a token, with or without `Bearer` before it; one that is no JWT has no known end."""
    text = text.strip()
    if text.lower().startswith(_BEARER):
        text = text[len(_BEARER) :].strip()
    facts = _payload(text)
    owner = next((facts[name] for name in ("sub", "id") if isinstance(facts.get(name), str)), "")
    return Token(text, owner, _moment(facts.get("exp")))


def _payload(text: str) -> dict[str, Any]:
    parts = text.split(".")
    if len(parts) != 3:
        return {}
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        return msgspec.json.decode(urlsafe_b64decode(padded), type=dict[str, Any])
    except (binascii.Error, msgspec.DecodeError, UnicodeError, ValueError):
        return {}


def _moment(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None
