"""The path of one request through the stand-in: credential, fault, rules, answer, frames, delivery."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import web

from ..asked import bearer, headers_of, told
from ..delivery import Body, deliver
from ..stage import Stage
from ..visits import Visits
from . import answer, frames, lookalikes, router, rules, shapes
from .errors import refusal
from .faults import NAMES, Plan
from .frames import FRAMES
from .lookalikes import ACCENTS, Accent
from .refusal import Refused
from .settings import Settings, read_settings
from .twists import CHUNK_TWISTS, UNARY_TWISTS

JSON = "application/json"
SSE = "text/event-stream"


class Visit(msgspec.Struct):
    """One request on its way: who, what goes wrong, and what the answer's head says."""

    request: web.Request
    route: str
    key: str
    number: int
    id: str
    plan: Plan
    settings: Settings
    path: str
    """Without the part that chooses whom we play."""
    headers: dict[str, str]

    @property
    def accent(self) -> Accent | None:
        """The look-alike that is played, if one is."""
        return ACCENTS.get(self.settings.dialect)

    def refusal(self, openai: str, hf: str, situation: str, **params: Any) -> Refused:
        """How whoever is played refuses; `params` are OpenAI's own."""
        if self.accent is not None:
            return refusal(self.accent.errors[situation], {})
        return refusal(hf, {}) if self.settings.speaks_hf else refusal(openai, params)


class Service:
    """All state of this process is the stage, the visits, the settings, and how much credit is spent."""

    def __init__(self) -> None:
        self.visits = Visits()
        self.settings = Settings()
        self.spent: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self.stage = Stage(self._forget, self.visits.stats, self._set, NAMES)

    def app(self) -> web.Application:
        """Everything at its path; what is not offered is refused as the vendor does it."""
        return self.stage.app(self._visit)

    def _forget(self) -> None:
        self.visits.forget()
        self.settings = Settings()
        self.spent.clear()

    def _set(self, raw: dict[str, Any]) -> None:
        self.settings = read_settings(raw)

    async def _visit(self, request: web.Request) -> web.StreamResponse:
        settings, path = self._played(request.raw_path.partition("?")[0])
        route, work = self._find(request.method, path)
        key = bearer(request)
        number = next(self._numbers)
        plan = Plan.of(self.stage.fault(route, key))
        made = Visit(request, route, key or "", number, _request_id(number, settings), plan, settings, path, {})
        made.headers["x-request-id"] = made.id
        with self.visits.of(made.key, request):
            try:
                content = await request.read()
                self._record(made, content)
                self._admit(made, key)
                return await work(made, content)
            except Refused as refused:
                return await self._refuse(made, refused)

    def _played(self, path: str) -> tuple[Settings, str]:
        """Whom we play at this path, and the rest of it."""
        name, slash, rest = path.removeprefix("/").partition("/")
        if name in ACCENTS or name == "huggingface":
            return msgspec.structs.replace(self.settings, dialect=name), slash + rest
        return self.settings, path

    def _find(self, method: str, path: str) -> tuple[str, Callable[[Visit, bytes], Awaitable[web.StreamResponse]]]:
        """On the raw path: an id in it may hold an escaped slash."""
        if path == "/v1/chat/completions" and method == "POST":
            return "chat", self._chat
        if path == "/v1/models" and method == "GET":
            return "models", self._models
        if path.startswith("/v1/models/") and method == "GET":
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
            id=visit.id,
            **told(request, content),
            attempt=request.headers.get("x-stainless-retry-count"),
            bill_to=request.headers.get("x-hf-bill-to"),
        )

    def _admit(self, visit: Visit, key: str | None) -> None:
        """Whether this key may ask at all, then what is meant to go wrong, then what it has used up."""
        settings = visit.settings
        open_to_all = (settings.speaks_hf and visit.route in ("models", "model")) or (
            visit.accent is not None and visit.accent.open
        )
        if key is None and not open_to_all:
            raise visit.refusal("no_api_key", "hf_unauthorized", "no_key")
        if key is not None and key not in (*settings.keys, *settings.powerless_keys) and not open_to_all:
            message = f"Incorrect API key provided: {key[:3]}…{key[-4:]}."
            raise visit.refusal("invalid_api_key", "hf_unauthorized", "wrong_key", message=message)
        visit.plan.raise_refusal()
        if visit.route != "chat" or key is None:
            return
        if key in settings.powerless_keys:
            raise refusal("hf_permission", {})
        if settings.rate is not None and self.visits.since(key, settings.rate.seconds) > settings.rate.requests:
            refused = visit.refusal("rate_limit", "hf_rate_limit", "rate")
            refused.headers["retry-after"] = str(max(1, round(settings.rate.seconds)))
            raise refused
        if key in settings.credits and self.spent[key] >= settings.credits[key]:
            raise visit.refusal("insufficient_quota", "hf_credits", "quota")
        self.spent[key] += 1

    async def _chat(self, visit: Visit, content: bytes) -> web.StreamResponse:
        body = rules.parse(content, visit.request.content_type)
        if visit.settings.strict:
            self._check(visit, body)
        elif not isinstance(body.get("messages"), list) or not isinstance(body.get("model"), str):
            raise refusal("missing_required_parameter", {})
        model = self._answering_model(visit, body["model"])
        if (instead := visit.plan.page()) is not None:
            return await self._deliver(visit, instead.status, instead.head, [(0.0, instead.content)])
        choices = answer.answer(body, visit.settings, _report(visit, body), visit.number)
        frame = self._frame(visit, body, model, choices)
        visit.headers |= _limits(visit.settings)
        streamed = (bool(body.get("stream")) and not visit.plan.has("json_for_stream")) or visit.plan.has(
            "stream_for_json"
        )
        return await (self._stream if streamed else self._unary)(visit, frame, choices)

    @staticmethod
    def _check(visit: Visit, body: answer.Body) -> None:
        if visit.accent is None:
            rules.check(body, visit.settings)
            return
        for refused in lookalikes.listens(body, visit.settings):
            raise refused

    async def _stream(self, visit: Visit, frame: shapes.Frame, choices: list[answer.Answer]) -> web.StreamResponse:
        accent = visit.accent
        always = (*accent.twists, *accent.frames) if accent else ()
        wanted = [*always, *visit.plan.names]
        twisted = [name for name in wanted if name in CHUNK_TWISTS]
        chunks = list(shapes.chunks(frame, choices))
        for name in twisted:
            chunks = CHUNK_TWISTS[name](chunks, visit.plan.params)
        framed = frames.stream(chunks, done="error_frame" not in twisted)
        for name in FRAMES:  # in the table's order: line ends change last
            if name in wanted:
                framed = FRAMES[name](framed, visit.plan.params)
        headers = {"Content-Type": self._type(visit, SSE), "Cache-Control": "no-cache"}
        return await self._deliver(visit, 200, headers, frames.write(framed))

    async def _unary(self, visit: Visit, frame: shapes.Frame, choices: list[answer.Answer]) -> web.StreamResponse:
        whole = shapes.completion(frame, choices)
        for name in (*(visit.accent.twists if visit.accent else ()), *visit.plan.names):
            if name in UNARY_TWISTS:
                UNARY_TWISTS[name](whole, visit.plan.params)
        pieces = sum(len(one.pieces) for one in choices)
        paced = any(one.pace for one in choices)
        # A unary answer takes as long as its tokens.
        wait = frame.first_delay + (sum(one.pace or 0.0 for one in choices) if paced else frame.piece_delay) * pieces
        return await self._json(visit, whole, wait)

    async def _models(self, visit: Visit, _: bytes) -> web.StreamResponse:
        return await self._json(visit, {"object": "list", "data": list(_listed(visit.settings).values())})

    async def _model(self, visit: Visit, _: bytes) -> web.StreamResponse:
        """The id arrives as one escaped segment from SDKs, and raw from people."""
        name = unquote(visit.path.removeprefix("/v1/models/"))
        listed = _listed(visit.settings)
        if name not in listed:
            raise refusal("model_not_found", {"message": f"The model `{name}` does not exist", "param": "model"})
        return await self._json(visit, listed[name])

    async def _unknown(self, visit: Visit, _: bytes) -> web.StreamResponse:
        request = visit.request
        message = f"Invalid URL ({request.method} {request.path})"
        raise visit.refusal("unknown_url", "hf_not_found", "path", message=message)

    def _answering_model(self, visit: Visit, model: str) -> str:
        """The name that the answer bears: a dated snapshot, or the provider's own."""
        settings = visit.settings
        if settings.speaks_hf:
            routed = router.route(model, settings, visit.plan.has("hf_other_provider"))
            visit.headers["x-inference-provider"] = routed.provider
            return routed.internal
        if model not in settings.models and not settings.any_model:
            message = f"The model `{model}` does not exist or you do not have access to it."
            raise visit.refusal("model_not_found", "hf_model_not_found", "model", message=message)
        return f"{model}-2026-01-01" if settings.dated else model

    def _frame(self, visit: Visit, body: answer.Body, model: str, choices: list[answer.Answer]) -> shapes.Frame:
        settings, options = visit.settings, body.get("stream_options") or {}
        eos = settings.speaks_hf if settings.eos_token is None else settings.eos_token
        frame = shapes.Frame(
            id=f"oq-{visit.number}" if settings.speaks_hf else f"chatcmpl-{visit.number:024d}",
            created=int(time.time()),
            model=model,
            usage=shapes.usage(answer.prompt_tokens(body), choices, settings.speaks_hf),
            hf=settings.speaks_hf,
            thought_key=settings.thought_key,
            stops={"stop": "eos_token"} if eos else {},
            logprobs=(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
            include_usage=bool(options.get("include_usage")),
            obfuscation=settings.obfuscation and options.get("include_obfuscation") is not False,
            first_delay=settings.first_delay,
            piece_delay=settings.piece_delay,
        )
        return lookalikes.framed(visit.accent, frame) if visit.accent else frame

    async def _json(self, visit: Visit, value: Any, wait: float = 0.0) -> web.StreamResponse:
        headers = {"Content-Type": self._type(visit, JSON)}
        return await self._deliver(visit, 200, headers, [(0.0, msgspec.json.encode(value))], "length", wait)

    async def _refuse(self, visit: Visit, refused: Refused) -> web.StreamResponse:
        kind, content = refused.content()
        headers = {**refused.headers, "Content-Type": kind}
        return await self._deliver(visit, refused.status, headers, [(0.0, content)], framing="length")

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

    def _type(self, visit: Visit, right: str) -> str:
        return visit.plan.params.get("content_type", "text/plain") if visit.plan.has("wrong_content_type") else right


def _request_id(number: int, settings: Settings) -> str:
    return f"Root=1-{number:08x}-emulated" if settings.speaks_hf else f"req_{number:024x}"


def _listed(settings: Settings) -> dict[str, dict[str, Any]]:
    if settings.speaks_hf:
        return {name: router.model_row(name, at) for name, at in settings.hf_models.items()}
    facts = {"object": "model", "created": 1686935002, "owned_by": "openai"}
    return {name: {"id": name, **facts} for name in settings.models}


def _limits(settings: Settings) -> dict[str, str]:
    if settings.dialect != "openai":
        return {}
    return {
        "openai-version": "2020-10-01",
        "openai-processing-ms": "7",
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-limit-tokens": "200000",
        "x-ratelimit-remaining-tokens": "199990",
        "x-ratelimit-reset-tokens": "1m0.5s",
    }


def _report(visit: Visit, body: dict[str, Any]) -> dict[str, Any]:
    """What `!report` answers with."""
    return {
        "body": body,
        "headers": headers_of(visit.request),
        "path": visit.request.raw_path,
        "key": visit.key,
        "id": visit.id,
    }
