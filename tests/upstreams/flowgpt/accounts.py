"""Who may ask, from which device, and whose conversation is whose."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import msgspec

from .settings import Settings
from .tokens import payload_of, token

LOGIN = "__Secure-next-auth.session-token"


class Conversation(msgspec.Struct):
    """What an account was told to remember, and for which prompt."""

    account: str
    prompt: str
    messages: list[dict[str, Any]]


class Accounts:
    """Everything that is remembered of accounts."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Nobody was ever here."""
        self.conversations: dict[str, Conversation] = {}
        self.devices: dict[str, list[str]] = {}
        self.leaks: list[dict[str, Any]] = []
        self.answers: Counter[str] = Counter()
        self._revoked: set[str] = set()
        self._rolled: dict[str, int] = {}

    def admitted(self, authorization: str, settings: Settings) -> str | None:
        """The account that may ask with this header."""
        scheme, _, text = authorization.partition(" ")
        payload = payload_of(text) if scheme == "Bearer" else None
        if payload is None or payload["exp"] < time.time() + settings.clock or text in self._revoked:
            return None
        return str(payload["sub"]) if payload["sub"] in settings.accounts else None

    def owner(self, authorization: str) -> str:
        """Whose token this is or was, valid or not."""
        payload = payload_of(authorization.partition(" ")[2])
        return str(payload["sub"]) if payload else ""

    def revoke(self, authorization: str) -> None:
        """From now on this token is refused."""
        self._revoked.add(authorization.partition(" ")[2])

    def seen(self, account: str, device: str) -> None:
        """An account came from a device; each belongs to the other, and to nobody else."""
        known = self.devices.setdefault(account, [])
        if device not in known:
            known.append(device)
            others = [name for name, devices in self.devices.items() if name != account and device in devices]
            if len(known) > 1 or others:
                self.leak("device", accounts=[account, *others], devices=known)

    def leak(self, what: str, **facts: Any) -> None:
        """Something of one account was seen beside another's."""
        self.leaks.append({"what": what, "at": time.time(), **facts})

    def remember(self, account: str, prompt: str, messages: list[dict[str, Any]]) -> str:
        """Make a conversation; its id."""
        made = f"conv_{len(self.conversations) + 1}_{account}"
        self.conversations[made] = Conversation(account, prompt, messages)
        return made

    def answered(self, account: str, authorization: str, settings: Settings) -> None:
        """Count an answer; it may be the last one of this token."""
        self.answers[account] += 1
        if self.answers[account] >= settings.expire_after.get(account, 1 << 60):
            self.revoke(authorization)

    def refreshed(self, login: str, settings: Settings) -> tuple[str, list[str]] | None:
        """A fresh token for a login cookie, and what is set beside it; None when nobody is logged in with it."""
        name, _, number = login.partition("~")
        if name not in settings.logins or (number and int(number) > self._rolled.get(name, 0)):
            return None
        cookies = []
        if settings.roll_logins:
            self._rolled[name] = self._rolled.get(name, 0) + 1
            cookies = [f"{LOGIN}={name}~{self._rolled[name]}; Path=/; HttpOnly; SameSite=Lax"]
        return token(settings.logins[name], seconds=settings.token_seconds), cookies

    def stats(self) -> dict[str, Any]:
        made = Counter(conversation.account for conversation in self.conversations.values())
        return {"conversations": dict(made), "devices": self.devices, "leaks": self.leaks}
