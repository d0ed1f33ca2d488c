"""Doors A and B: the chat itself, on `/ws`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import traceback
import uuid
from typing import Any

from aiohttp import WSMsgType, web

from tests.upstreams.h2ogpte import asking, faults, scene
from tests.upstreams.h2ogpte.accounts import Account, Refused
from tests.upstreams.h2ogpte.chats import Chat, Message
from tests.upstreams.h2ogpte.model import Answer
from tests.upstreams.h2ogpte.world import Running, World
from tests.upstreams.stage import Fault, reset_connection


class Socket:
    """Every connection; a question is answered beside the reading, so that a hang-up is seen at once."""

    def __init__(self, world: World):
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """One address, without any path prefix."""
        return [web.get("/ws", self.talk)]

    async def talk(self, request: web.Request) -> web.WebSocketResponse:
        """One connection, until somebody closes it."""
        world = self._world
        account = world.accounts.admit(request, csrf=False)
        ws = web.WebSocketResponse(timeout=1)
        await ws.prepare(request)
        world.sockets.add(ws)
        world.sockets_max = max(world.sockets_max, len(world.sockets))
        world.stage.counts["sockets_opened"] += 1
        answers: set[asyncio.Task[None]] = set()
        try:
            async for message in ws:
                if message.type is not WSMsgType.TEXT:
                    world.stage.note("invalid_questions", why="not a text message", credential=account.username)
                    continue
                task = asyncio.get_running_loop().create_task(self._take(request, ws, account, message.data))
                answers.add(task)
                task.add_done_callback(answers.discard)
        finally:
            world.sockets.discard(ws)
            world.stage.counts[f"socket_closed:{ws.close_code}"] += 1
            for task in answers:
                task.cancel()
        return ws

    async def _take(self, request: web.Request, ws: web.WebSocketResponse, account: Account, text: str) -> None:
        """Answer, and let no slip of the stand-in pass for silence of the service."""
        try:
            await self._answer(request, ws, account, text)
        except ConnectionError:
            pass  # the client left before it was told no
        except Exception as slip:
            traceback.print_exc()
            self._world.stage.note("slips", why=repr(slip))
            await ws.close(code=1011)

    async def _answer(self, request: web.Request, ws: web.WebSocketResponse, account: Account, text: str) -> None:
        world = self._world
        fault = world.fault("ws", account, faults.SOCKET)
        try:
            query = json.loads(text)
        except ValueError:
            query = None
        if why := asking.complaint(query, account):
            world.stage.note("invalid_questions", why=why, credential=account.username)
            ids = _nobody(query if isinstance(query, dict) else {}, account)
            await ws.send_str(scene.refusal(ids, f"Invalid request: {why}", world.settings.version))
            return
        chat = await self._chat(request, ws, account, query)
        if chat is None:
            return
        if refusal := self._refusal(account, query):
            text = scene.refusal(_nobody(query, account), version=world.settings.version, **refusal)
            await ws.send_str(text)
            return
        await _Telling(world, request, ws, account, chat, query, fault).tell()

    async def _chat(self, request: web.Request, ws: Any, account: Account, query: dict[str, Any]) -> Chat | None:
        """The session of the question; None when the service has nothing more to say about it."""
        world = self._world
        wanted, here = query["session_id"], request.query.get("currentSessionID")
        try:
            chat = world.chats.find(wanted, account)
            if here is None or here == wanted:
                return chat
            why = f"session {wanted} is not the session of this connection"
            world.stage.note("session_mismatch", session=wanted, connection=here, credential=account.username)
        except Refused as refused:
            why, chat = refused.message, Chat(account, account.workspace, None)
            chat.id = wanted
        if world.settings.session_check == "tolerate":
            return chat
        if world.settings.session_check == "refuse":
            await ws.send_str(scene.refusal(_nobody(query, account), why, world.settings.version))
        return None

    def _refusal(self, account: Account, query: dict[str, Any]) -> dict[str, Any] | None:
        """The service's own reasons not to answer, as an error frame."""
        world = self._world
        kind = world.settings.guest_quota_as
        if kind != "rpc_429" and world.accounts.quota_gone(account):
            return scene.ERRORS[kind]
        if not world.knows(query["llm"]):
            return scene.ERRORS["ce_model"] | {"error": f"Model {query['llm']} is unknown or not authorized"}
        return None


class _Telling:
    """One answer on its way to one connection."""

    def __init__(
        self,
        world: World,
        request: web.Request,
        ws: web.WebSocketResponse,
        account: Account,
        chat: Chat,
        query: dict[str, Any],
        fault: Fault | None,
    ):
        self._world = world
        self._request = request
        self._ws = ws
        self._account = account
        self._chat = chat
        self._fault = fault
        self._asked = asking.asked(query, chat, world.system_prompt(chat, query.get("system_prompt")))
        self._question = world.ask(chat, self._asked, query["llm_args"], query["correlation_id"])
        self._ids = scene.Ids(chat.id, query["correlation_id"], self._question.id, str(uuid.uuid4()), account.username)
        self._running = Running(account, chat)
        self._sent = 0
        self._said = ""
        self._ended = False
        self._began = time.time()

    async def tell(self) -> None:
        """Play the scene; the client may leave, or REST may stop it, at any moment."""
        world = self._world
        answer = world.answer(self._asked)
        steps = scene.scene(self._ids, self._asked.body, answer, world.settings, self._fault)
        world.running[self._question.id] = self._running
        if not self._lost_early():
            self._chat.say(self._question)
        try:
            await self._play(steps, answer)
        except (asyncio.CancelledError, ConnectionError) as gone:
            if not self._ended:
                self._hung_up()
                self._store(answer.text, answer)  # the service finishes what it began
            if isinstance(gone, asyncio.CancelledError):
                raise
        finally:
            world.running.pop(self._question.id, None)

    async def _play(self, steps: list[scene.Message | scene.Wait | scene.Leave], answer: Answer) -> None:
        for step in steps:
            if self._running.stopped.is_set():
                return await self._stop(answer)
            if isinstance(step, scene.Wait):
                await self._pause(step.seconds)
            elif isinstance(step, scene.Leave):
                return await self._leave(step, answer)
            else:
                if step.ends and not self._is_error():
                    self._store(answer.text, answer)
                await (self._ws.send_bytes(step.text.encode()) if step.binary else self._ws.send_str(step.text))
                self._sent += 1
                self._said += step.said
                self._ended = self._ended or step.ends
        return None

    async def _pause(self, seconds: float | None) -> None:
        if seconds == 0:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._running.stopped.wait(), seconds)

    async def _stop(self, answer: Answer) -> None:
        self._store(self._said, answer)
        self._ended = True
        await self._ws.send_str(scene.final(self._ids, self._said, self._world.settings.version))

    async def _leave(self, step: scene.Leave, answer: Answer) -> None:
        self._ended = True  # by us, not by the client
        if step.stored:
            asyncio.get_running_loop().call_later(step.stored_after, self._store, answer.text, answer)
        if step.code is None:
            reset_connection(self._request)
        else:
            await self._ws.close(code=step.code)

    def _store(self, text: str, answer: Answer) -> None:
        self._chat.say(Message(self._ids.answer, text, self._question.id, [answer.usage()]))

    def _is_error(self) -> bool:
        return self._fault is not None and (self._fault.name in scene.ERRORS or self._fault.name == "cp_error")

    def _lost_early(self) -> bool:
        """Whether the question never reached the session."""
        fault = self._fault
        if fault is None or not (fault.name in {"close", "stall"} or fault.name in scene.ERRORS):
            return False
        at = fault.params.get("at", scene.ERRORS.get(fault.name, {}).get("at"))
        return at == "before_cx" or (at is None and fault.name in scene.ERRORS)

    def _hung_up(self) -> None:
        self._world.stage.hung_up(
            door="ws",
            credential=self._account.username,
            session=self._chat.id,
            question=self._question.id,
            body=self._asked.body[:200],
            sent=self._sent,
            began=self._began,
            close_code=self._ws.close_code,
        )


def _nobody(query: dict[str, Any], account: Account) -> scene.Ids:
    """Names for an error that comes before there is a question."""
    told = {name: value for name in ("session_id", "correlation_id") if isinstance(value := query.get(name), str)}
    return scene.Ids(told.get("session_id", ""), told.get("correlation_id", ""), "", "", account.username)
