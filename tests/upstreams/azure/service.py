"""The path of one request through the stand-in: surface, credential, fault, gates, answer, filter, delivery."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import web

from ..asked import bearer, headers_of, told
from ..delivery import Body, deliver
from ..openai import answer, frames, rules, shapes
from ..openai.faults import BODIES, DELIVERIES, Plan
from ..openai.frames import FRAMES
from ..openai.refusal import Refused
from ..openai.twists import CHUNK_TWISTS, UNARY_TWISTS
from ..stage import Stage
from ..visits import Visits
from . import errors, filters, gates
from .settings import Settings, read_settings

ODD = frozenset({"filtered_midway", "burst"})
NAMES = errors.NAMES | ODD | frozenset({*BODIES, *DELIVERIES, *FRAMES, *CHUNK_TWISTS, *UNARY_TWISTS})


class Visit(msgspec.Struct):
    """One request on its way."""

    request: web.Request
    route: str
    key: str
    number: int
    plan: Plan
    deployment: str | None
    """From the path; None on the surface that names it in the body."""
    headers: dict[str, str]

    @property
    def v1(self) -> bool:
        """Which surface this is."""
        return "/openai/v1/" in self.request.raw_path


class Service:
    """All state of this process is the stage, the visits and the settings."""

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
        route, deployment = _found(request.method, request.raw_path.partition("?")[0])
        key = request.headers.get("api-key") or bearer(request) or ""
        plan = Plan.of(self.stage.fault(route, key))
        visit = Visit(request, route, key, next(self._numbers), plan, deployment, {})
        visit.headers = self._about(visit)
        with self.visits.of(key, request):
            try:
                content = await request.read()
                self._record(visit, content)
                return await self._serve(visit, content)
            except Refused as refused:
                kind, said = refused.content()
                headers = {**refused.headers, "Content-Type": kind}
                return await self._deliver(visit, refused.status, headers, [(0.0, said)], framing="length")

    async def _serve(self, visit: Visit, content: bytes) -> web.StreamResponse:
        if visit.route == "unknown":
            raise errors.refusal("resource_not_found", {})
        date = gates.date_of(visit.request.query.get("api-version"), v1=visit.v1)
        self._admit(visit)
        for name in visit.plan.names:
            if name in errors.NAMES:
                raise errors.refusal(name, visit.plan.params)
        if visit.route == "models":
            models = sorted(set(self.settings.deployments.values()))
            said = {"object": "list", "data": [{"id": model, "object": "model", "created": 1} for model in models]}
            return await self._json(visit, said)
        return await self._chat(visit, content, date)

    def _admit(self, visit: Visit) -> None:
        settings, token = self.settings, bearer(visit.request)
        allowed = visit.request.headers.get("api-key") in settings.keys
        allowed = allowed or token in settings.tokens or (visit.v1 and token in settings.keys)
        if not allowed:
            raise errors.refusal("unauthorized", {})

    async def _chat(self, visit: Visit, content: bytes, date: str) -> web.StreamResponse:
        body = rules.parse(content, visit.request.content_type)
        model = self.settings.deployments.get(visit.deployment or str(body.get("model")))
        if model is None:
            raise errors.refusal("deployment_not_found", {})
        body.setdefault("model", visit.deployment)
        plain = {name: value for name, value in body.items() if name not in ("data_sources",)}
        for refused in gates.unknown(body, date):
            raise refused
        rules.check({**plain, "model": model}, self.settings)
        if (instead := visit.plan.page()) is not None:
            return await self._deliver(visit, instead.status, instead.head, [(0.0, instead.content)])
        choices = answer.answer(body, self.settings, _report(visit, body), visit.number)
        frame = self._frame(visit, body, model, choices)
        return await (self._stream if body.get("stream") else self._unary)(visit, frame, choices)

    async def _stream(self, visit: Visit, frame: shapes.Frame, choices: list[answer.Answer]) -> web.StreamResponse:
        plan = visit.plan
        chunks = list(shapes.chunks(frame, choices))
        if plan.has("filtered_midway"):
            chunks = filters.struck(chunks, plan.params.get("pieces", 2))
        twisted = [name for name in plan.names if name in CHUNK_TWISTS]
        for name in twisted:
            chunks = CHUNK_TWISTS[name](chunks, plan.params)
        if not twisted:
            chunks = filters.streamed(chunks, self.settings.filter)
        framed = frames.stream(chunks, done="error_frame" not in twisted)
        for name in FRAMES:
            if plan.has(name):
                framed = FRAMES[name](framed, plan.params)
        body = list(frames.write(framed))
        if plan.has("burst"):
            body = [(plan.params.get("seconds", 0.3), b"".join(piece for _, piece in body))]
        return await self._deliver(visit, 200, {"Content-Type": "text/event-stream"}, body)

    async def _unary(self, visit: Visit, frame: shapes.Frame, choices: list[answer.Answer]) -> web.StreamResponse:
        completion = shapes.completion(frame, choices)
        for name in visit.plan.names:
            if name in UNARY_TWISTS:
                UNARY_TWISTS[name](completion, visit.plan.params)
        wait = frame.first_delay + frame.piece_delay * sum(len(one.pieces) for one in choices)
        return await self._json(visit, filters.whole(completion, self.settings.filter), wait)

    def _frame(self, visit: Visit, body: answer.Body, model: str, choices: list[answer.Answer]) -> shapes.Frame:
        settings, options = self.settings, body.get("stream_options") or {}
        return shapes.Frame(
            id=f"chatcmpl-{visit.number:024d}",
            created=int(time.time()),
            model=model,
            usage=shapes.usage(answer.prompt_tokens(body), choices, False),
            hf=False,
            thought_key=settings.thought_key,
            stops={},
            logprobs=(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
            include_usage=bool(options.get("include_usage")),
            obfuscation=False,
            first_delay=settings.first_delay,
            piece_delay=settings.piece_delay,
        )

    def _about(self, visit: Visit) -> dict[str, str]:
        left = "-1" if self.settings.limits_unknown else "99"
        return {
            "x-request-id": f"az-{visit.number:08x}",
            "apim-request-id": f"apim-{visit.number:08x}",
            "x-ms-region": "Nowhere Central",
            "x-ratelimit-remaining-requests": left,
            "x-ratelimit-remaining-tokens": left,
        }

    def _record(self, visit: Visit, content: bytes) -> None:
        self.stage.note(visit.route, key=visit.key, **told(visit.request, content))

    async def _json(self, visit: Visit, value: Any, wait: float = 0.0) -> web.StreamResponse:
        headers = {"Content-Type": "application/json"}
        return await self._deliver(visit, 200, headers, [(0.0, msgspec.json.encode(value))], "length", wait)

    async def _deliver(
        self,
        visit: Visit,
        status: int,
        headers: dict[str, str],
        body: Body,
        framing: str = "chunked",
        wait: float = 0.0,
    ) -> web.StreamResponse:
        self.stage.counts[f"status:{status}"] += 1
        how = visit.plan.delivery(framing, wait=wait)
        return await deliver(visit.request, status, visit.headers | headers, body, how, self._hung_up(visit))

    def _hung_up(self, visit: Visit) -> Callable[..., None]:
        return lambda *, sent: self.stage.hung_up(key=visit.key, route=visit.route, sent=sent)


def _found(method: str, path: str) -> tuple[str, str | None]:
    """The route and the deployment; whatever stands before `/openai/` is a private gateway's own."""
    _, found, rest = path.partition("/openai/")
    match found and rest.split("/"):
        case ["models"] | ["v1", "models"] | ["deployments", _, "models"] if method == "GET":
            return "models", None
        case ["deployments", name, "chat", "completions"] if method == "POST":
            return "chat", unquote(name)
        case ["v1", "chat", "completions"] if method == "POST":
            return "chat", None
    return "unknown", None


def _report(visit: Visit, body: dict[str, Any]) -> dict[str, Any]:
    """What `!report` answers with."""
    return {
        "body": body,
        "headers": headers_of(visit.request),
        "path": visit.request.raw_path,
        "key": visit.key,
    }
