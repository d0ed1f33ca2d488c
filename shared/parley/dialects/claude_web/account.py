"""An account of claude.ai: its cookie, its organisation, its limits, and which of its chats are ours (1.1 to 1.3).

A person uses the same account, so a chat that we made bears a mark: the end of its uuid is a code of its beginning,
under a name that only this installation gives to the credential. Everything else is somebody's own and never touched.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from parley.clock import now
from parley.dialects.cookies import Jar
from parley.errors import CredentialRejected, UpstreamMalformed

SESSION: Final = "sessionKey"
_NEEDED: Final = (SESSION, "cf_clearance", "__cf_bm", "lastActiveOrg", "anthropic-device-id")
_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_MARK: Final = 6


class Key:
    """The cookie of a credential, pasted as a bare session key or as a whole Cookie header."""

    def __init__(self, pasted: str) -> None:
        self._pasted = pasted.strip()
        self._bare = self._pasted.startswith("sk-") or "=" not in self._pasted
        self._jar = Jar(f"{SESSION}={self._pasted}" if self._bare else self._pasted)

    def __getitem__(self, name: str) -> str:
        return self._jar[name]

    @property
    def complete(self) -> bool:
        """Whether there is a session key in it."""
        return bool(self._jar[SESSION])

    def header(self, *, whole: bool) -> str:
        """The Cookie header: what the service needs, or all that was pasted. Raises CredentialRejected."""
        if not self.complete:
            raise CredentialRejected(f"The cookie has no '{SESSION}' in it.")
        if whole:
            return self._jar.header
        return "; ".join(f"{name}={self._jar[name]}" for name in _NEEDED if self._jar[name])

    def rolled(self, lines: Iterable[str]) -> str | None:
        """What to keep instead of what was pasted, if these Set-Cookie lines renew the session; else None."""
        before = self._jar[SESSION]
        jar = Jar(self._jar.header)
        jar.roll(lines, SESSION)
        if jar[SESSION] == before:
            return None
        return jar[SESSION] if self._bare else jar.header


def organization(listed: Any, preferred: str = "") -> str:
    """The organisation that may chat; an account that also has an API organisation may list that first.

    Raises UpstreamMalformed, CredentialRejected.
    """
    if not isinstance(listed, list):
        raise UpstreamMalformed("The upstream's list of organisations cannot be read.")
    found = [item for item in listed if isinstance(item, dict) and _NAME.fullmatch(str(item.get("uuid") or ""))]
    if not found:
        raise CredentialRejected("The account belongs to no organisation.")
    chatting = [item for item in found if "chat" in (item.get("capabilities") or ())]
    active = [item for item in found if item["uuid"] == preferred]
    return str((chatting or active or found)[0]["uuid"])


def used_up(usage: Any) -> float | None:
    """Seconds until a used-up window of the account opens again; None when it may be asked."""
    windows = usage.values() if isinstance(usage, dict) else ()
    waits = [
        _until(window.get("resets_at"))
        for window in windows
        if isinstance(window, dict)
        and isinstance(window.get("utilization"), int | float)
        and window["utilization"] >= 100
    ]
    return max((wait for wait in waits if wait > 0), default=None)


def chats(listed: Any) -> list[str]:
    """Uuids of the conversations in a list, in either of its shapes. Raises UpstreamMalformed."""
    rows = listed.get("data") if isinstance(listed, dict) else listed
    if not isinstance(rows, list):
        raise UpstreamMalformed("The upstream's list of conversations cannot be read.")
    return [row["uuid"] for row in rows if isinstance(row, dict) and isinstance(row.get("uuid"), str)]


def mark(credential: str) -> str:
    """A uuid (version 4) for a new conversation, with our mark."""
    head = UUID(bytes=secrets.token_bytes(16), version=4).bytes[:-_MARK]
    return str(UUID(bytes=head + _code(credential, head)))


def marked(credential: str, conversation: str) -> bool:
    """Whether a conversation bears our mark."""
    try:
        told = UUID(conversation).bytes
    except ValueError:
        return False
    return hmac.compare_digest(told[-_MARK:], _code(credential, told[:-_MARK]))


def device(credential: str) -> str:
    """The device that a credential always comes from."""
    return str(UUID(bytes=hashlib.sha256(f"device of {credential}".encode()).digest()[:16], version=4))


def _code(credential: str, head: bytes) -> bytes:
    return hmac.digest(credential.encode(), head, "sha256")[:_MARK]


def _until(moment: Any) -> float:
    try:
        when = datetime.fromisoformat(str(moment))
    except ValueError:
        return 0.0
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now()
