"""The HTTP API: OpenAI's shapes, with the oddities of the vendor's page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from ..asked import headers_of
from ..delivery import deliver
from ..stage import Fault
from . import rules
from .answer import Answer, answer, usage
from .desk import Desk
from .faults import ENDS, HTTP, TWISTS, Plan

Body = dict[str, Any]
SSE = "text/event-stream"
JSON = "application/json"


class Chat:
    """Requests to `/v1/chat/completions` and its siblings."""

    def __init__(self, desk: Desk):
        self._desk = desk

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """One question."""
        desk = self._desk
        password = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        content = await request.read()
        try:
            body = json.loads(content)
        except ValueError:
            body = None
        desk.stage.note("chat", credential=password, path=request.path, headers=headers_of(request), body=body)
        fault = desk.stage.fault("chat", password, (*ENDS, *TWISTS, *HTTP, "hang"))
        turn = _Turn(desk, request, password, fault)
        with desk.visits.of(password, request):
            if (refused := turn.refused()) is not None:
                return await turn.deliver(*refused)
            try:
                rules.check_body(body, request.path, desk.passwords()[password], desk.settings)
                with desk.admitted(password, body.get("user")):
                    return await turn.answer(body)
            except rules.Refused as wrong:
                desk.stage.counts[f"refused:{wrong.code}"] += 1
                return await turn.deliver(*turn.refusal(wrong))


class _Turn:
    """One request on its way."""

    def __init__(self, desk: Desk, request: web.Request, who: str, fault: Fault | None):
        self._desk = desk
        self._request = request
        self._who = who
        self._fault = fault
        self._sid = desk.sid("cha")

    def refused(self) -> tuple[int, dict[str, str], list[tuple[float, bytes]]] | None:
        """What is said instead of an answer: a refusal by the gateway, or what a fault asks for."""
        params = self._fault.params if self._fault else {}
        if self._has("raw"):
            return _page(params.get("status", 200), params.get("text", "").encode(), params.get("content_type", SSE))
        if self._has("http_error"):
            code = params.get("code")
            error = {"message": params.get("message", "failed"), "type": "api_error", "param": None}
            status, made, body = _json(params["status"], {"error": {**error, "code": code and str(code)}})
            if "retry_after" in params:
                made["Retry-After"] = str(params["retry_after"])
            return status, made, body
        if self._has("bad_form"):
            return _json(401, {"message": "HMAC signature cannot be verified: fail to retrieve credential"})
        if self._has("invalid_user") or self._who not in self._desk.passwords():
            error = {"message": "invalid user", "type": "api_error", "param": None, "code": None}
            return _json(401, {"error": error})
        return None

    def refusal(self, wrong: rules.Refused) -> tuple[int, dict[str, str], list[tuple[float, bytes]]]:
        """A refusal by the service, in one of its two ways."""
        if self._desk.settings.errors == "code":
            return _json(200, {"code": wrong.code, "message": wrong.message, "sid": self._sid})
        error = {"message": wrong.message, "type": "api_error", "param": None, "code": str(wrong.code)}
        return _json(401 if wrong.code == 11200 else 400, {"error": error})

    async def answer(self, body: Body) -> web.StreamResponse:
        """The answer, streamed or whole."""
        desk = self._desk
        tools = [tool for tool in body.get("tools") or () if tool["type"] == "function"]
        said = answer(
            body["messages"],
            desk.settings,
            desk.report(self._request, self._who, body=body),
            limit=body.get("max_tokens"),
            functions=[tool["function"] for tool in tools],
            choice=body.get("tool_choice"),
            wants_json=(body.get("response_format") or {}).get("type") == "json_object",
        )
        if self._has("empty"):
            said = Answer()
        counted = usage(body["messages"], said)
        del counted["question_tokens"]
        as_object = not body.get("tool_calls_switch") or self._has("tool_calls_object")
        calls = self._calls(said, as_object=as_object)
        if not body.get("stream") or self._has("json_for_stream"):
            return await self.deliver(*_json(200, self._whole(said, calls, counted)))
        frames = list(self._chunks(said, calls, counted))
        return await self.deliver(200, {"Content-Type": SSE}, list(self._paced(frames, said)))

    def _calls(self, said: Answer, *, as_object: bool) -> Any:
        calls: list[Body] = [
            {"type": "function", "function": {"arguments": words, "name": name}, "id": f"call_{self._sid}{at}"}
            for at, (name, words) in enumerate(said.calls)
        ]
        if self._has("no_ids"):
            for call in calls:
                del call["id"]
        if not calls:
            return None
        return calls[0] if as_object else calls

    def _whole(self, said: Answer, calls: Any, counted: Body) -> Body:
        message: Body = {"role": "assistant", "content": "".join(said.pieces)}
        if said.thoughts:
            message["reasoning_content"] = "".join(said.thoughts)
        if calls:
            message["tool_calls"] = calls
        choice: Body = {"message": message, "index": 0}
        if self._has("finish_reason"):
            choice["finish_reason"] = "tool_calls" if calls else "stop"
        whole = {"code": 0, "message": "Success", "sid": self._sid, "choices": [choice]}
        return whole if self._has("no_usage") else {**whole, "usage": counted}

    def _chunks(self, said: Answer, calls: Any, counted: Body) -> Iterator[Body]:
        deltas: list[Body] = [{"content": "", "reasoning_content": piece} for piece in said.thoughts]
        deltas += [{"content": piece} for piece in said.pieces]
        if calls:
            deltas.append({"content": "", "tool_calls": calls})
        deltas = deltas or [{"content": ""}]
        for at, delta in enumerate(deltas):
            choice: Body = {"delta": {"role": "assistant", **delta}, "index": 0}
            last = at == len(deltas) - 1
            if last and self._has("finish_reason"):
                choice["finish_reason"] = "tool_calls" if calls else "stop"
            known = {"code": 0, "message": "Success", "sid": self._sid, "id": self._sid, "created": 1735704000}
            chunk = {**known, "choices": [choice]}
            yield {**chunk, "usage": counted} if last and not self._has("no_usage") else chunk

    def _paced(self, chunks: list[Body], said: Answer) -> Iterator[tuple[float, bytes]]:
        settings, fault = self._desk.settings, self._fault
        colon = b"data: " if self._has("spaced") else b"data:"
        after = fault.params.get("frames", 0) if fault is not None and fault.name in ("code", "not_json") else None
        for at, chunk in enumerate(chunks):
            if at == after:
                break
            wait = settings.piece_delay if said.pace is None else said.pace
            yield wait + (0 if at else settings.first_delay), colon + _dumps(chunk) + b"\n\n"
        if self._has("code"):
            assert fault is not None
            code = fault.params["code"]
            wrong = {"code": code, "message": fault.params.get("message", f"failed (code={code})"), "sid": self._sid}
            yield 0.0, colon + _dumps(wrong) + b"\n\n"
        elif self._has("not_json"):
            yield 0.0, colon + b'{"code":0,\n\n'
        elif not self._has("no_done"):
            yield 0.0, colon + b"[DONE]\n\n"

    async def deliver(
        self, status: int, headers: dict[str, str], body: list[tuple[float, bytes]]
    ) -> web.StreamResponse:
        """Write it as the fault says."""
        self._desk.stage.counts[f"status:{status}"] += 1
        return await deliver(
            self._request,
            status,
            headers,
            body,
            Plan.of(self._fault).delivery(),
            lambda *, sent: self._desk.stage.hung_up(credential=self._who, route="chat", sent=sent),
        )

    def _has(self, name: str) -> bool:
        return self._fault is not None and self._fault.name == name


def _dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _json(status: int, value: Any) -> tuple[int, dict[str, str], list[tuple[float, bytes]]]:
    return status, {"Content-Type": JSON}, [(0.0, _dumps(value))]


def _page(status: int, body: bytes, kind: str) -> tuple[int, dict[str, str], list[tuple[float, bytes]]]:
    return status, {"Content-Type": kind}, [(0.0, body)]
