"""The path of one request through the stand-in: credential, version, fault, rules, answer, events, delivery."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import web

from ..asked import bearer, headers_of, told
from ..delivery import Body, deliver
from ..stage import Stage
from ..visits import Visits
from . import answer, frames, rules, shapes
from .cache import Cache
from .errors import Refused, invalid, refusal
from .faults import NAMES, Plan
from .frames import FRAMES
from .settings import Settings, read_settings
from .twists import twisted

JSON = "application/json"
SSE = "text/event-stream; charset=utf-8"
ORGANIZATION = "00000000-0000-4000-8000-000000000001"


class Visit(msgspec.Struct):
    """One request on its way: who, what goes wrong, and what the answer's head says."""

    request: web.Request
    route: str
    key: str
    auth: str
    number: int
    id: str
    plan: Plan
    headers: dict[str, str]


class Service:
    """All state of this process is the stage, the visits, the settings, and what was read before."""

    def __init__(self) -> None:
        self.visits = Visits()
        self.settings = Settings()
        self.cache = Cache()
        self._numbers = itertools.count(1)
        self.stage = Stage(self._forget, self.visits.stats, self._set, NAMES)

    def app(self) -> web.Application:
        """Everything at its path; what is not offered is refused as the vendor does it."""
        return self.stage.app(self._visit)

    def _forget(self) -> None:
        self.visits.forget()
        self.settings = Settings()
        self.cache.forget()

    def _set(self, raw: dict[str, Any]) -> None:
        self.settings = read_settings(raw)

    async def _visit(self, request: web.Request) -> web.StreamResponse:
        route, work = self._find(request)
        key, auth = _credential(request)
        plan = Plan.of(self.stage.fault(route, key))
        number = next(self._numbers)
        made = Visit(request, route, key or "", auth, number, f"req_{number:024d}", plan, {})
        made.headers |= {"request-id": made.id, "anthropic-organization-id": ORGANIZATION}
        with self.visits.of(made.key, request):
            try:
                content = await request.read()
                self._record(made, content)
                self._admit(made, key)
                return await work(made, content)
            except Refused as refused:
                kind, body = refused.content(made.id)
                headers = {**refused.headers, "Content-Type": kind}
                return await self._deliver(made, refused.status, headers, [(0.0, body)], framing="length")

    def _find(self, request: web.Request) -> tuple[str, Callable[[Visit, bytes], Awaitable[web.StreamResponse]]]:
        """By the end of the raw path: what a proxy put before it is not looked at."""
        path = request.raw_path.partition("?")[0]
        if path.endswith("/v1/messages") and request.method == "POST":
            return "chat", self._chat
        if path.endswith("/v1/messages/count_tokens") and request.method == "POST":
            return "count_tokens", self._count
        if path.endswith("/v1/models") and request.method == "GET":
            return "models", self._models
        if "/v1/models/" in path and request.method == "GET":
            return "model", self._model
        return "unknown", self._unknown

    def _record(self, visit: Visit, content: bytes) -> None:
        request = visit.request
        if not self.settings.record:
            self.stage.counts[visit.route] += 1
            return
        self.stage.note(
            visit.route,
            key=visit.key,
            auth=visit.auth,
            id=visit.id,
            **told(request, content),
            attempt=request.headers.get("x-stainless-retry-count"),
        )

    def _admit(self, visit: Visit, key: str | None) -> None:
        """Whether this key may ask at all, by which version; then what is meant to go wrong, then what it used up."""
        settings = self.settings
        if key is None:
            raise refusal("authentication", {"message": "x-api-key header is required"})
        if key not in (*settings.keys, *settings.powerless_keys):
            raise refusal("authentication", {"message": f"invalid {visit.auth}"})
        version = visit.request.headers.get("anthropic-version")
        if version is None:
            raise invalid("anthropic-version: header is required")
        if version not in rules.VERSIONS:
            raise invalid(f'anthropic-version: "{version}" is not a valid version')
        visit.plan.raise_refusal()
        if visit.route != "chat":
            return
        if key in settings.powerless_keys:
            raise refusal("permission", {})
        if settings.rate is not None and self.visits.since(key, settings.rate.seconds) > settings.rate.requests:
            raise refusal("rate_limit", {"retry_after": max(1, round(settings.rate.seconds)), "headers": _limits(0)})

    # --- messages ---

    async def _chat(self, visit: Visit, content: bytes) -> web.StreamResponse:
        body = self._read(visit, content)
        if (instead := visit.plan.page()) is not None:
            return await self._deliver(visit, instead.status, instead.head, [(0.0, instead.content)])
        made = answer.answer(body, self.settings, _report(visit, body), visit.number)
        bill = self.cache.bill(body, visit.key, answer.prompt_tokens(body), self.settings.cache_minimum)
        frame = shapes.Frame(
            f"msg_{visit.number:022d}",
            body["model"],
            *bill,
            shows=(body.get("thinking") or {}).get("display") != "omitted",
            first_delay=self.settings.first_delay,
            piece_delay=self.settings.piece_delay,
        )
        visit.headers |= _limits(499)
        streamed = body.get("stream") and not visit.plan.has("json_for_stream")
        return await (self._stream if streamed else self._unary)(visit, frame, made)

    def _read(self, visit: Visit, content: bytes, *, counting: bool = False) -> answer.Body:
        body = rules.parse(content, visit.request.content_type)
        if self.settings.strict:
            rules.check(body, self.settings, visit.request.headers["anthropic-version"], counting=counting)
        elif not isinstance(body.get("messages"), list) or not isinstance(body.get("model"), str):
            raise invalid("messages: Field required")
        return body

    async def _stream(self, visit: Visit, frame: shapes.Frame, made: answer.Answer) -> web.StreamResponse:
        events = twisted(list(shapes.events(frame, made)), visit.plan.names, visit.plan.params)
        framed = frames.stream(events)
        for name, change in FRAMES.items():  # in the table's order: line ends change last
            if visit.plan.has(name):
                framed = change(framed)
        headers = {"Content-Type": SSE, "Cache-Control": "no-cache"}
        return await self._deliver(visit, 200, headers, frames.write(framed))

    async def _unary(self, visit: Visit, frame: shapes.Frame, made: answer.Answer) -> web.StreamResponse:
        each = frame.piece_delay if made.pace is None else made.pace
        wait = frame.first_delay + each * len(made.pieces)  # it takes as long as its tokens
        return await self._json(visit, shapes.message(frame, made), wait)

    async def _count(self, visit: Visit, content: bytes) -> web.StreamResponse:
        body = self._read(visit, content, counting=True)
        return await self._json(visit, {"input_tokens": answer.prompt_tokens(body)})

    # --- models ---

    async def _models(self, visit: Visit, _: bytes) -> web.StreamResponse:
        query = visit.request.query
        names, limit = list(self.settings.models), int(query.get("limit", self.settings.page))
        if not 1 <= limit <= 1000:
            raise invalid("limit: Input should be between 1 and 1000")
        for name in ("after_id", "before_id"):
            if name in query and query[name] not in names:
                raise invalid(f"{name}: Input should be the id of a model")
        if "before_id" in query:
            names = names[: names.index(query["before_id"])]
            page, more = names[-limit:], len(names) > limit
        else:
            names = names[names.index(query["after_id"]) + 1 :] if "after_id" in query else names
            page, more = names[: min(limit, self.settings.page)], len(names) > min(limit, self.settings.page)
        first, last = (page[0], page[-1]) if page else (None, None)
        listed = [self._row(name) for name in page]
        return await self._json(visit, {"data": listed, "has_more": more, "first_id": first, "last_id": last})

    async def _model(self, visit: Visit, _: bytes) -> web.StreamResponse:
        name = unquote(visit.request.raw_path.partition("?")[0].rpartition("/v1/models/")[2])
        if name not in self.settings.models:
            raise refusal("not_found", {"message": f"model: {name}"})
        return await self._json(visit, self._row(name))

    def _row(self, name: str) -> dict[str, Any]:
        return {
            "type": "model",
            "id": name,
            "display_name": name.replace("-", " ").title(),
            "created_at": "2025-09-29T00:00:00Z",
            "lifecycle": "active",
            "max_tokens": self.settings.models[name].longest,
            "max_input_tokens": 200_000,
        }

    async def _unknown(self, visit: Visit, _: bytes) -> web.StreamResponse:
        raise refusal("not_found", {"message": "Not found"})

    # --- on the way out ---

    async def _json(self, visit: Visit, value: Any, wait: float = 0.0) -> web.StreamResponse:
        body = [(0.0, msgspec.json.encode(value))]
        return await self._deliver(visit, 200, {"Content-Type": JSON}, body, "length", wait)

    async def _deliver(
        self,
        visit: Visit,
        status: int,
        headers: dict[str, str],
        body: Body,
        framing: str = "chunked",
        wait: float = 0.0,
    ) -> web.StreamResponse:
        how = visit.plan.delivery(framing, wait=wait)
        self.stage.counts[f"status:{status}"] += 1
        return await deliver(visit.request, status, visit.headers | headers, body, how, self._hung_up(visit))

    def _hung_up(self, visit: Visit) -> Callable[..., None]:
        return lambda *, sent: self.stage.hung_up(key=visit.key, route=visit.route, id=visit.id, sent=sent)


def _credential(request: web.Request) -> tuple[str | None, str]:
    """The key and how it came; `x-api-key` wins over a Bearer."""
    if key := request.headers.get("x-api-key", "").strip():
        return key, "x-api-key"
    return bearer(request), "bearer"


def _limits(left: int) -> dict[str, str]:
    reset = (datetime.now(UTC) + timedelta(seconds=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        f"anthropic-ratelimit-{kind}-{fact}": value
        for kind, limit in (
            ("requests", 500),
            ("tokens", 200_000),
            ("input-tokens", 160_000),
            ("output-tokens", 40_000),
        )
        for fact, value in (("limit", str(limit)), ("remaining", str(min(left, limit))), ("reset", reset))
    }


def _report(visit: Visit, body: dict[str, Any]) -> dict[str, Any]:
    """What `!report` answers with."""
    return {
        "body": body,
        "headers": headers_of(visit.request),
        "path": visit.request.raw_path,
        "key": visit.key,
        "auth": visit.auth,
    }
