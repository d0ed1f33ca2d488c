"""Door D: the service's own OpenAI endpoint, stateless, and the only door at which tools are called (`!tool:`)."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

from aiohttp import web

from tests.upstreams import directives
from tests.upstreams.h2ogpte.accounts import Refused
from tests.upstreams.h2ogpte.model import Answer, Asked, pieces
from tests.upstreams.h2ogpte.world import World


class OpenAI:
    """`/openai_api/v1`, for API keys only."""

    def __init__(self, world: World):
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """Two calls are enough for a pass-through."""
        return [
            web.get("/openai_api/v1/models", self.models),
            web.post("/openai_api/v1/chat/completions", self.complete),
        ]

    async def models(self, request: web.Request) -> web.Response:
        """GET /models"""
        self._world.accounts.admit(request, csrf=False, cookies=False)
        entry = {"object": "model", "created": 1735689600, "owned_by": "h2oai"}
        return web.json_response(
            {"object": "list", "data": [{"id": name, **entry} for name in self._world.settings.models]}
        )

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /chat/completions, whole or streamed."""
        world = self._world
        account = world.accounts.admit(request, csrf=False, cookies=False)
        body = await request.json()
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise Refused(400, "messages must be a list with something in it")
        if not world.knows(body.get("model")):
            raise Refused(404, f"model {body.get('model')} not found", "model_not_found")
        account.questions += 1
        asked = self._asked(body, messages)
        world.stage.note(
            "question", door="openai", credential=account.username, body=asked.body[:200], llm=body["model"]
        )
        answer, calls = world.answer(asked), _calls(body, asked.body)
        if body.get("stream"):
            return await self._stream(request, body, answer, calls)
        await asyncio.sleep(world.settings.first_token_delay)
        message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
        if calls:
            message |= {"content": None, "tool_calls": calls}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _why(body, answer, calls)}
        head = _head("chat.completion", body["model"])
        return web.json_response({**head, "choices": [choice], "usage": _usage(answer)})

    def _asked(self, body: dict[str, Any], messages: list[dict[str, Any]]) -> Asked:
        system = [_text(m) for m in messages if m["role"] in {"system", "developer"}]
        users = [_text(m) for m in messages if m["role"] == "user"]
        named = {"max_tokens": "max_new_tokens", "max_completion_tokens": "max_new_tokens"}
        tuning = ("temperature", "top_p", "seed", "max_tokens", "max_completion_tokens")
        return Asked(
            door="openai",
            body=users[-1] if users else "",
            system_prompt="\n\n".join(system) or None,
            llm=body.get("model"),
            llm_args={named.get(name, name): body[name] for name in tuning if body.get(name) is not None},
            rag_config=None,
            include_chat_history=None,
            history=[],
            messages=messages,
            as_it_came=body,
        )

    async def _stream(
        self, request: web.Request, body: dict[str, Any], answer: Answer, calls: list[dict[str, Any]]
    ) -> web.StreamResponse:
        settings = self._world.settings
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        head = _head("chat.completion.chunk", body["model"])
        parts: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        if calls:
            parts += [{"tool_calls": [{"index": place, **call}]} for place, call in enumerate(calls)]
        else:
            parts += [{"content": piece} for piece in pieces(answer.text, settings.chunk, settings.chunk_by)]
        try:
            for number, delta in enumerate(parts):
                await asyncio.sleep((0, settings.first_token_delay, settings.chunk_delay)[min(number, 2)])
                await _event(response, {**head, "choices": [_choice(delta, None)]})
            await _event(response, {**head, "choices": [_choice({}, _why(body, answer, calls))]})
            if (body.get("stream_options") or {}).get("include_usage"):
                await _event(response, {**head, "choices": [], "usage": _usage(answer)})
            await response.write(b"data: [DONE]\n\n")
        except (asyncio.CancelledError, ConnectionError):
            self._world.stage.hung_up(door="openai", model=body["model"])
            raise
        return response


async def _event(response: web.StreamResponse, chunk: dict[str, Any]) -> None:
    await response.write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())


def _head(kind: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def _choice(delta: dict[str, Any], why: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": why}


def _calls(body: dict[str, Any], words: str) -> list[dict[str, Any]]:
    """The calls that the words ask for, of tools that were told."""
    known = {tool["function"]["name"] for tool in body.get("tools") or ()}
    return [
        {"id": f"call_{uuid.uuid4().hex}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for name, arguments in directives.read(words).calls
        if name in known
    ]


def _why(body: dict[str, Any], answer: Answer, calls: list[dict[str, Any]]) -> str:
    if calls:
        return "tool_calls"
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    return "length" if most and answer.output_tokens >= most else "stop"


def _usage(answer: Answer) -> dict[str, int]:
    total = answer.input_tokens + answer.output_tokens
    return {"prompt_tokens": answer.input_tokens, "completion_tokens": answer.output_tokens, "total_tokens": total}


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if part.get("type") == "text")
