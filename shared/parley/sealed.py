"""Secrets: unprintable in memory, sealed at rest, and taken out of what others say.

`Secret` has no string form, so that no log line, traceback or repr can show one. `Seal` encrypts with AES-256-GCM under
a key derived (HKDF-SHA256) from PARLEY_SECRET, or from a random key that the first start makes and keeps in a file.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12
_KEY_FILE: Final = "secret"


class Secret:
    """A text that must not be seen. `reveal()` is the only way to it, and easy to search for."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself: for the one place that sends it upstream."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(("parley.Secret", self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


_PIECE: Final = 8
"""So many letters of a secret in a row give it away; of a shorter secret, all of them."""


def without(text: str, hidden: Iterable[str]) -> str:
    """`text` with every piece of a secret replaced by three dots, also where the secret was cut short or split up."""
    spoken = bytearray(len(text))
    for secret in hidden:
        size = min(_PIECE, len(secret))
        pieces = {secret[at : at + size] for at in range(len(secret) - size + 1)} if size > 3 else set()
        for at in range(len(text) - size + 1):
            if text[at : at + size] in pieces:
                spoken[at : at + size] = b"\1" * size
    runs = groupby(zip(text, spoken, strict=True), itemgetter(1))
    return "".join("..." if is_secret else "".join(letter for letter, _ in run) for is_secret, run in runs)


class UnsealError(Exception):
    """A sealed value was made with another key, or was tampered with."""


class Seal:
    """Seals and opens texts, and names secrets without showing them."""

    def __init__(self, master: bytes) -> None:
        self._box = AESGCM(_derive(master, b"parley seal v1"))
        self._namer = _derive(master, b"parley name v1")

    def seal(self, text: str, context: str) -> str:
        """Encrypt `text`; it opens only with the same `context`, so a record cannot pose as another."""
        nonce = os.urandom(_NONCE)
        return base64.b64encode(nonce + self._box.encrypt(nonce, text.encode(), context.encode())).decode()

    def open(self, sealed: str, context: str) -> str:
        """Decrypt what `seal` made. Raises UnsealError."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._box.decrypt(raw[:_NONCE], raw[_NONCE:], context.encode()).decode()
        except (InvalidTag, ValueError) as problem:
            raise UnsealError("this value was sealed with another PARLEY_SECRET") from problem

    def name(self, *facts: str) -> str:
        """A stable short name (12 hexadecimal digits) for a secret, which does not give the secret away."""
        return hmac.new(self._namer, "\0".join(facts).encode(), hashlib.sha256).hexdigest()[:12]


def master_key(secret: str | None, state_dir: Path) -> bytes:
    """The key material: PARLEY_SECRET if given, else a random one kept in `state_dir` (made once, mode 0600)."""
    if secret:
        return secret.encode()
    path = state_dir / _KEY_FILE
    state_dir.mkdir(parents=True, exist_ok=True)
    try:
        # Several services start at once on one volume: a complete file appears under its name, or the other's stands.
        draft = state_dir / f".{_KEY_FILE}.{secrets.token_hex(8)}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError:
        if not path.exists():
            raise
    return path.read_text().strip().encode()


def _derive(master: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(master)
