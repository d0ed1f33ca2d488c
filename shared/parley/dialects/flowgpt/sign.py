"""The three headers that sign a question: `x-nonce`, `x-timestamp`, `x-signature` (`upstreams/flowgpt.md` section 1.5).

Nobody outside knows what the service enforces today, so the input of the MD5 is configuration:

* a name of `FORMULAS` (or its letter on the page), of which `dash-auth` is the best supported;
* a formula of one's own: text with `{timestamp}`, `{nonce}`, `{device}`, `{authorization}`, `{token}`, `{body}` in it;
* `fixed:NONCE:TIMESTAMP:SIGNATURE`, which replays a captured triple;
* `off`: no headers at all.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

FORMULAS: Final[Mapping[str, str]] = {
    "dash-auth": "{timestamp}-{nonce}-{authorization}",
    "concat-device": "{timestamp}{nonce}{device}",
    "colon-device": "{timestamp}:{nonce}:{device}",
    "body": "{body}",
}
"""By name, the best supported first."""

_LETTERS: Final = {"a": "concat-device", "b": "colon-device", "c": "dash-auth", "d": "body"}
_PLACE: Final = re.compile(r"\{(timestamp|nonce|device|authorization|token|body)\}")
_FIXED: Final = re.compile(r"fixed:(?P<nonce>[^:\s]+):(?P<timestamp>\d+):(?P<signature>[0-9a-fA-F]{32})")
_OFF: Final = "off"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a signature may be made of."""

    timestamp: int
    nonce: str
    device: str
    authorization: str = field(repr=False)
    body: bytes = field(repr=False)


def fresh_nonce() -> str:
    """32 hexadecimal characters that nobody can guess; never used twice."""
    return secrets.token_hex(16)


def check(mode: str) -> str:
    """The mode as it is meant: a letter becomes its name. Raises ValueError for what is none."""
    mode = mode.strip()
    name = _LETTERS.get(mode.lower(), mode.lower())
    if name in FORMULAS or name == _OFF:
        return name
    if _FIXED.fullmatch(mode) or _PLACE.search(mode):
        return mode
    raise ValueError(
        f"a signature mode is one of {', '.join(FORMULAS)}, off, fixed:NONCE:TIMESTAMP:SIGNATURE, "
        "or a formula with {timestamp}, {nonce}, {device}, {authorization}, {token}, {body} in it"
    )


def signed(mode: str, facts: Facts) -> dict[str, str]:
    """The headers that sign a question, by a mode that `check` knows."""
    if mode == _OFF:
        return {}
    if fixed := _FIXED.fullmatch(mode):
        return {f"x-{name}": text for name, text in fixed.groupdict().items()}
    values = {
        "timestamp": str(facts.timestamp).encode(),
        "nonce": facts.nonce.encode(),
        "device": facts.device.encode(),
        "authorization": facts.authorization.encode(),
        "token": facts.authorization.partition(" ")[2].encode(),
        "body": facts.body,
    }
    # The pieces between the places, and the names of the places, by turns.
    pieces = _PLACE.split(FORMULAS.get(mode, mode))
    text = b"".join(values[piece] if at % 2 else piece.encode() for at, piece in enumerate(pieces))
    digest = hashlib.md5(text, usedforsecurity=False).hexdigest()
    return {"x-nonce": facts.nonce, "x-timestamp": str(facts.timestamp), "x-signature": digest}


def successor(mode: str) -> str:
    """The mode to try when the service refused `mode`: the next of the known ones, round and round."""
    names = list(FORMULAS)
    return names[(names.index(mode) + 1) % len(names)] if mode in FORMULAS else names[0]
