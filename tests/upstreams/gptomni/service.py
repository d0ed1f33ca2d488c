"""The path of one request through the stand-in: account, fault, rules, answer, delivery."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
from aiohttp import web

from .. import directives
from ..asked import headers_of
from ..delivery import Body, deliver
from ..plan import Page
from ..stage import Stage
from ..visits import Visits
from .accounts import Accounts, cookies_of, tokens_of
from .faults import BAD_COOKIE, HTML, JSON, LOGIN_PAGE, NAMES, PAGES, Plan
from .settings import Settings, read_settings


class Visit(msgspec.Struct):
    """One request on its way: whose cookies it brings (valid or not), and what goes wrong."""

    request: web.Request
    route: str
    cookie: str
    account: str
    plan: Plan
    set_cookies: list[str]


class Service:
    """All state of this process is the stage, the visits, the settings and the accounts."""

    def __init__(self) -> None:
        self.visits = Visits()
        self.settings = Settings()
        self.accounts = Accounts()
        self.leaks: list[dict[str, Any]] = []
        self.stage = Stage(self._forget, self._stats, self._set, NAMES)

    def app(self) -> web.Application:
        """Everything at its path."""
        app = self.stage.app(self._visit)
        app.on_response_prepare.append(_drop_guessed_type)
        return app

    def _forget(self) -> None:
        self.visits.forget()
        self.settings = Settings()
        self.accounts.forget()
        self.leaks.clear()

    def _stats(self) -> dict[str, Any]:
        return {**self.visits.stats(), **self.accounts.stats(), "leaks": self.leaks}

    def _set(self, raw: dict[str, Any]) -> None:
        self.settings = read_settings(raw)

    async def _visit(self, request: web.Request) -> web.StreamResponse:
        route, work = self._find(request)
        cookie = request.headers.get("cookie", "")
        tokens = tokens_of(cookie)
        account = self.accounts.owner(tokens[-1]) if tokens else ""
        plan = Plan.of(self.stage.fault(route, account))
        visit = Visit(request, route, cookie, account, plan, [])
        with self.visits.of(account, request):
            content = await request.read()
            self._record(visit, content)
            self._look_for_leaks(visit)
            if (instead := plan.page()) is not None:
                return await self._page(visit, instead)
            return await work(visit, content)

    def _find(self, request: web.Request) -> tuple[str, Callable[[Visit, bytes], Awaitable[web.StreamResponse]]]:
        match request.method, request.path:
            case "POST", "/api/chatWithText":
                return "chat", self._chat
            case "GET", "/api/auth/session":
                return "session", self._session
            case "GET", "/api/auth/csrf":
                return "csrf", self._csrf
            case "GET", "/zh/login" | "/login" | "/api/auth/signin":
                return "page", self._login
        return "unknown", self._unknown

    def _record(self, visit: Visit, content: bytes) -> None:
        request = visit.request
        if not self.settings.record:
            self.stage.counts[visit.route] += 1
            return
        headers = headers_of(request)
        facts = {"account": visit.account, "method": request.method, "path": request.path_qs, "headers": headers}
        self.stage.note(visit.route, **facts, body=content.decode(errors="replace"))

    def _look_for_leaks(self, visit: Visit) -> None:
        sent_by = visit.request.query.get("emu-for")
        if mixed := self.accounts.mixed(visit.cookie, sent_by):
            self.stage.counts["leak"] += 1
            self.leaks.append({"at": time.time(), "route": visit.route, "accounts": mixed})

    async def _chat(self, visit: Visit, content: bytes) -> web.StreamResponse:
        settings = self.settings
        account = self.accounts.admitted(visit.cookie, settings)
        if account is None:
            return await self._page(visit, PAGES[BAD_COOKIE[settings.bad_cookie]])
        if settings.strict and visit.request.content_type != "text/plain":
            return await self._page(visit, Page(415, JSON, '{"error":"Unsupported Media Type"}'))
        prompt = _prompt(content, settings.strict)
        if prompt is None:
            return await self._page(visit, PAGES["bad_request"])
        if settings.rate is not None and self.visits.since(account, settings.rate.seconds) > settings.rate.requests:
            return await self._page(
                visit, PAGES["rate_limit"].changed({"retry_after": max(1, round(settings.rate.seconds))})
            )
        if self.accounts.answered(account, settings) or "roll" in visit.plan.names:
            visit.set_cookies = self.accounts.renew(account)
        wish = directives.read_transcript(prompt)
        text = self._text(visit, wish, prompt)
        body = visit.plan.text(text.encode())
        kind = visit.plan.content_type(settings.content_type)
        headers = {"Cache-Control": "no-cache"} | ({"Content-Type": kind} if kind else {})
        return await self._deliver(visit, 200, headers, self._paced(body, wish.pace))

    def _text(self, visit: Visit, wish: directives.Wish, prompt: str) -> str:
        if wish.report:
            headers = headers_of(visit.request)
            told = {"prompt": prompt, "headers": headers, "cookies": cookies_of(visit.cookie), "account": visit.account}
            return json.dumps(told, ensure_ascii=False)
        return self.settings.answer if self.settings.answer is not None else wish.text or ""

    def _paced(self, body: bytes, pace: float | None) -> Iterator[tuple[float, bytes]]:
        settings = self.settings
        wait = settings.piece_delay if pace is None else pace
        for at in range(0, len(body), settings.piece):
            yield wait if at else settings.first_delay, body[at : at + settings.piece]

    async def _session(self, visit: Visit, _: bytes) -> web.StreamResponse:
        account = self.accounts.admitted(visit.cookie, self.settings)
        if account is None:
            return await self._page(visit, Page(200, JSON, "{}"))
        if "roll" in visit.plan.names or self.settings.roll_every:
            visit.set_cookies = self.accounts.renew(account)
        user = {"name": account, "email": f"{account}@example.com", "image": None}
        told = {"user": user, "expires": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + 2592000))}
        return await self._page(visit, Page(200, JSON, json.dumps(told)))

    async def _csrf(self, visit: Visit, _: bytes) -> web.StreamResponse:
        return await self._page(visit, Page(200, JSON, json.dumps({"csrfToken": "c" * 64})))

    async def _login(self, visit: Visit, _: bytes) -> web.StreamResponse:
        return await self._page(visit, Page(200, HTML, LOGIN_PAGE))

    async def _unknown(self, visit: Visit, _: bytes) -> web.StreamResponse:
        return await self._page(visit, Page(404, HTML, "<!DOCTYPE html><html><title>404</title></html>"))

    async def _page(self, visit: Visit, told: Page) -> web.StreamResponse:
        headers = told.head
        if headers.get("Location", "").startswith("/") and visit.account:
            headers["Location"] += f"?emu-for={visit.account}"  # whoever follows should still be the same account
        body = [(0.0, told.content)]
        return await self._deliver(visit, told.status, headers, body, "length")

    async def _deliver(
        self, visit: Visit, status: int, headers: dict[str, str], body: Body, framing: str | None = None
    ) -> web.StreamResponse:
        how = visit.plan.delivery(framing or self.settings.framing)
        self.stage.counts[f"status:{status}"] += 1

        def on_hangup(*, sent: int) -> None:
            self.stage.hung_up(account=visit.account, route=visit.route, sent=sent)

        return await deliver(visit.request, status, headers, body, how, on_hangup, visit.set_cookies)


async def _drop_guessed_type(_: web.Request, response: web.StreamResponse) -> None:
    """aiohttp declares what nobody declared; an answer without a content type is one of our shapes."""
    if response.headers.get("Content-Type") == "application/octet-stream":
        del response.headers["Content-Type"]


def _prompt(content: bytes, strict: bool) -> str | None:
    """The prompt in a body that is JSON whatever its content type says."""
    try:
        body = json.loads(content)
    except ValueError:
        return None
    if not isinstance(body, dict) or not isinstance(body.get("prompt"), str) or (strict and set(body) != {"prompt"}):
        return None
    return body["prompt"]
