"""The path of one request through the stand-in: account, fault, rules, answer, delivery."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from email.utils import formatdate
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from .. import directives
from ..asked import headers_of
from ..delivery import Body, deliver
from ..plan import Page
from ..stage import Stage
from ..visits import Visits
from . import rules, signing
from .accounts import LOGIN, Accounts
from .faults import JSON, NAMES, PAGES, Plan, line, refused
from .settings import Settings, read_settings

Work = Callable[["Visit"], Awaitable[web.StreamResponse]]


class Visit(msgspec.Struct):
    """One request on its way: whose token it brings (valid or not), and what goes wrong."""

    request: web.Request
    route: str
    headers: dict[str, str]
    content: bytes
    account: str
    plan: Plan

    @property
    def authorization(self) -> str:
        """The header Authorization."""
        return self.headers.get("authorization", "")


class Service:
    """All state of this process is the stage, the visits, the settings, the accounts, and which nonces were seen."""

    def __init__(self) -> None:
        self.visits = Visits()
        self.settings = Settings()
        self.accounts = Accounts()
        self.nonces: set[str] = set()
        self.modes: Counter[str] = Counter()
        self.guests: Counter[str] = Counter()
        self.stage = Stage(self._forget, self._stats, self._set, NAMES)

    def app(self) -> web.Application:
        """Everything at its path."""
        return self.stage.app(self._visit)

    def _forget(self) -> None:
        self.visits.forget()
        self.settings = Settings()
        self.accounts.forget()
        for box in (self.nonces, self.modes, self.guests):
            box.clear()

    def _stats(self) -> dict[str, Any]:
        seen = {"nonces": len(self.nonces), "modes": dict(self.modes)}
        return {**self.visits.stats(), **self.accounts.stats(), **seen}

    def _set(self, raw: dict[str, Any]) -> None:
        self.settings = read_settings(raw)

    async def _visit(self, request: web.Request) -> web.StreamResponse:
        route, work = self._find(request)
        headers = headers_of(request)
        account = self.accounts.owner(headers.get("authorization", ""))
        plan = Plan.of(self.stage.fault(route, account))
        with self.visits.of(account, request):
            visit = Visit(request, route, headers, await request.read(), account, plan)
            self._record(visit)
            if "revoke" in plan.names:
                self.accounts.revoke(visit.authorization)
            if (instead := plan.page()) is not None:
                return await self._page(visit, instead)
            return await work(visit)

    def _find(self, request: web.Request) -> tuple[str, Work]:
        match request.method, request.path:
            case "POST", "/conversation/create":
                return "create", self._create
            case "POST", "/v3/chat":
                return "chat", self._chat
            case "POST", "/v3/chat-anonymous" | "/v2/chat-anonymous":
                return "guest", self._guest
            case "GET", "/conversation/latest":
                return "latest", self._latest
            case "GET", "/models/settings-list":
                return "settings", self._settings
            case "GET", "/api/auth/refresh":
                return "refresh", self._refresh
            case "GET", "/api/trpc/prompt.getPrompts":
                return "catalogue", self._catalogue
        return "unknown", self._unknown

    def _record(self, visit: Visit) -> None:
        if not self.settings.record:
            self.stage.counts[visit.route] += 1
            return
        where = {"method": visit.request.method, "path": visit.request.path_qs}
        body = visit.content.decode(errors="replace")
        self.stage.note(visit.route, account=visit.account, headers=visit.headers, body=body, **where)

    # --- the rules ----------------------------------------------------------------------------------------------------

    def _admission(self, visit: Visit) -> Page | None:
        """Whether the account may come in at all."""
        if self.accounts.admitted(visit.authorization, self.settings) is None:
            words = {401: "Unauthorized", 403: "Forbidden resource"}[self.settings.bad_token]
            return refused(self.settings.bad_token, words)
        if wrong := rules.wrong_headers(visit.headers):
            return refused(400, wrong)
        self.accounts.seen(visit.account, visit.headers["x-flow-device-id"])
        return None

    def _seal(self, visit: Visit) -> Page | None:
        """Whether the question is signed as it must be."""
        self.modes[signing.fits(visit.headers, visit.content) or "none"] += 1
        settings = self.settings
        now = time.time() + settings.clock
        wrong = signing.complaint(settings.signature, visit.headers, visit.content, now, settings.window, self.nonces)
        return refused(settings.signature_status, wrong) if wrong else None

    def _prompt(self, body: dict[str, Any]) -> Page | None:
        known = body["promptId"] in self.settings.prompts or body["promptId"].startswith("model-")
        return None if known else PAGES["prompt_gone"]

    # --- what it does -------------------------------------------------------------------------------------------------

    async def _create(self, visit: Visit) -> web.StreamResponse:
        body, wrong = rules.read_body(visit.content, rules.CREATE)
        refusal = self._admission(visit) or (refused(400, wrong) if wrong else None) or self._prompt(body)
        if refusal is not None:
            return await self._page(visit, refusal)
        made = self.accounts.remember(visit.account, body["promptId"], body["messages"])
        return await self._page(visit, Page(201, JSON, json.dumps({"id": made, "promptId": body["promptId"]})))

    async def _chat(self, visit: Visit) -> web.StreamResponse:
        body, wrong = rules.read_body(visit.content, rules.CHAT)
        refusal = self._admission(visit) or self._seal(visit)
        refusal = refusal or (refused(400, wrong) if wrong else None) or self._prompt(body)
        if refusal is not None:
            return await self._page(visit, refusal)
        told: list[dict[str, Any]] | None = None
        if (wanted := body.get("conversationId")) is not None:
            conversation = self.accounts.conversations.get(wanted)
            if conversation is None or (conversation.account, conversation.prompt) != (visit.account, body["promptId"]):
                if conversation is not None and conversation.account != visit.account:
                    self.accounts.leak("conversation", accounts=[visit.account, conversation.account])
                return await self._page(visit, PAGES["conversation_gone"])
            told = conversation.messages
        self.accounts.answered(visit.account, visit.authorization, self.settings)
        return await self._answer(visit, body, told)

    async def _guest(self, visit: Visit) -> web.StreamResponse:
        settings, address = self.settings, visit.request.remote or ""
        body, wrong = rules.read_body(visit.content, rules.GUEST)
        wrong = rules.wrong_headers(visit.headers) or wrong
        device = visit.headers.get("x-flow-device-id", "")
        if not settings.guests or visit.authorization != "Bearer null":
            return await self._page(visit, PAGES["unauthorized"])
        self.guests[address] += 1
        if settings.guest_limit is not None and self.guests[address] > settings.guest_limit:
            return await self._page(visit, PAGES["rate_limit_ip_text"])
        if wrong or not (device.startswith("f-") and len(device) == 21):
            return await self._page(visit, refused(400, wrong or "x-flow-device-id is not a guest's"))
        self.accounts.seen("guest", device)
        if (refusal := self._seal(visit) or self._prompt(body)) is not None:
            return await self._page(visit, refusal)
        return await self._answer(visit, body, None)

    async def _latest(self, visit: Visit) -> web.StreamResponse:
        if (refusal := self._admission(visit)) is not None:
            return await self._page(visit, refusal)
        mine = [name for name, made in self.accounts.conversations.items() if made.account == visit.account]
        take = int(visit.request.query.get("take", "10"))
        return await self._page(visit, Page(200, JSON, json.dumps([{"id": name} for name in mine[-take:]])))

    async def _settings(self, visit: Visit) -> web.StreamResponse:
        return await self._page(visit, Page(200, JSON, "[]"))

    async def _refresh(self, visit: Visit) -> web.StreamResponse:
        fresh = self.accounts.refreshed(visit.request.cookies.get(LOGIN, ""), self.settings)
        if fresh is None:
            return await self._page(visit, PAGES["unauthorized"])
        made, cookies = fresh
        self.stage.counts["renewals"] += 1
        return await self._page(visit, Page(200, JSON, json.dumps({"data": {"encodedToken": made}})), cookies)

    async def _catalogue(self, visit: Visit) -> web.StreamResponse:
        asked = json.loads(visit.request.query.get("input", "null"))
        if visit.request.query.get("batch") != "1" or not isinstance(asked, dict) or "json" not in asked.get("0", {}):
            return await self._page(visit, Page(400, JSON, '[{"error":{"json":{"message":"BAD_REQUEST"}}}]'))
        rows = [{"id": name, "title": f"Prompt {name}", "model": "FlowGPT-Ares"} for name in self.settings.prompts]
        told = [{"result": {"data": {"json": {"prompts": rows, "nextCursor": None}}}}]
        return await self._page(visit, Page(200, JSON, json.dumps(told)))

    async def _unknown(self, visit: Visit) -> web.StreamResponse:
        return await self._page(visit, refused(404, f"Cannot {visit.request.method} {visit.request.path}"))

    # --- answers ------------------------------------------------------------------------------------------------------

    async def _answer(
        self, visit: Visit, body: dict[str, Any], told: list[dict[str, Any]] | None
    ) -> web.StreamResponse:
        wish = directives.read(body["question"])
        if wish.report:
            text = self._report(visit, body, told)
        else:
            analysis = f"**User Analysis:** {wish.thoughts} **Response:** " if wish.thoughts else ""
            text = self.settings.prefix + analysis + (wish.text or "")
        lines = visit.plan.lines(list(self._lines(text)))
        return await self._deliver(visit, 200, {"Content-Type": JSON}, self._paced(lines, wish.pace))

    def _report(self, visit: Visit, body: dict[str, Any], told: list[dict[str, Any]] | None) -> str:
        system = [{"role": "system", "content": body["system"]}] if body.get("system") else []
        question = {"role": "user", "content": body["question"]}
        report = {
            "route": visit.request.path,
            "body": body,
            "headers": visit.headers,
            "account": visit.account,
            "conversation": told,
            "heard": [*(told or []), *system, *body.get("history", []), question],
        }
        return json.dumps(report, ensure_ascii=False)

    def _lines(self, text: str) -> Iterator[bytes]:
        settings = self.settings
        end = b"\r\n" if settings.crlf else b"\n"
        for whole in self._events(text):
            yield whole[:-1] + end
            if settings.blank_lines:
                yield end

    def _events(self, text: str) -> Iterator[bytes]:
        if self.settings.extras:
            yield line(event="ping")
            yield line(event="title", data="A title that is no word of the answer")
        for at in range(0, len(text), self.settings.piece):
            yield line(event="text", data=text[at : at + self.settings.piece])
        if self.settings.extras:
            yield line(event="suggestions", data=["more", "of this"])

    def _paced(self, lines: Sequence[bytes], pace: float | None) -> Iterator[tuple[float, bytes]]:
        settings = self.settings
        wait = settings.piece_delay if pace is None else pace
        for at in count(0, settings.lines_per_write):
            if at >= len(lines):
                return
            yield wait if at else settings.first_delay, b"".join(lines[at : at + settings.lines_per_write])

    async def _page(self, visit: Visit, told: Page, set_cookies: Sequence[str] = ()) -> web.StreamResponse:
        return await self._deliver(visit, told.status, told.head, [(0.0, told.content)], "length", set_cookies)

    async def _deliver(
        self,
        visit: Visit,
        status: int,
        headers: dict[str, str],
        body: Body,
        framing: str | None = None,
        set_cookies: Sequence[str] = (),
    ) -> web.StreamResponse:
        how = visit.plan.delivery(framing or self.settings.framing)
        headers["Date"] = formatdate(time.time() + self.settings.clock, usegmt=True)
        self.stage.counts[f"status:{status}"] += 1

        def on_hangup(*, sent: int) -> None:
            self.stage.hung_up(account=visit.account, route=visit.route, sent=sent)

        return await deliver(visit.request, status, headers, body, how, on_hangup, set_cookies)
