"""Door C, the questions: `/chats/{id}/completions` as JSON or JSON lines, and the stateless `answer_question`."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

from aiohttp import web

from tests.upstreams.h2ogpte import asking, faults
from tests.upstreams.h2ogpte.accounts import Account, Refused
from tests.upstreams.h2ogpte.chats import Chat, Message
from tests.upstreams.h2ogpte.model import Answer, Asked, pieces
from tests.upstreams.h2ogpte.world import Running, World
from tests.upstreams.stage import Fault, reset_connection

HISTORY = {"true": True, "false": False, "auto": True, None: False}
FIELDS = frozenset(
    [
        "message",
        "system_prompt",
        "pre_prompt_query",
        "prompt_query",
        "pre_prompt_summary",
        "prompt_summary",
        "image_batch_image_prompt",
        "image_batch_final_prompt",
        "llm",
        "llm_args",
        "rag_config",
        "self_reflection_config",
        "include_chat_history",
        "tags",
        "metadata_filter",
        "stream",
    ]
)


class Completions:
    """Asks the model on behalf of an API key."""

    def __init__(self, world: World):
        self._world = world

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """A question in a chat session."""
        world = self._world
        account = world.accounts.admit(request, csrf=True)
        chat = world.chats.find(request.match_info["session_id"], account)
        wish = await _wish(request)
        asked = self._asked(chat, wish)
        fault = world.fault("api/v1/chats/{session_id}/completions", account, faults.LINES)
        question = chat.say(world.ask(chat, asked, json.dumps(asked.llm_args)))
        answer = world.answer(asked)
        if fault is not None and fault.name == "rest_empty":
            answer.text = ""
        telling = _Lines(world, request, account, chat, question, answer, fault)
        if wish.get("stream"):
            return await telling.stream()
        await asyncio.sleep(world.settings.first_token_delay)
        telling.store(answer.text)
        return web.json_response({"message_id": telling.answer_id, "body": answer.text})

    async def answer_question(self, request: web.Request) -> web.Response:
        """A question with its whole conversation, and no session."""
        world = self._world
        account = world.accounts.admit(request, csrf=True)
        llm = request.match_info["model_name"]
        if not world.knows(llm):
            raise Refused(404, f"model {llm} not found", "model_access")
        body = await request.json()
        if not isinstance(body.get("question"), str):
            raise Refused(400, "question must be a string")
        if not all(len(pair) == 2 for pair in body.get("chat_conversation") or []):
            raise Refused(400, "chat_conversation must be a list of pairs")
        if why := asking.wrong_args(body.get("llm_args") or {}, {}):
            raise Refused(400, why)
        fault = world.fault("api/v1/models/{model_name}/answer_question", account, faults.ANSWER)
        await asyncio.sleep(world.settings.first_token_delay)
        told = world.answer_question(account, llm, body)
        if fault is not None:
            told |= {"content": "", "error": fault.params.get("error", "the model went away")}
        return web.json_response(told)

    def _asked(self, chat: Chat, wish: dict[str, Any]) -> Asked:
        if not self._world.knows(wish.get("llm")):
            raise Refused(404, f"model {wish['llm']} not found", "model_access")
        wanted = wish.get("include_chat_history")
        return Asked(
            door="completions",
            body=wish["message"],
            system_prompt=self._world.system_prompt(chat, wish.get("system_prompt")),
            llm=wish.get("llm"),
            llm_args=wish.get("llm_args") or {},
            rag_config=wish.get("rag_config"),
            include_chat_history=wanted,
            history=chat.history() if HISTORY[wanted] else [],
            tags=wish.get("tags"),
            session_template_id=chat.template_id,
        )


class _Lines:
    """One answer as JSON lines."""

    def __init__(
        self,
        world: World,
        request: web.Request,
        account: Account,
        chat: Chat,
        question: Message,
        answer: Answer,
        fault: Fault | None,
    ):
        self.answer_id = str(uuid.uuid4())
        self._world = world
        self._request = request
        self._account = account
        self._chat = chat
        self._question = question
        self._answer = answer
        self._fault = fault
        self._running = Running(account, chat)

    async def stream(self) -> web.StreamResponse:
        """Line by line, until the end, a fault, a stop, or the client's leaving."""
        response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
        began, sent = time.time(), 0
        self._world.running[self._question.id] = self._running
        try:
            await response.prepare(self._request)
            sent = await self._play(response)
        except (asyncio.CancelledError, ConnectionError):
            facts = {"credential": self._account.username, "session": self._chat.id, "question": self._question.id}
            self._world.stage.hung_up(door="completions", **facts, sent=sent, began=began)
            self.store(self._answer.text)
            raise
        finally:
            self._world.running.pop(self._question.id, None)
        return response

    def store(self, text: str) -> None:
        """The answer is in the session, whatever becomes of the connection."""
        self._chat.say(Message(self.answer_id, text, self._question.id, [self._answer.usage()]))

    async def _play(self, response: web.StreamResponse) -> int:
        settings, name = self._world.settings, self._fault.name if self._fault else ""
        params = self._fault.params if self._fault else {}
        said = ""
        for sent, piece in enumerate(pieces(self._answer.text, settings.chunk, settings.chunk_by)):
            await asyncio.sleep(settings.chunk_delay if sent else settings.first_token_delay)
            if self._running.stopped.is_set():
                break
            if name and sent == params.get("pieces", 1):
                if name == "rest_stall":
                    await asyncio.sleep(params.get("seconds") or 3600)
                elif name == "rest_broken":
                    reset_connection(self._request)
                    return sent
                elif name == "rest_unfinished":
                    return sent
                elif name == "rest_error_line":
                    await self._line(response, {"error": params.get("error", "the model went away")})
                    return sent
            await self._line(response, {"body": piece, "finished": False})
            said += piece
        self.store(said)
        await self._line(response, {"message_id": self.answer_id, "body": said, "finished": True})
        return -1

    async def _line(self, response: web.StreamResponse, line: dict[str, Any]) -> None:
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if self._fault is None or self._fault.name != "rest_split_line":
            await response.write(data)
            return
        size = self._fault.params.get("size", 3)
        for at in range(0, len(data), size):
            await response.write(data[at : at + size])
            await asyncio.sleep(self._fault.params.get("seconds", 0.002))


async def _wish(request: web.Request) -> dict[str, Any]:
    """The request's body, or Refused 400 with what is wrong with it."""
    try:
        wish = await request.json()
    except ValueError as error:
        raise Refused(400, "not JSON") from error
    if not isinstance(wish, dict) or not isinstance(wish.get("message"), str) or not wish["message"]:
        raise Refused(400, "message must be a string with something in it")
    if unknown := wish.keys() - FIELDS:
        raise Refused(400, f"unknown: {', '.join(sorted(unknown))}")
    for name in ("llm_args", "rag_config", "self_reflection_config"):
        if not isinstance(wish.get(name), dict | None):
            raise Refused(400, f"{name} must be an object")
    wanted = wish.get("include_chat_history")
    if not isinstance(wanted, str | None) or wanted not in HISTORY:
        raise Refused(400, 'include_chat_history must be one of "true", "false", "auto"')
    if why := asking.wrong_args(wish.get("llm_args") or {}, wish.get("rag_config") or {}):
        raise Refused(400, why)
    return wish
