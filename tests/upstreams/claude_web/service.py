"""The path of one request through the stand-in: account, fault, rules, answer, delivery."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import msgspec
from aiohttp import web

from .. import directives, plan
from ..asked import headers_of
from ..cloudflare import HTML, challenge
from ..delivery import FOREVER, Body, deliver
from ..plan import Page, deliveries
from ..stage import Fault, Stage
from ..visits import Visits
from . import frames, rules
from .conversations import Conversation, Conversations, Message
from .refusals import JSON, REFUSALS, error, quota, refused, session_invalid
from .settings import Settings, read_settings


class Plan(plan.Plan):
    """How an answer's bytes travel; a fault is of one kind only here."""

    deliveries = deliveries(1500)


NAMES = frozenset({*REFUSALS, *frames.TWISTS, *frames.SPELLINGS, *Plan.deliveries, "already", "roll", "blank"})

_ANYWHERE = frozenset({*REFUSALS, "hang"})
"""What a fault that names no route does to calls that are no questions; the other faults are of answers."""

_CHATS = re.compile(r"/api/organizations/(?P<org>[^/]+)/chat_conversations(?:/(?P<chat>[^/]+))?(?:/(?P<more>\w+))?")
_ROUTES = {
    ("POST", False, None): "create",
    ("GET", False, None): "list",
    ("GET", True, None): "read",
    ("PUT", True, None): "rename",
    ("DELETE", True, None): "delete",
    ("POST", True, "completion"): "completion",
    ("POST", True, "stop_response"): "stop",
    ("GET", True, "completion_status"): "status",
    ("POST", True, "title"): "title",
}


class Visit(msgspec.Struct):
    """One request on its way."""

    request: web.Request
    route: str
    org: str
    chat: str
    key: str
    account: str
    content: bytes
    fault: Fault
    cookies: list[str]


def organization(account: str, kind: str = "chat") -> str:
    """The uuid of an account's organisation."""
    return str(UUID(bytes=f"{kind} of {account:<16}".encode()[:16], version=4))


class Service:
    """All state of this process is the stage, the visits, the settings and the conversations."""

    def __init__(self) -> None:
        self.visits = Visits()
        self.settings = Settings()
        self.conversations = Conversations()
        self.seen: dict[str, str] = {}
        """The answer's uuid by the question's: a pair that came before is a duplicate."""
        self.refused: set[str] = set()
        self.again = 0
        self.rolled = 0
        self.streams: dict[str, int] = {}
        self.stage = Stage(self._forget, self._stats, self._set, NAMES)

    def app(self) -> web.Application:
        """Everything at its path."""
        return self.stage.app(self._visit)

    def _forget(self) -> None:
        self.visits.forget()
        self.settings = Settings()
        self.conversations.forget()
        self.seen.clear()
        self.refused.clear()
        self.streams.clear()
        self.again = self.rolled = 0

    def _stats(self) -> dict[str, Any]:
        return {**self.visits.stats(), **self.conversations.stats(), "again": self.again}

    def _set(self, raw: dict[str, Any]) -> None:
        self.settings = read_settings(raw)

    # --- the way in ---------------------------------------------------------------------------------------------------

    async def _visit(self, request: web.Request) -> web.StreamResponse:
        route, org, chat = _find(request)
        key = _cookies(request).get("sessionKey", "")
        account = self.settings.keys.get(key, "")
        among = None if route == "completion" else _ANYWHERE
        fault = self.stage.fault(route, account, among) or Fault("")
        visit = Visit(request, route, org, chat, key, account, await request.read(), fault, [])
        with self.visits.of(account, request):
            headers = headers_of(request)
            self.stage.note(
                "chat" if route == "completion" else route,
                account=account,
                method=request.method,
                path=request.path_qs,
                headers=headers,
                body=visit.content.decode(errors="replace")[:4000],
            )
            page = refused(fault.name, fault.params) or self._unwelcome(visit)
            if page is None:
                work: Callable[[Visit], Any] = getattr(self, f"_{route}")
                page = await work(visit)
            return await self._page(visit, page) if isinstance(page, Page) else page

    def _unwelcome(self, visit: Visit) -> Page | None:
        settings, request = self.settings, visit.request
        agent = request.headers.get("user-agent", "")
        if any(name in agent for name in settings.refuse_agents):
            return challenge(403)
        if not visit.account or visit.key in settings.expired:
            self.again += visit.key in self.refused
            self.refused.add(visit.key)
            match settings.expired_as:
                case "401":
                    return error(401, "authentication_error", "Authentication failed")
                case "redirect":
                    return Page(302, "", "", {"Location": "/login"})
            return session_invalid()
        if settings.strict:
            base = f"http://{request.headers['host']}"
            asking = visit.route == "completion"
            wrong = rules.stranger(request.method, request.headers, base, asking=asking, body=bool(visit.content))
            if wrong:
                return wrong
        if visit.org and visit.org != organization(visit.account):
            return error(403, "permission_error", "Invalid authorization for organization")
        if visit.chat and not rules.is_uuid(visit.chat):
            return error(400, "invalid_request_error", "conversation: Input should be a valid UUID")
        return None

    # --- the account --------------------------------------------------------------------------------------------------

    async def _organizations(self, visit: Visit) -> Page:
        own = {
            "id": 1,
            "uuid": organization(visit.account),
            "name": "Personal",
            "capabilities": ["chat", "claude_pro"],
            "rate_limit_tier": "default",
        }
        api = {"id": 2, "uuid": organization(visit.account, "api"), "name": "API", "capabilities": ["api"]}
        return _json([api, own] if self.settings.api_first else [own, api])

    async def _usage(self, _: Visit) -> Page:
        window = {"utilization": 7, "resets_at": "2026-01-01T05:00:00Z"}
        return _json(self.settings.usage or {"five_hour": {**window, "utilization": 42}, "seven_day": window})

    async def _unknown(self, _: Visit) -> Page:
        return Page(404, HTML, "<!DOCTYPE html><html><title>404</title></html>")

    # --- conversations ------------------------------------------------------------------------------------------------

    async def _create(self, visit: Visit) -> Page:
        told = json.loads(visit.content)
        if not rules.is_uuid(told.get("uuid", "")):
            return error(400, "invalid_request_error", "uuid: Input should be a valid UUID")
        made = self.conversations.make(
            told["uuid"], visit.account, temporary=told.get("is_temporary", False), name=told.get("name", "")
        )
        return _json(made.told(whole=False), self.settings.create_status)

    async def _list(self, visit: Visit) -> Page:
        rows = self.conversations.listed(visit.account)
        query = visit.request.query
        if not visit.request.path.endswith("_v2"):
            return _json(rows)
        start, size = int(query.get("offset", 0)), int(query.get("limit", 30))
        return _json({"data": rows[start : start + size], "has_more": len(rows) > start + size})

    async def _read(self, visit: Visit) -> Page:
        found = self.conversations.find(visit.chat, visit.account)
        return _json(found.told(whole=True)) if found else _not_found()

    async def _rename(self, visit: Visit) -> Page:
        found = self.conversations.find(visit.chat, visit.account)
        if not found:
            return _not_found()
        found.name = json.loads(visit.content).get("name", found.name)
        return _json(found.told(whole=False))

    async def _title(self, visit: Visit) -> Page:
        found = self.conversations.find(visit.chat, visit.account)
        return _json({"title": "A title"}, 202) if found else _not_found()

    async def _delete(self, visit: Visit) -> Page:
        if visit.content and json.loads(visit.content) not in (visit.chat, {"uuid": visit.chat}):
            return error(400, "invalid_request_error", "uuid: is not the conversation's")
        return Page(204, "", "") if self.conversations.delete(visit.chat, visit.account) else _not_found()

    async def _delete_many(self, visit: Visit) -> Page:
        for one in json.loads(visit.content)["conversation_uuids"]:
            self.conversations.delete(one, visit.account)
        return _json({})

    async def _status(self, visit: Visit) -> Page:
        found = self.conversations.find(visit.chat, visit.account)
        return _json(found.status()) if found else _not_found()

    async def _stop(self, visit: Visit) -> Page:
        found = self.conversations.find(visit.chat, visit.account)
        if not found:
            return _not_found()
        if found.pending:
            found.ready_at = 0.0
            found.messages[-1].stop_reason = "user_canceled"
        return _json({})

    # --- answers ------------------------------------------------------------------------------------------------------

    async def _completion(self, visit: Visit) -> web.StreamResponse | Page:
        settings, account = self.settings, visit.account
        asked = rules.read(visit.content, settings)
        if isinstance(asked, Page):
            return asked
        if settings.most_streams and self.streams.get(account, 0) >= settings.most_streams:
            return quota({"resets_in": None, "claim": "concurrents"})
        named = asked.turn_message_uuids
        if named.human_message_uuid in self.seen:
            return error(409, "invalid_request_error", "Message already created")
        found = self._conversation(visit, asked)
        if isinstance(found, Page):
            return found
        self.seen[named.human_message_uuid] = named.assistant_message_uuid
        answer = self._answer(visit, asked, found)
        parent = asked.parent_message_uuid
        human = Message(named.human_message_uuid, "human", asked.prompt, parent)
        found.messages = [
            *found.messages,
            human,
            Message(answer.uuid, "assistant", answer.text, human.uuid, answer.stop),
        ]
        if visit.fault.name == "already":
            found.ready_at = time.time() + settings.finish_after
            return error(409, "invalid_request_error", "Message already created")
        if visit.fault.name == "roll":
            self._roll(visit)
        self.streams[account] = self.streams.get(account, 0) + 1
        try:
            return await self._say(visit, found, answer, _pace(asked, settings))
        finally:
            self.streams[account] = self.streams.get(account, 1) - 1

    def _conversation(self, visit: Visit, asked: rules.Question) -> Conversation | Page:
        found = self.conversations.find(visit.chat, visit.account)
        made = asked.create_conversation_params
        if made is not None:
            if found is not None:
                return error(409, "invalid_request_error", "Conversation already exists")
            if asked.parent_message_uuid != rules.ROOT:
                return error(400, "invalid_request_error", "parent_message_uuid: no such message")
            return self.conversations.make(visit.chat, visit.account, temporary=made.is_temporary, name=made.name)
        if found is None:
            return _not_found()
        known = {rules.ROOT, *(message.uuid for message in found.messages)}
        if asked.parent_message_uuid not in known:
            return error(400, "invalid_request_error", "parent_message_uuid: no such message")
        return found

    def _answer(self, visit: Visit, asked: rules.Question, found: Conversation) -> frames.Answer:
        named = asked.turn_message_uuids
        wish = _wish(asked)
        text = " \n\t " if visit.fault.name == "blank" else wish.refusal or wish.text or ""
        if wish.report:
            told = {
                "body": json.loads(visit.content),
                "headers": headers_of(visit.request),
                "cookies": _cookies(visit.request),
                "account": visit.account,
                "organization": visit.org,
                "conversation": visit.chat,
                "branch": [message.text for message in found.messages],
            }
            text = json.dumps(told, ensure_ascii=False)
        stop = wish.stop or ("refusal" if wish.refusal else "tool_use" if wish.calls else "end_turn")
        return frames.Answer(
            named.human_message_uuid, named.assistant_message_uuid, text, wish.thoughts, wish.calls, stop
        )

    async def _say(self, visit: Visit, chat: Conversation, answer: frames.Answer, pace: float) -> web.StreamResponse:
        name, params = visit.fault.name, visit.fault.params
        told = frames.twisted(frames.events(answer, self.settings.piece), name, params)
        pieces = frames.spelled([frames.frame(event) for event in told], name)
        chat.ready_at = time.time() + FOREVER

        def finish(*, vanished: bool) -> None:
            if chat.ready_at:  # else it was stopped
                chat.ready_at = time.time() + (self.settings.finish_after if vanished else 0.0)
            chat.lost = params.get("stored") is False or name in ("empty_body", "only_pings", "error_event")

        def on_hangup(*, sent: int) -> None:
            finish(vanished=True)
            self.stage.hung_up(account=visit.account, route=visit.route, conversation=chat.uuid, sent=sent)

        headers = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
        self.stage.counts["status:200"] += 1
        how = Plan.of(visit.fault).delivery()
        done = await deliver(
            visit.request, 200, headers, self._paced(pieces, pace), how, on_hangup, set_cookies=visit.cookies
        )
        finish(vanished=name in ("reset", "cut"))
        return done

    def _paced(self, pieces: list[bytes], pace: float) -> Iterator[tuple[float, bytes]]:
        for position, piece in enumerate(pieces):
            yield self.settings.first_delay if position == 0 else pace, piece

    def _roll(self, visit: Visit) -> None:
        self.rolled += 1
        renewed = f"{visit.key.split('~')[0]}~{self.rolled}"
        self.settings.keys[renewed] = visit.account
        visit.cookies.append(f"sessionKey={renewed}; Path=/; Max-Age=2419200; HttpOnly; SameSite=Lax")

    async def _page(self, visit: Visit, page: Page) -> web.StreamResponse:
        self.stage.counts[f"status:{page.status}"] += 1

        def on_hangup(*, sent: int) -> None:
            self.stage.hung_up(account=visit.account, route=visit.route, conversation=visit.chat, sent=sent)

        how = Plan.of(visit.fault).delivery("chunked" if page.status == 204 else "length")
        body: Body = [(0.0, page.content)] if page.body else []
        return await deliver(visit.request, page.status, page.head, body, how, on_hangup, visit.cookies)


def _find(request: web.Request) -> tuple[str, str, str]:
    """Which route this is, of which organisation and conversation."""
    path = request.path
    if (request.method, path) == ("GET", "/api/organizations"):
        return "organizations", "", ""
    if (of := re.fullmatch(r"/api/organizations/([^/]+)/(usage|chat_conversations_v2)", path)) and (
        request.method == "GET"
    ):
        return ("usage" if of[2] == "usage" else "list"), of[1], ""
    found = _CHATS.fullmatch(path)
    if found is None:
        return "unknown", "", ""
    if (request.method, found["chat"], found["more"]) == ("POST", "delete_many", None):
        return "delete_many", found["org"], ""
    route = _ROUTES.get((request.method, found["chat"] is not None, found["more"]), "unknown")
    return route, found["org"], found["chat"] or ""


def _cookies(request: web.Request) -> dict[str, str]:
    pairs = (pair.strip().partition("=") for pair in request.headers.get("cookie", "").split(";"))
    return {name: value for name, _, value in pairs if name}


def _wish(asked: rules.Question) -> directives.Wish:
    return directives.read_transcript(asked.attachments[0].extracted_content if asked.attachments else asked.prompt)


def _pace(asked: rules.Question, settings: Settings) -> float:
    pace = _wish(asked).pace
    return settings.piece_delay if pace is None else pace


def _json(told: Any, status: int = 200) -> Page:
    return Page(status, JSON, json.dumps(told))


def _not_found() -> Page:
    return error(404, "not_found_error", "Conversation not found")
