"""The path of one request through the stand-in: caller, fault, rules, answer, frames, delivery."""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

import msgspec
from aiohttp import web

from ..asked import headers_of, told
from ..delivery import Body, deliver
from ..openai import answer, frames
from ..plan import Page
from ..stage import Stage
from ..visits import Visits
from . import rules, shapes, v3
from .errors import Front, Refused, spring_404
from .faults import NAMES, Plan
from .settings import Settings, read_settings
from .signin import Caller, admit
from .twists import BOTH, STREAM

JSON, SSE = "application/json; charset=UTF-8", "text/event-stream;charset=UTF-8"
V4 = re.compile(r"/api/(?:coding/)?paas/v4(/.*)")
V3 = re.compile(r"/api/paas/v3/model-api/([^/]+)/(invoke|sse-invoke|async-invoke)")
V3_RESULT = re.compile(r"/api/paas/v3/model-api/-/async-invoke/([^/]+)")
RESULT = "/async-result/"


class Visit(msgspec.Struct):
    """One request on its way."""

    request: web.Request
    route: str
    number: int
    caller: Caller
    plan: Plan
    v3: bool
    headers: dict[str, str]
    what: tuple[str, ...] = ()
    """What its path names: a model, a way to invoke it, a task."""


Work = Callable[[Visit, bytes], Awaitable[web.StreamResponse]]


class Service:
    """All state of this process is the stage, the visits, the settings, what was answered, and which ids were used."""

    def __init__(self) -> None:
        self.visits = Visits()
        self.settings = Settings()
        self.tasks: dict[str, Any] = {}
        self.request_ids: set[str] = set()
        self._numbers = itertools.count(1)
        self.stage = Stage(self._forget, self.visits.stats, self._set, NAMES)

    def app(self) -> web.Application:
        """Everything at its path."""
        return self.stage.app(self._visit)

    def _forget(self) -> None:
        self.visits.forget()
        self.settings = Settings()
        self.tasks.clear()
        self.request_ids.clear()

    def _set(self, raw: dict[str, Any]) -> None:
        self.settings = read_settings(raw)

    async def _visit(self, request: web.Request) -> web.StreamResponse:
        route, old, what, work = self._find(request)
        caller, refused = Caller("", ""), None
        try:
            caller = admit(request.headers.get("authorization"), self.settings, v3=old)
        except Refused as problem:
            refused = problem
        plan = Plan.of(self.stage.fault(route, caller.key))
        number = next(self._numbers)
        visit = Visit(request, route, number, caller, plan, old, {"x-log-id": f"log{number:08d}"}, what)
        with self.visits.of(caller.key, request):
            try:
                content = await request.read()
                self._record(visit, content)
                if refused is not None and route != "unknown":
                    raise refused
                plan.raise_refusal()
                return await work(visit, content)
            except Refused as problem:
                status, said = problem.answer(v3=old)
                return await self._deliver(visit, status, {**problem.headers, "Content-Type": JSON}, said)
            except Front as problem:
                return await self._deliver(
                    visit, problem.status, {"Content-Type": JSON}, msgspec.json.encode(problem.said)
                )

    def _find(self, request: web.Request) -> tuple[str, bool, tuple[str, ...], Work]:
        """Its name, whether it is the old platform's, what its path names, and who does it."""
        ways: dict[tuple[str, str], tuple[str, Work]] = {
            ("POST", "/chat/completions"): ("chat", self._chat),
            ("POST", "/async/chat/completions"): ("async", self._queue),
            ("POST", "/embeddings"): ("embeddings", self._embed),
        }
        if found := V4.fullmatch(request.path):
            if way := ways.get((request.method, found[1])):
                return way[0], False, (), way[1]
            if request.method == "GET" and found[1].startswith(RESULT):
                return "async-result", False, (found[1].removeprefix(RESULT),), self._result
        if request.method == "POST" and (found := V3.fullmatch(request.path)):
            # Asked in a stream is asked for an answer, as in v4.
            return ("chat" if found[2] != "async-invoke" else "v3"), True, (found[1], found[2]), self._invoke
        if request.method == "GET" and (found := V3_RESULT.fullmatch(request.path)):
            return "v3-result", True, (found[1],), self._result
        return "unknown", False, (), self._nowhere

    def _record(self, visit: Visit, content: bytes) -> None:
        self.stage.note(
            visit.route,
            key=visit.caller.key,
            way=visit.caller.way,
            **told(visit.request, content),
        )

    # --- v4 ---

    async def _chat(self, visit: Visit, content: bytes) -> web.StreamResponse:
        body, said, frame = self._answered(visit, content)
        if (instead := visit.plan.page()) is not None:
            return await self._instead(visit, instead)
        if not body.get("stream"):
            whole = self._whole(visit, said, frame)
            return await self._unary(visit, said, whole)
        twists = [name for name in visit.plan.names if name in STREAM]
        chunks = list(shapes.chunks(frame, said))
        for name in twists:
            chunks = STREAM[name](chunks, visit.plan.params)
        framed = frames.stream(chunks, done="error_frame" not in twists)
        for name in frames.FRAMES:  # in the table's order: line ends change last
            if name in visit.plan.names:
                framed = frames.FRAMES[name](framed, visit.plan.params)
        return await self._deliver(visit, 200, {"Content-Type": SSE}, frames.write(framed), "chunked")

    async def _queue(self, visit: Visit, content: bytes) -> web.StreamResponse:
        _, said, frame = self._answered(visit, content)
        task = f"task{visit.number:08d}"
        self.tasks[task] = {**self._whole(visit, said, frame), "task_status": "SUCCESS"}
        told = {"id": task, "request_id": frame.request_id, "model": frame.model, "task_status": "PROCESSING"}
        return await self._json(visit, told)

    async def _result(self, visit: Visit, _: bytes) -> web.StreamResponse:
        if visit.what[0] not in self.tasks:
            raise Refused("1214", says="id 参数非法。请检查文档。")
        return await self._json(visit, self.tasks[visit.what[0]])

    async def _embed(self, visit: Visit, content: bytes) -> web.StreamResponse:
        body = rules.parse(content)
        given = body.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not 1 <= len(texts) <= 64 or body.get("model") not in self.settings.models:
            raise Refused("1214")
        size = body.get("dimensions", 2048)
        if size not in (256, 512, 1024, 2048):
            raise Refused("1214", says="dimensions 参数非法。请检查文档。")
        tokens = sum(max(1, len(text) // 4) for text in texts)
        data = [
            {"object": "embedding", "index": place, "embedding": [((place + at) % 7) / 7 for at in range(size)]}
            for place in range(len(texts))
        ]
        usage = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
        return await self._json(visit, {"model": body["model"], "object": "list", "data": data, "usage": usage})

    async def _nowhere(self, visit: Visit, _: bytes) -> web.StreamResponse:
        raise spring_404(visit.request.path)

    def _answered(self, visit: Visit, content: bytes) -> tuple[dict[str, Any], answer.Answer, shapes.Frame]:
        body, settings = rules.parse(content), self.settings
        if settings.strict:
            rules.check(body, settings)
        request_id = body.get("request_id", f"req-made-{visit.number}")
        if request_id in self.request_ids:
            raise Refused("1231")
        self.request_ids.add(request_id)
        (said,) = answer.answer(body, settings, _report(visit, body), visit.number)  # type: ignore[arg-type]
        if (body.get("thinking") or {}).get("type") == "disabled":
            said.thoughts = []
        frame = shapes.Frame(
            id=f"20250101{visit.number:08d}",
            created=int(settings.now),
            model=body["model"],
            request_id=request_id,
            usage=shapes.usage(answer.prompt_tokens(body), said),
            tool_stream=bool(body.get("tool_stream")),
            first_delay=settings.first_delay,
            piece_delay=settings.piece_delay,
        )
        return body, said, frame

    def _whole(self, visit: Visit, said: answer.Answer, frame: shapes.Frame) -> dict[str, Any]:
        whole = [(0.0, shapes.completion(frame, said))]
        for name in visit.plan.names:
            if name in BOTH:
                whole = BOTH[name](whole, visit.plan.params)
        return whole[0][1]

    # --- v3 ---

    async def _invoke(self, visit: Visit, content: bytes) -> web.StreamResponse:
        model, how = visit.what
        body, settings = rules.parse(content), self.settings
        if model not in settings.v3_models:
            raise Refused("1211")
        if settings.strict:
            rules.check_v3(body)
        asked = {"messages": body["prompt"]}
        (said,) = answer.answer(asked, settings, _report(visit, body), visit.number)  # type: ignore[arg-type]
        if (instead := visit.plan.page()) is not None:
            return await self._instead(visit, instead)
        task, request_id = f"{7500 + visit.number}", body.get("request_id", f"r{visit.number}")
        usage = v3.bill(answer.prompt_tokens(asked), said)
        whole = v3.unary(task, request_id, said, usage)
        if how == "async-invoke":
            self.tasks[task] = whole
            told = {"task_id": task, "request_id": request_id, "task_status": "PROCESSING"}
            return await self._json(visit, {"code": 200, "msg": "操作成功", "success": True, "data": told})
        if how == "invoke":
            return await self._unary(visit, said, whole)
        framed = v3.frames(
            task,
            request_id,
            said,
            usage,
            visit.plan.names,
            visit.plan.params,
            incremental=body.get("incremental", True),
            waits=(settings.first_delay, settings.piece_delay),
        )
        if "crlf" in visit.plan.names:
            framed = [(wait, frame.replace("\n", "\r\n")) for wait, frame in framed]
        return await self._deliver(visit, 200, {"Content-Type": SSE}, frames.write(framed), "chunked")

    # --- out ---

    async def _unary(self, visit: Visit, said: answer.Answer, whole: dict[str, Any]) -> web.StreamResponse:
        pace = self.settings.piece_delay if said.pace is None else said.pace
        return await self._json(visit, whole, self.settings.first_delay + pace * len(said.pieces))

    async def _instead(self, visit: Visit, instead: Page) -> web.StreamResponse:
        return await self._deliver(visit, instead.status, instead.head, instead.content, "chunked")

    async def _json(self, visit: Visit, value: Any, wait: float = 0.0) -> web.StreamResponse:
        return await self._deliver(visit, 200, {"Content-Type": JSON}, msgspec.json.encode(value), wait=wait)

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
        said = {"Date": formatdate(self.settings.now, usegmt=True), **visit.headers, **headers}
        self.stage.counts[f"status:{status}"] += 1
        how = visit.plan.delivery(framing, wait=wait)
        return await deliver(visit.request, status, said, pieces, how, self._hung_up(visit))

    def _hung_up(self, visit: Visit) -> Callable[..., None]:
        return lambda *, sent: self.stage.hung_up(key=visit.caller.key, route=visit.route, sent=sent)


def _report(visit: Visit, body: dict[str, Any]) -> dict[str, Any]:
    """What `!report` answers with."""
    return {
        "body": body,
        "headers": headers_of(visit.request),
        "path": visit.request.raw_path,
        "key": visit.caller.key,
        "way": visit.caller.way,
    }
