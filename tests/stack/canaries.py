"""Secrets that sing: what tests put where a secret belongs, and hear in every output that it must not reach."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable

from parley.configuration.keys import PREFIX_LETTERS


class Canaries:
    """Secrets that are recognised wherever they turn up, also in part or in another spelling."""

    def __init__(self) -> None:
        self._made: dict[str, str] = {}
        self._songs: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        """The canary of this name: the same text every time."""
        if name not in self._made:
            self._songs[name] = secrets.token_hex(16)
            self._made[name] = f"{name}-{self._songs[name]}"
        return self._made[name]

    def learn(self, name: str, key: str) -> None:
        """Recognise an issued key, too: what follows the prefix that may be shown."""
        self._made[name] = key
        self._songs[name] = key[PREFIX_LETTERS:]

    def heard_in(self, output: bytes) -> list[str]:
        """Names of the canaries that can be heard in this output."""
        text = output.decode("latin-1").lower()
        return [name for name, song in self._songs.items() if any(cry in text for cry in _cries(song))]


def _cries(song: str) -> Iterable[str]:
    """Either half of it gives it away; so does base64, wherever it begins."""
    yield song[:16].lower()
    yield song[16:].lower()
    for before in ("", "x", "xx"):
        yield base64.b64encode((before + song).encode()).decode()[4:-4].lower()
