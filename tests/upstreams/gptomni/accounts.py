"""Who owns which session token, how tokens are renewed, and whether a request mixes accounts."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from .settings import Settings

TOKEN = "__Secure-next-auth.session-token"
OWNER = "emu-owner"
_PART = re.compile(re.escape(TOKEN) + r"\.(\d+)")


def cookies_of(header: str) -> dict[str, str]:
    """The cookies of one header; the last of a name wins."""
    found: dict[str, str] = {}
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name:
            found[name] = value
    return found


def tokens_of(header: str) -> list[str]:
    """Every session token in the header, a token in numbered parts put together."""
    whole, parts = [], {}
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == TOKEN:
            whole.append(value)
        elif numbered := _PART.fullmatch(name):
            parts[int(numbered[1])] = value
    return [*whole, "".join(parts[number] for number in sorted(parts))] if parts else whole


class Accounts:
    """One account for each configured cookie; its newest token and how many answers it got."""

    def __init__(self) -> None:
        self.newest: dict[str, int] = {}
        self.answers: Counter[str] = Counter()

    def forget(self) -> None:
        """No token was ever renewed."""
        self.newest.clear()
        self.answers.clear()

    def owner(self, token: str) -> str:
        """Whose token this is or was, valid or not."""
        return token.partition("~")[0]

    def admitted(self, header: str, settings: Settings) -> str | None:
        """The account that may ask with these cookies."""
        for token in tokens_of(header)[-1:]:
            account, _, number = token.partition("~")
            newest = self.newest.get(account, 0)
            right = number == "" or (number.isdigit() and 0 < int(number) <= newest)
            stale = settings.roll_replaces and int(number or 0) < newest
            spent = self.answers[account] >= settings.expire_after.get(account, 1 << 60)
            if account in settings.cookies and right and not stale and not spent:
                return account
        return None

    def mixed(self, header: str, sent_by: str | None) -> list[str]:
        """All accounts seen in one request, if they are more than one."""
        seen = {self.owner(token) for token in tokens_of(header)}
        seen |= {value for name, value in cookies_of(header).items() if name == OWNER}
        seen |= {sent_by} if sent_by else set()
        return sorted(seen) if len(seen) > 1 else []

    def answered(self, account: str, settings: Settings) -> bool:
        """Count an answer; True when it renews the token."""
        self.answers[account] += 1
        return bool(settings.roll_every) and self.answers[account] % settings.roll_every == 0

    def renew(self, account: str) -> list[str]:
        """The values of Set-Cookie that renew this account's token."""
        self.newest[account] = self.newest.get(account, 0) + 1
        # No `Secure`: tests speak plain HTTP, and a jar that leaks must be able to.
        rest = "Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"
        return [f"{TOKEN}={account}~{self.newest[account]}; {rest}", f"{OWNER}={account}; {rest}"]

    def stats(self) -> dict[str, Any]:
        """The newest token of every account that has a renewed one."""
        return {"tokens": {account: f"{account}~{number}" for account, number in self.newest.items()}}
