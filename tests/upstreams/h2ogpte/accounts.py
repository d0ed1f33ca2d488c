"""Who is asking: guests that the bootstrap page makes, logged-in browsers, and API keys."""

from __future__ import annotations

import itertools
import secrets
import uuid
from collections.abc import Callable

from aiohttp import web

from tests.upstreams.h2ogpte.settings import GUEST_WORKSPACE, Settings

COOKIE = "h2ogpte.session"


class Account:
    """One credential; `cookie` and `tokens` are issued as a pair."""

    def __init__(self, kind: str, username: str, workspace: str, born: float):
        self.kind = kind
        self.username = username
        self.workspace = workspace
        self.user_id = str(uuid.uuid5(uuid.NAMESPACE_URL, username))
        self.cookie = ""
        self.tokens: list[str] = []
        self.expired = False
        self.born = born  # of the cookie: renewal makes it young again
        self.calls = 0
        self.renewals = 0
        self.questions = 0
        self.created = 0
        self.deleted = 0

    @property
    def is_guest(self) -> bool:
        return self.kind == "guest"

    def issue_token(self, old_dies: bool) -> str:
        """A new CSRF token; the old ones go on only if the service says so."""
        if old_dies:
            self.tokens.clear()
        self.tokens.append("csrf-" + secrets.token_hex(12))
        return self.tokens[-1]

    def allows(self, workspace: str | None) -> bool:
        """Whether a chat session may be opened in this workspace."""
        if workspace is None or workspace == self.workspace:
            return True
        return not self.is_guest and workspace.startswith("workspaces/") and workspace != GUEST_WORKSPACE


class Refused(Exception):
    """The request goes no further; every door words this in its own way."""

    def __init__(self, status: int, message: str, error_type: str | None = None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.error_type = error_type


class Accounts:
    """All credentials that exist, and the check at the door."""

    def __init__(self, settings: Callable[[], Settings], now: Callable[[], float], count: Callable[..., None]):
        self._settings = settings
        self._now = now
        self._count = count
        self._numbers = itertools.count(1)
        self._by_cookie: dict[str, Account] = {}
        self._keys: dict[str, Account] = {}
        self.all: dict[str, Account] = {}

    def make_guest(self) -> Account:
        """One more guest, with a cookie of its own and no CSRF token yet."""
        account = self._add(Account("guest", f"guest-{next(self._numbers):04}", GUEST_WORKSPACE, self._now()))
        self.give_cookie(account)
        self._count("guests_issued", credential=account.username)
        return account

    def give_cookie(self, account: Account) -> None:
        """Another cookie for the account; the one it had is worth nothing from now on."""
        self._by_cookie.pop(account.cookie, None)
        account.cookie = "s%3A" + secrets.token_urlsafe(18)
        self._by_cookie[account.cookie] = account

    def renew(self, account: Account) -> None:
        """The cookie is young again."""
        account.expired = False
        account.calls = 0
        account.born = self._now()
        account.renewals += 1
        self._count("renewals", credential=account.username)

    def expire(self, name: str | None, what: str) -> list[str]:
        """Expire one credential by name, or all guests; the names of those it hit."""
        hit = [a for a in self.all.values() if a.username == name or (name is None and a.is_guest)]
        for account in hit:
            if what == "csrf":
                account.issue_token(old_dies=True)
            elif what == "account":
                self._by_cookie.pop(account.cookie, None)
            else:
                account.expired = True
        return [account.username for account in hit]

    def settle(self) -> None:
        """Make the logins and keys of the settings exist; what was there stays what it was."""
        settings = self._settings()
        for login in settings.logins:
            account = self.all.get(login.username)
            if account is None:
                account = self._add(Account("login", login.username, login.workspace, self._now()))
                account.cookie, account.tokens = login.session, [login.csrf]
                self._by_cookie[login.session] = account
        self._keys = {key: self._key(f"key:{key}") for key in settings.api_keys}

    def by_cookie(self, cookie: str | None) -> Account | None:
        """The account that holds this cookie, expired or not."""
        return self._by_cookie.get(cookie or "")

    def named(self, request: web.Request) -> Account | None:
        """Whose request this claims to be, before any check."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if key:
            return self._keys.get(key) if scheme == "Bearer" else None
        return self.by_cookie(request.cookies.get(COOKIE))

    def admit(self, request: web.Request, csrf: bool, cookies: bool = True) -> Account:
        """The account behind this request, or Refused. A cookie needs its CSRF token where something is changed."""
        account = self.named(request)
        if account is None or (account.kind != "key" and not cookies):
            raise Refused(401, "Unauthorized: sign in or pass a valid API key")
        account.calls += 1
        if account.kind == "key":
            return account
        settings = self._settings()
        if account.is_guest and (
            (settings.guest_calls is not None and account.calls > settings.guest_calls)
            or (settings.guest_seconds is not None and self._now() - account.born > settings.guest_seconds)
        ):
            account.expired = True
        if account.expired:
            self._count("expired_calls", credential=account.username)
            raise Refused(401, "Unauthorized: the session has expired")
        if csrf and request.headers.get("x-csrf-token") not in account.tokens:
            self._count("csrf_mismatches", credential=account.username, path=request.path)
            raise Refused(settings.csrf_status, "CSRF token mismatch")
        return account

    def quota_gone(self, account: Account) -> bool:
        """Whether this guest has asked all the questions that it may."""
        quota = self._settings().guest_quota
        return account.is_guest and quota is not None and account.questions >= quota

    def _key(self, username: str) -> Account:
        return self.all.get(username) or self._add(Account("key", username, "workspaces/default", self._now()))

    def _add(self, account: Account) -> Account:
        self.all[account.username] = account
        return account
