"""The path of one request through the stand-in: credential, fault, reading, rules, answer, frames, delivery."""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
from aiohttp import web

from ..asked import content_of, headers_of, told
from ..delivery import Body, deliver
from ..stage import Stage
from ..visits import Visits
from . import answer, compatible, framing, reading, rules, shapes
from .faults import JSON, KNOWN, Plan
from .framing import FRAMES
from .refusal import Refused, refusal
from .settings import Model, Settings, read_settings
from .twists import TWISTS

SSE = "text/event-stream"
LARGEST = 20 << 20
OPENAI = "/v1beta/openai/"
_METHOD = re.compile(r"/(v1|v1beta|v1alpha)/(?:models|tunedModels)/([^/:]+):(\w+)")
_MODELS = re.compile(r"/(v1|v1beta|v1alpha)/models(?:/([^/:]+))?")
_ROUTES = {
    "generateContent": "chat",
    "streamGenerateContent": "chat",
    "countTokens": "count",
    "embedContent": "embed",
    "batchEmbedContents": "embed",
}


class Visit(msgspec.Struct):
    """One request on its way: where to, who, and what goes wrong."""

    request: web.Request
    route: str
    version: str
    model: str
    method: str
    key: str | None
    number: int
    plan: Plan
    query: dict[str, list[str]]

    def asks(self, name: str, otherwise: str = "") -> str:
        """A parameter of the query."""
        return self.query.get(name, [otherwise])[-1]


Work = Callable[[Visit, bytes], Awaitable[web.StreamResponse]]


class Service:
    """All state of this process is the stage, the visits and the settings."""

    def __init__(self) -> None:
        self.visits = Visits()
        self.settings = Settings()
        self._numbers = itertools.count(1)
        self.stage = Stage(self._forget, self.visits.stats, self._set, KNOWN)

    def app(self) -> web.Application:
        """Everything at its path; what is not offered is a 404."""
        return self.stage.app(self._visit)

    def _forget(self) -> None:
        self.visits.forget()
        self.settings = Settings()

    def _set(self, raw: dict[str, Any]) -> None:
        self.settings = read_settings(raw)

    async def _visit(self, request: web.Request) -> web.StreamResponse:
        visit, work = self._find(request)
        with self.visits.of(visit.key or "", request):
            try:
                content = await request.read()
                self._record(visit, content)
                self._admit(visit)
                if len(content) > LARGEST:
                    raise refusal("too_large", {})
                return await work(visit, content)
            except Refused as refused:
                if visit.request.path.startswith(OPENAI) and refused.shape == "object":
                    refused.shape = "array"
                kind, page = refused.content()
                headers = {**refused.headers, "Content-Type": kind, "Vary": "Origin"}
                return await self._deliver(visit, refused.code, headers, [(0.0, page)], framing="length")

    def _find(self, request: web.Request) -> tuple[Visit, Work]:
        """On the raw path: the colon before the method is a part of its last segment."""
        raw, _, query = request.raw_path.partition("?")
        path, asked = unquote(raw), parse_qs(query)
        route, version, model, method = "unknown", "", "", ""
        work: Work = self._unknown
        if request.method == "POST" and (found := _METHOD.fullmatch(path)) and found[3] in _ROUTES:
            route, version, model, method = _ROUTES[found[3]], found[1], found[2], found[3]
            work = {"chat": self._generate, "count": self._count, "embed": self._embed}[route]
        elif request.method == "GET" and (found := _MODELS.fullmatch(path)):
            route, version, model = "model" if found[2] else "models", found[1], found[2] or ""
            work = self._models if route == "models" else self._model
        key = request.headers.get("x-goog-api-key") or asked.get("key", [None])[-1]
        if path.startswith(OPENAI):
            version, key = "v1beta", request.headers.get("authorization", "").removeprefix("Bearer ") or key
            place = path.removeprefix(OPENAI)
            if request.method == "POST" and place == "chat/completions":
                route, method, work = "chat", "generateContent", self._compatible
            elif request.method == "POST" and place == "embeddings":
                route, method, work = "embed", "embedContent", self._compatible_embeddings
            elif request.method == "GET" and place == "models":
                route, work = "models", self._compatible_models
            elif request.method == "GET" and place.startswith("models/"):
                route, model, work = "model", place.rpartition("/")[2], self._compatible_models
        plan = Plan.of(self.stage.fault(route, key))
        return Visit(request, route, version, model, method, key, next(self._numbers), plan, asked), work

    def _record(self, visit: Visit, content: bytes) -> None:
        if not self.settings.record:
            self.stage.counts[visit.route] += 1
            return
        self.stage.note(visit.route, key=visit.key, model=visit.model, **told(visit.request, content))

    def _admit(self, visit: Visit) -> None:
        """Whether this key may ask at all, then what is meant to go wrong, then its pace."""
        if visit.key is None:
            bearer = visit.request.headers.get("authorization", "")
            raise refusal("unauthenticated" if bearer else "unregistered", {})
        if visit.key not in self.settings.keys:
            raise refusal("api_key_invalid", {})
        visit.plan.raise_refusal()
        rate = self.settings.rate
        if rate is not None and visit.route == "chat" and self.visits.since(visit.key, rate.seconds) > rate.requests:
            raise refusal("rate_limit", {"retry_delay": f"{rate.seconds:g}s"})

    def _known(self, visit: Visit, method: str) -> Model:
        model = self.settings.models.get(visit.model)
        if model is None or visit.version not in model.versions or method not in model.methods:
            message = (
                f"models/{visit.model} is not found for API version {visit.version}, or is not supported for "
                f"{visit.method}. Call ListModels to see the list of available models and their supported methods."
            )
            raise refusal("not_found", {"message": message})
        return model

    async def _generate(self, visit: Visit, content: bytes) -> web.StreamResponse:
        settings, model = self.settings, self._known(visit, "generateContent")
        plain = visit.version in settings.plain_schemas
        body = reading.read(content, reading.GENERATE, plain_schemas=plain)
        if settings.strict:
            rules.check(body, visit.model, model, settings, settings.keys[visit.key or ""])
        if (tokens := answer.prompt_tokens(body)) > settings.context:
            told = f"({tokens}) exceeds the maximum number of tokens allowed ({settings.context})."
            raise refusal("context_length", {"message": f"The input token count {told}"})
        if (instead := visit.plan.page()) is not None:
            return await self._deliver(visit, instead.status, instead.head, [(0.0, instead.content)])
        report = self._report(visit, content, body)
        said = answer.candidates(body, model, settings, report)
        frame = self._frame(visit, body, model)
        if visit.method == "generateContent":
            return await self._unary(visit, frame, said)
        frames = self._twisted(visit, list(shapes.frames(frame, said)))
        if visit.asks("alt") != "sse" or visit.plan.has("array_stream"):
            return await self._send(visit, JSON, framing.array(frames))
        written = framing.stream(frames, settings.newline)
        for name in FRAMES:  # in the table's order
            if visit.plan.has(name):
                written = FRAMES[name](written, visit.plan.params)
        return await self._send(visit, SSE, written)

    async def _unary(self, visit: Visit, frame: shapes.Frame, said: list[answer.Candidate]) -> web.StreamResponse:
        pieces = sum(len(one.pieces) for one in said)
        pace = next((one.pace for one in said if one.pace is not None), frame.piece_delay)
        frames = self._twisted(visit, [(0.0, shapes.whole(frame, said))])
        if isinstance(last := frames[-1][1], dict) and "error" in last:
            raise refusal(visit.plan.params.get("error", "overloaded"), {})
        return await self._json(visit, last, frame.first_delay + pace * pieces)  # it takes as long as its tokens

    def _frame(self, visit: Visit, body: reading.Body, model: Model) -> shapes.Frame:
        settings, config = self.settings, body.get("generationConfig") or {}
        signs = model.signs or model.thinks != "never"
        signature = rules.signature(settings.keys[visit.key or ""], visit.model, visit.number) if signs else None
        return shapes.Frame(
            number=visit.number,
            model=visit.model,
            signature=signature,
            prompt=answer.prompt_tokens(body),
            cached=settings.cached,
            calls_together=settings.calls_together,
            logprobs=config.get("logprobs", 0) if config.get("responseLogprobs") else None,
            first_delay=settings.first_delay,
            piece_delay=settings.piece_delay,
        )

    def _twisted(self, visit: Visit, frames: list[tuple[float, Any]]) -> list[tuple[float, Any]]:
        for name in visit.plan.names:
            if name in TWISTS:
                frames = TWISTS[name](frames, visit.plan.params)
        return frames

    async def _count(self, visit: Visit, content: bytes) -> web.StreamResponse:
        self._known(visit, "countTokens")
        body = reading.read(content, reading.COUNT)
        return await self._json(
            visit, {"totalTokens": answer.prompt_tokens(body.get("generateContentRequest") or body)}
        )

    async def _embed(self, visit: Visit, content: bytes) -> web.StreamResponse:
        self._known(visit, "embedContent")
        if visit.method == "embedContent":
            return await self._json(visit, {"embedding": _embedding(reading.read(content, reading.EMBED))})
        asked = reading.read(content, reading.EMBED_BATCH).get("requests") or []
        return await self._json(visit, {"embeddings": [_embedding(one) for one in asked]})

    async def _models(self, visit: Visit, _: bytes) -> web.StreamResponse:
        listed = [_listed(name, one) for name, one in self.settings.models.items() if visit.version in one.versions]
        begin = int(visit.asks("pageToken", "0") or 0)
        size = min(int(visit.asks("pageSize", "50")), self.settings.page)
        page = {"models": listed[begin : begin + size]}
        more = {"nextPageToken": str(begin + size)} if begin + size < len(listed) else {}
        return await self._json(visit, {**page, **more})

    async def _model(self, visit: Visit, _: bytes) -> web.StreamResponse:
        model = self.settings.models.get(visit.model)
        if model is None or visit.version not in model.versions:
            raise refusal("not_found", {"message": f"models/{visit.model} is not found."})
        return await self._json(visit, _listed(visit.model, model))

    async def _compatible(self, visit: Visit, content: bytes) -> web.StreamResponse:
        asked = msgspec.json.decode(content)
        visit.model = str(asked.get("model", "")).removeprefix("models/")
        model = self._known(visit, "generateContent")
        body = reading.read(msgspec.json.encode(compatible.native(asked)), reading.GENERATE)
        rules.check(body, visit.model, model, self.settings, self.settings.keys[visit.key or ""])
        if (instead := visit.plan.page()) is not None:
            return await self._deliver(visit, instead.status, instead.head, [(0.0, instead.content)])
        said = answer.candidates(body, model, self.settings, self._report(visit, content, body))
        frame = self._frame(visit, body, model)
        if not asked.get("stream"):
            return await self._json(visit, compatible.completion(frame, said))
        billed = bool((asked.get("stream_options") or {}).get("include_usage"))
        written = framing.stream(list(compatible.chunks(frame, said, billed=billed)), "lf")
        return await self._send(visit, SSE, [*written, (0.0, "data: [DONE]\n\n")])

    async def _compatible_embeddings(self, visit: Visit, content: bytes) -> web.StreamResponse:
        asked = msgspec.json.decode(content)
        visit.model = str(asked.get("model", "")).removeprefix("models/")
        self._known(visit, "embedContent")
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        listed = [
            {
                "object": "embedding",
                "index": at,
                "embedding": _embedding({"content": {"parts": [{"text": text}]}})["values"],
            }
            for at, text in enumerate(texts)
        ]
        return await self._json(visit, {"object": "list", "data": listed, "model": visit.model})

    async def _compatible_models(self, visit: Visit, _: bytes) -> web.StreamResponse:
        known = [name for name, one in self.settings.models.items() if "v1beta" in one.versions]
        listed = [{"id": f"models/{name}", "object": "model", "owned_by": "google"} for name in known]
        if visit.route == "models":
            return await self._json(visit, {"object": "list", "data": listed})
        if visit.model not in known:
            raise refusal("not_found", {})
        return await self._json(visit, listed[known.index(visit.model)])

    async def _unknown(self, _: Visit, __: bytes) -> web.StreamResponse:
        return web.Response(
            status=404, text="<html><title>Error 404 (Not Found)!!1</title></html>", content_type="text/html"
        )

    async def _json(self, visit: Visit, value: Any, wait: float = 0.0) -> web.StreamResponse:
        body = [(0.0, msgspec.json.encode(value))]
        return await self._deliver(visit, 200, {"Content-Type": JSON}, body, framing="length", wait=wait)

    async def _send(self, visit: Visit, kind: str, written: framing.Written) -> web.StreamResponse:
        return await self._deliver(
            visit, 200, {"Content-Type": kind}, ((wait, text.encode()) for wait, text in written)
        )

    async def _deliver(
        self,
        visit: Visit,
        status: int,
        headers: dict[str, str],
        body: Body,
        *,
        framing: str = "chunked",
        wait: float = 0.0,
    ) -> web.StreamResponse:
        self.stage.counts[f"status:{status}"] += 1
        how = visit.plan.delivery(framing, wait=wait)
        return await deliver(visit.request, status, headers, body, how, self._hung_up(visit))

    def _hung_up(self, visit: Visit) -> Callable[..., None]:
        return lambda **facts: self.stage.hung_up(key=visit.key, route=visit.route, **facts)

    @staticmethod
    def _report(visit: Visit, content: bytes, read: reading.Body) -> dict[str, Any]:
        """What `!report` answers with."""
        return {
            "body": content_of(content),
            "read": read,
            "headers": headers_of(visit.request),
            "path": visit.request.raw_path,
            "key": visit.key,
        }


def _listed(name: str, model: Model) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "inputTokenLimit": 1048576,
        "outputTokenLimit": 65536,
        "supportedGenerationMethods": model.methods,
        "thinking": model.thinks != "never",
    }


def _embedding(body: reading.Body) -> dict[str, Any]:
    words = "".join(part.get("text", "") for part in body["content"].get("parts") or ())
    return {"values": [len(words) / 100 + n for n in range(body.get("outputDimensionality", 4))]}
