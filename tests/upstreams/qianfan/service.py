"""The path of one request through the stand-in: caller, fault, rules, answer, frames, delivery."""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from ..asked import headers_of, told
from ..delivery import Body, deliver
from ..openai import answer, frames
from ..stage import Stage
from ..visits import Visits
from . import rules, shapes, signin, twists
from .errors import Refused, coded, named
from .faults import NAMES, Plan
from .settings import Settings, read_settings
from .signin import Caller

JSON, SSE = "application/json", "text/event-stream; charset=utf-8"
LEGACY = re.compile(r"/rpc/2\.0/ai_custom/v1/wenxinworkshop/(chat|embeddings)/([^/]+)")


class Visit(msgspec.Struct):
    """One request on its way."""

    request: web.Request
    route: str
    number: int
    endpoint: str | None
    """The last part of a path of the legacy API; None elsewhere."""
    caller: Caller = Caller("", "")
    plan: Plan = msgspec.field(default_factory=Plan)


Work = Callable[[Visit, bytes], Awaitable[web.StreamResponse]]
Admit = Callable[[web.Request, Settings], Caller]


def _buyer(request: web.Request, settings: Settings) -> Caller:
    return Caller(signin.application(request, settings), "application")


def _signer(request: web.Request, settings: Settings) -> Caller:
    return Caller(signin.signer(request, settings), "signature")


def _nobody(_: web.Request, __: Settings) -> Caller:
    return Caller("", "")


class Service:
    """All state of this process is the stage, the visits and the settings: tokens speak for themselves."""

    def __init__(self) -> None:
        self.visits = Visits()
        self.settings = Settings()
        self._numbers = itertools.count(1)
        self.stage = Stage(self._forget, self.visits.stats, self._set, NAMES)

    def app(self) -> web.Application:
        """Everything at its path."""
        return self.stage.app(self._visit)

    def _forget(self) -> None:
        self.visits.forget()
        self.settings = Settings()

    def _set(self, raw: dict[str, Any]) -> None:
        self.settings = read_settings(raw)

    async def _visit(self, request: web.Request) -> web.StreamResponse:
        route, endpoint, admit, work = self._find(request)
        visit = Visit(request, route, next(self._numbers), endpoint)
        refused = None
        try:
            visit.caller = admit(request, self.settings)
        except Refused as problem:
            refused = problem
        visit.plan = Plan.of(self.stage.fault(route, visit.caller.key))
        with self.visits.of(visit.caller.key, request):
            try:
                content = await request.read()
                self._record(visit, content)
                if refused is not None:
                    raise refused
                visit.plan.raise_refusal()
                if (instead := visit.plan.page()) is not None:
                    return await self._deliver(visit, instead.status, instead.head, instead.content, "chunked")
                return await work(visit, content)
            except Refused as problem:
                return await self._deliver(visit, problem.status, problem.headers, problem.body)

    def _find(self, request: web.Request) -> tuple[str, str | None, Admit, Work]:
        ways: dict[tuple[str, str], tuple[str, str | None, Admit, Work]] = {
            ("POST", "/v2/chat/completions"): ("chat", None, signin.admit_v2, self._chat),
            ("POST", "/v2/embeddings"): ("embeddings", None, signin.admit_v2, self._embed),
            ("GET", "/v2/models"): ("models", None, signin.admit_v2, self._models),
            ("POST", "/oauth/2.0/token"): ("token", None, _buyer, self._sell_token),
            ("GET", "/oauth/2.0/token"): ("token", None, _buyer, self._sell_token),
            ("GET", "/v1/BCE-BEARER/token"): ("bearer", None, _signer, self._sell_bearer),
        }
        if (way := ways.get((request.method, request.path))) is not None:
            return way
        if request.method == "POST" and (found := LEGACY.fullmatch(request.path)):
            if found[1] == "chat":
                return "chat", found[2], signin.admit_legacy, self._talk
            return "embeddings", found[2], signin.admit_legacy, self._embed
        return "unknown", None, _nobody, self._nowhere

    def _record(self, visit: Visit, content: bytes) -> None:
        request = visit.request
        self.stage.note(
            visit.route,
            key=visit.caller.key,
            way=visit.caller.way,
            **told(request, content),
        )

    # --- what keys buy ---

    async def _sell_token(self, visit: Visit, _: bytes) -> web.StreamResponse:
        self.stage.counts["renewals"] += 1
        token = signin.access_token(visit.caller.key, self.settings)
        told = {"access_token": token, "expires_in": self.settings.token_seconds, "refresh_token": "25.demo"}
        return await self._json(visit, {**told, "scope": "public", "session_key": "demo", "session_secret": "demo"})

    async def _sell_bearer(self, visit: Visit, _: bytes) -> web.StreamResponse:
        seconds = int(visit.request.query.get("expireInSeconds", "1000"))
        self.stage.counts["renewals"] += 1
        times = [datetime.fromtimestamp(int(self.settings.now) + more, UTC) for more in (0, seconds)]
        made, ends = (moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in times)
        token = signin.bearer(visit.caller.key, seconds, self.settings)
        told = {"userId": "u", "token": token, "status": "enable", "createTime": made, "expireTime": ends}
        return await self._json(visit, told)

    # --- v2 ---

    async def _chat(self, visit: Visit, content: bytes) -> web.StreamResponse:
        body, settings = rules.parse(content, legacy=False), self.settings
        if settings.strict:
            rules.check_v2(body, settings)
        (said,) = answer.answer(body, settings, _report(visit, body), visit.number)  # type: ignore[arg-type]
        options = body.get("stream_options") or {}
        frame = self._frame(visit, body, body["model"], include_usage=bool(options.get("include_usage")))
        if not body.get("stream"):
            return await self._unary(visit, said, shapes.completion(frame, said), twists.V2_WHOLE)
        return await self._stream(visit, list(shapes.chunks(frame, said)), twists.V2, done=True)

    async def _models(self, visit: Visit, _: bytes) -> web.StreamResponse:
        data = [{"id": name, "object": "model", "owned_by": "baidu"} for name in self.settings.models]
        return await self._json(visit, {"object": "list", "data": data})

    # --- the legacy API ---

    async def _talk(self, visit: Visit, content: bytes) -> web.StreamResponse:
        body, settings = rules.parse(content, legacy=True), self.settings
        endpoint = visit.endpoint or ""
        if endpoint in settings.missing_endpoints:
            raise coded(3)
        if settings.strict:
            rules.check_legacy(body, endpoint, settings)
        asked = _in_other_words(body)
        (said,) = answer.answer(asked, settings, _report(visit, body), visit.number)  # type: ignore[arg-type]
        said.calls = said.calls[:1]
        if not said.calls:
            said.thoughts = []
        frame = self._frame(visit, asked, endpoint)
        if not body.get("stream"):
            return await self._unary(visit, said, shapes.result(frame, said), twists.LEGACY_WHOLE)
        return await self._stream(visit, list(shapes.results(frame, said)), twists.LEGACY, done=False)

    # --- both ---

    async def _embed(self, visit: Visit, content: bytes) -> web.StreamResponse:
        legacy = visit.endpoint is not None
        given = rules.parse(content, legacy=legacy).get("input")
        if not isinstance(given, list) or not 1 <= len(given) <= 16 or not all(0 < len(text) <= 1000 for text in given):
            raise coded(336003) if legacy else named("invalid_argument")
        tokens = sum(max(1, len(text) // 4) for text in given)
        data = [
            {"object": "embedding", "embedding": [((place + at) % 7) / 7 for at in range(8)], "index": place}
            for place in range(len(given))
        ]
        kind = "embedding_list" if legacy else "list"
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return await self._json(
            visit, {"id": f"as-{visit.number}", "object": kind, "created": 1700000000, "data": data, "usage": usage}
        )

    async def _nowhere(self, visit: Visit, _: bytes) -> web.StreamResponse:
        if visit.request.path.startswith("/v2/chat"):
            raise named("method_not_supported")
        raise coded(3)

    def _frame(self, visit: Visit, asked: dict[str, Any], model: str, *, include_usage: bool = False) -> shapes.Frame:
        settings = self.settings
        return shapes.Frame(
            id=f"as-demo{visit.number:06d}",
            created=int(settings.now),
            model=model,
            prompt_tokens=answer.prompt_tokens(asked),
            first_delay=settings.first_delay,
            piece_delay=settings.piece_delay,
            include_usage=include_usage,
        )

    async def _stream(
        self, visit: Visit, chunks: list[shapes.Paced], table: dict[str, twists.Twist], *, done: bool
    ) -> web.StreamResponse:
        twisted = [name for name in visit.plan.names if name in table]
        for name in twisted:
            chunks = table[name](chunks, visit.plan.params)
        framed = frames.stream(chunks, done=done and "error_frame" not in twisted)
        for name in frames.FRAMES:  # in the table's order: line ends change last
            if name in visit.plan.names:
                framed = frames.FRAMES[name](framed, visit.plan.params)
        return await self._deliver(
            visit, 200, {**_limits(self.settings), "Content-Type": SSE}, frames.write(framed), "chunked"
        )

    async def _unary(
        self, visit: Visit, said: answer.Answer, whole: dict[str, Any], table: dict[str, twists.Twist]
    ) -> web.StreamResponse:
        changed = [(0.0, whole)]
        for name in visit.plan.names:
            if name in table:
                changed = table[name](changed, visit.plan.params)
        pace = self.settings.piece_delay if said.pace is None else said.pace
        wait = self.settings.first_delay + pace * len(said.pieces)  # as long as its tokens take
        return await self._json(visit, changed[0][1], _limits(self.settings), wait)

    async def _json(
        self, visit: Visit, value: Any, headers: dict[str, str] | None = None, wait: float = 0.0
    ) -> web.StreamResponse:
        head = {**(headers or {}), "Content-Type": JSON}
        return await self._deliver(visit, 200, head, msgspec.json.encode(value), wait=wait)

    async def _deliver(
        self,
        visit: Visit,
        status: int,
        headers: dict[str, str],
        body: bytes | Body,
        framing: str = "length",
        wait: float = 0.0,
    ) -> web.StreamResponse:
        pieces: Body = [(0.0, body)] if isinstance(body, bytes) else body
        self.stage.counts[f"status:{status}"] += 1
        how = visit.plan.delivery(framing, wait=wait)
        return await deliver(visit.request, status, headers, pieces, how, self._hung_up(visit))

    def _hung_up(self, visit: Visit) -> Callable[..., None]:
        return lambda *, sent: self.stage.hung_up(key=visit.caller.key, route=visit.route, sent=sent)


def _limits(settings: Settings) -> dict[str, str]:
    """What a right answer says about how many more there may be."""
    return {
        "X-Ratelimit-Limit-Requests": str(settings.rpm),
        "X-Ratelimit-Remaining-Requests": str(settings.rpm - 1),
        "X-Ratelimit-Limit-Tokens": str(settings.tpm),
        "X-Ratelimit-Remaining-Tokens": str(settings.tpm - 100),
    }


def _in_other_words(body: dict[str, Any]) -> dict[str, Any]:
    """A question of the legacy API as OpenAI's would state it."""
    asked: dict[str, Any] = {"messages": body["messages"], "stop": body.get("stop")}
    asked["max_tokens"] = body.get("max_output_tokens")
    asked["tools"] = [{"type": "function", "function": one} for one in body.get("functions") or ()]
    asked["tool_choice"] = body.get("tool_choice")
    asked["response_format"] = {"type": body.get("response_format", "text")}
    return asked


def _report(visit: Visit, body: dict[str, Any]) -> dict[str, Any]:
    """What `!report` answers with."""
    return {
        "body": body,
        "headers": headers_of(visit.request),
        "path": visit.request.raw_path,
        "key": visit.caller.key,
        "way": visit.caller.way,
    }
