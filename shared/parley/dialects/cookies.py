"""Cookies of one credential: read from its Cookie header, changed by Set-Cookie lines, written back as a header.

Nothing is shared between credentials and nothing expires by itself: a jar lives as long as one exchange.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from parley.clock import now

_PIECE: Final = re.compile(r"\.\d+$")


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One Set-Cookie line; `gone` when it takes the cookie away."""

    name: str
    value: str
    gone: bool


def read(line: str) -> SetCookie | None:
    """The cookie that a Set-Cookie line sets or takes away; None when the line makes no sense."""
    pair, *attributes = line.split(";")
    name, equals, value = pair.partition("=")
    if not equals or not name.strip():
        return None
    facts = {key.strip().lower(): text.strip() for key, _, text in (a.partition("=") for a in attributes)}
    return SetCookie(name.strip(), value.strip(), gone=not value.strip() or _over(facts))


class Jar:
    """Names and values in the order of the header. Of several settings of one name the last counts."""

    def __init__(self, header: str = "") -> None:
        pairs = (part.strip().partition("=") for part in header.split(";"))
        self._cookies = {name.strip(): value.strip() for name, equals, value in pairs if equals and name.strip()}

    def __getitem__(self, name: str) -> str:
        return self._cookies.get(name, "")

    @property
    def header(self) -> str:
        """The Cookie header; empty when there is none."""
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def take(self, lines: Iterable[str]) -> None:
        """Do as the lines say."""
        for cookie in filter(None, map(read, lines)):
            if cookie.gone:
                self._cookies.pop(cookie.name, None)
            else:
                self._cookies[cookie.name] = cookie.value

    def roll(self, lines: Iterable[str], family: str) -> None:
        """Renew the cookies whose name contains `family`; a line that takes one away is not believed by itself.

        A value may be spread over `name.0`, `name.1`, ...: when any of these is set, the others that are not are old.
        """
        fresh = {c.name: c.value for c in filter(None, map(read, lines)) if family in c.name and not c.gone}
        stems = {_PIECE.sub("", name) for name in fresh}
        kept = {n: v for n, v in self._cookies.items() if n in fresh or _PIECE.sub("", n) not in stems}
        self._cookies = kept | fresh


def _over(facts: dict[str, str]) -> bool:
    if "max-age" in facts:  # counts more than the other
        try:
            return int(facts["max-age"]) <= 0
        except ValueError:
            return False
    try:
        expires = parsedate_to_datetime(facts.get("expires", "").replace("-", " "))
    except ValueError:
        return False
    return (expires if expires.tzinfo else expires.replace(tzinfo=UTC)).timestamp() <= now()
