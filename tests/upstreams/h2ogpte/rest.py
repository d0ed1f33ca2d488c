"""Door C: sessions, messages, jobs, models and templates under `/api/v1`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiohttp import web

from tests.upstreams.h2ogpte import faults
from tests.upstreams.h2ogpte.accounts import Account, Refused
from tests.upstreams.h2ogpte.chats import Chat, Message
from tests.upstreams.h2ogpte.completions import Completions
from tests.upstreams.h2ogpte.world import World

INTERRUPTIONS = ("stop", "finish", "pause", "resume", "hitl")


class Rest:
    """The 1.7 subset that a gateway may need; cookie and CSRF token open this door too."""

    def __init__(self, world: World):
        self._world = world
        self._completions = Completions(world)

    def routes(self) -> list[web.RouteDef]:
        """Fixed names before the ones with an id in their place."""
        one = "/api/v1/chats/{session_id}"
        return [
            web.post("/api/v1/chats", self.create),
            web.get("/api/v1/chats", self.recent),
            web.get("/api/v1/chats/count", self.count),
            web.post("/api/v1/chats/delete_job", self.delete_job),
            web.get(one, self.get),
            web.patch(one, self.rename),
            web.delete(one, self.delete),
            web.put(f"{one}/prompt_template", self.bind_template),
            web.delete(f"{one}/prompt_template", self.unbind_template),
            web.put(f"{one}/collection", self.bind_collection),
            web.delete(f"{one}/collection", self.unbind_collection),
            web.post(f"{one}/fork", self.fork),
            web.post(f"{one}/synth_message_pair", self.insert_pair),
            web.post(f"{one}/archive", self.archive),
            web.post(f"{one}/unarchive", self.unarchive),
            web.put(f"{one}/expiry_date", self.expiry_date),
            web.put(f"{one}/keep_forever", self.keep_forever),
            web.get(f"{one}/messages", self.messages),
            web.post(f"{one}/completions", self._completions.complete),
            web.get("/api/v1/messages/{message_id}/meta", self.message_meta),
            web.delete("/api/v1/messages/{message_ids}", self.delete_messages),
            *(web.post(f"/api/v1/messages/{{question_id}}/{name}", self.interrupt) for name in INTERRUPTIONS),
            web.get("/api/v1/jobs", self.jobs),
            web.get("/api/v1/jobs/{job_id}", self.job),
            web.get("/api/v1/models", self.models),
            web.get("/api/v1/models/vision_capable_model_names", self.some_names),
            web.get("/api/v1/models/reasoning_capable_model_names", self.some_names),
            web.get("/api/v1/models/model_to_vision_model_mapping", self.name_mapping),
            web.get("/api/v1/models/model_to_reasoning_model_mapping", self.name_mapping),
            web.post("/api/v1/models/{model_name:.+}/answer_question", self._completions.answer_question),
            web.get("/api/v1/stats/usage", self.usage),
            web.get("/api/v1/stats/usage_by_model", self.usage_by_model),
            web.get("/api/v1/users/current/roles", self.roles),
            web.post("/api/v1/prompt_templates", self.make_template),
            web.get("/api/v1/prompt_templates", self.templates),
            web.get("/api/v1/prompt_templates/count", self.count_templates),
            web.get("/api/v1/prompt_templates/default", self.default_template),
            web.get("/api/v1/prompt_templates/{template_id}", self.template),
            web.delete("/api/v1/prompt_templates/{template_ids}", self.delete_templates),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """POST /chats"""
        account = await self._admit(request)
        body = await request.json() if request.can_read_body else {}
        fault = self._world.fault("rpc/db/create_chat_session", account, faults.CREATE)
        if fault is not None:
            return web.json_response({"error": fault.params.get("error", "could not create chat session")})
        workspace = (body or {}).get("workspace")
        chat = self._world.chats.create(account, workspace, request.query.get("collection_id"))
        return web.json_response(chat.shown(), status=201)

    async def recent(self, request: web.Request) -> web.Response:
        """GET /chats"""
        account = await self._admit(request)
        offset, limit = _page(request)
        return web.json_response([chat.shown() for chat in self._world.chats.of(account)[offset : offset + limit]])

    async def count(self, request: web.Request) -> web.Response:
        """GET /chats/count"""
        return web.json_response({"count": len(self._world.chats.of(await self._admit(request)))})

    async def get(self, request: web.Request) -> web.Response:
        """GET /chats/{id}"""
        return web.json_response((await self._chat(request)).shown())

    async def rename(self, request: web.Request) -> web.Response:
        """PATCH /chats/{id}"""
        chat = await self._chat(request)
        chat.name = (await request.json())["name"]
        return web.json_response(chat.shown())

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /chats/{id}: answers when it is done."""
        chat = await self._chat(request)
        job = self._delete(chat.owner, [chat.id])
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(job.over.wait(), float(request.query.get("timeout", 3600)))
        if job.state != "completed":
            raise Refused(409, f"could not delete chat session {chat.id}")
        return web.Response(status=204)

    async def delete_job(self, request: web.Request) -> web.Response:
        """POST /chats/delete_job: answers at once."""
        account = await self._admit(request)
        return web.json_response(self._delete(account, (await request.json())["session_ids"]).shown(), status=201)

    async def bind_template(self, request: web.Request) -> web.Response:
        """PUT /chats/{id}/prompt_template"""
        chat = await self._chat(request)
        template_id = (await request.json())["prompt_template_id"]
        if self._world.templates.get(template_id) is None:
            raise Refused(404, f"prompt template {template_id} not found")
        chat.template_id = template_id
        return web.json_response(chat.shown())

    async def unbind_template(self, request: web.Request) -> web.Response:
        """DELETE /chats/{id}/prompt_template"""
        chat = await self._chat(request)
        chat.template_id = None
        return web.json_response(chat.shown())

    async def bind_collection(self, request: web.Request) -> web.Response:
        """PUT /chats/{id}/collection"""
        chat = await self._chat(request)
        chat.collection_id = (await request.json())["collection_id"]
        return web.json_response(chat.shown())

    async def unbind_collection(self, request: web.Request) -> web.Response:
        """DELETE /chats/{id}/collection"""
        chat = await self._chat(request)
        chat.collection_id = None
        return web.json_response(chat.shown())

    async def fork(self, request: web.Request) -> web.Response:
        """POST /chats/{id}/fork"""
        chat = await self._chat(request)
        last = (await request.json()).get("message_id")
        ids = [message.id for message in chat.messages]
        if last is not None and last not in ids:
            raise Refused(404, f"message {last} not found")
        copy = self._world.chats.create(chat.owner, chat.workspace, chat.collection_id)
        copy.messages = chat.messages[: ids.index(last) + 1 if last else None]
        return web.json_response(copy.shown(), status=201)

    async def insert_pair(self, request: web.Request) -> web.Response:
        """POST /chats/{id}/synth_message_pair"""
        chat = await self._chat(request)
        pair = await request.json()
        number = len(chat.messages)
        question = chat.say(Message(f"{chat.id}-q{number}", pair["user_prompt"]))
        reply = chat.say(Message(f"{chat.id}-a{number}", pair["ai_response"], question.id))
        return web.json_response({"question_id": question.id, "reply_id": reply.id}, status=201)

    async def archive(self, request: web.Request) -> web.Response:
        """POST /chats/{id}/archive"""
        (await self._chat(request)).status = "archived"
        return web.Response(status=204)

    async def unarchive(self, request: web.Request) -> web.Response:
        """POST /chats/{id}/unarchive"""
        (await self._chat(request)).status = "active"
        return web.Response(status=204)

    async def expiry_date(self, request: web.Request) -> web.Response:
        """PUT /chats/{id}/expiry_date"""
        chat = await self._chat(request)
        chat.expiry_date, chat.status = (await request.json())["expiry_date"], "expiring"
        return web.Response(status=204)

    async def keep_forever(self, request: web.Request) -> web.Response:
        """PUT /chats/{id}/keep_forever"""
        chat = await self._chat(request)
        chat.keep_forever = (await request.json())["keep_forever"]
        return web.Response(status=204)

    async def messages(self, request: web.Request) -> web.Response:
        """GET /chats/{id}/messages, the newest first."""
        return web.json_response((await self._chat(request)).newest_first(*_page(request)))

    async def message_meta(self, request: web.Request) -> web.Response:
        """GET /messages/{id}/meta"""
        account = await self._admit(request)
        message = self._world.chats.message(request.match_info["message_id"], account)
        if message is None:
            raise Refused(404, "message not found")
        kind = request.query.get("info_type")
        return web.json_response([part for part in message.meta if kind in (None, part["message_type"])])

    async def delete_messages(self, request: web.Request) -> web.Response:
        """DELETE /messages/{ids}"""
        account = await self._admit(request)
        if not self._world.chats.delete_messages(request.match_info["message_ids"].split(","), account):
            raise Refused(409, "no such message")
        return web.Response(status=204)

    async def interrupt(self, request: web.Request) -> web.Response:
        """POST /messages/{question id}/stop; its siblings are accepted and change nothing."""
        account = await self._admit(request)
        running = self._world.running.get(request.match_info["question_id"])
        name = request.path.rpartition("/")[2]
        self._world.stage.note(f"{name}_calls", question=request.match_info["question_id"], running=bool(running))
        if running is not None and running.account is not account:
            raise Refused(403, "this chat belongs to somebody else")
        if running is not None and name == "stop":
            running.stopped.set()
        return web.Response(status=204)

    async def jobs(self, request: web.Request) -> web.Response:
        """GET /jobs"""
        account = await self._admit(request)
        return web.json_response([job.shown() for job in self._world.chats.jobs_of(account)])

    async def job(self, request: web.Request) -> web.Response:
        """GET /jobs/{id}"""
        job = self._world.chats.job(request.match_info["job_id"], await self._admit(request))
        if job is None:
            raise Refused(404, "job not found")
        return web.json_response(job.shown())

    async def models(self, request: web.Request) -> web.Response:
        """GET /models"""
        await self._admit(request)
        return web.json_response([{"id": name, "display_name": name} for name in self._world.settings.models])

    async def some_names(self, request: web.Request) -> web.Response:
        """GET /models/vision_capable_model_names and its sibling"""
        await self._admit(request)
        return web.json_response(self._world.settings.models[:1])

    async def name_mapping(self, request: web.Request) -> web.Response:
        """GET /models/model_to_vision_model_mapping and its sibling"""
        await self._admit(request)
        return web.json_response(dict.fromkeys(self._world.settings.models, self._world.settings.models[0]))

    async def usage(self, request: web.Request) -> web.Response:
        """GET /stats/usage"""
        account = await self._admit(request)
        cost = round(0.0001 * account.questions, 4)
        interval = request.query.get("interval", "24 hours")
        return web.json_response({"current": cost, "max_allowed_24h": 1.0, "cost_unit": "USD", "interval": interval})

    async def usage_by_model(self, request: web.Request) -> web.Response:
        """GET /stats/usage_by_model"""
        account = await self._admit(request)
        calls = account.questions
        one = {"llm_name": self._world.settings.models[0], "llm_cost": round(0.0001 * calls, 4), "call_count": calls}
        return web.json_response([{**one, "input_tokens": 0, "output_tokens": 0}])

    async def roles(self, request: web.Request) -> web.Response:
        """GET /users/current/roles: the cheapest way to learn whether a key is alive."""
        await self._admit(request)
        return web.json_response([{"id": "role-1", "name": "user", "description": "Anybody", "priority": 1}])

    async def make_template(self, request: web.Request) -> web.Response:
        """POST /prompt_templates"""
        account = await self._admit(request)
        return web.json_response(self._world.templates.make(account, await request.json()), status=201)

    async def templates(self, request: web.Request) -> web.Response:
        """GET /prompt_templates"""
        offset, limit = _page(request)
        account = await self._admit(request)
        return web.json_response(self._world.templates.visible_to(account)[offset : offset + limit])

    async def count_templates(self, request: web.Request) -> web.Response:
        """GET /prompt_templates/count"""
        return web.json_response({"count": len(self._world.templates.visible_to(await self._admit(request)))})

    async def default_template(self, request: web.Request) -> web.Response:
        """GET /prompt_templates/default"""
        await self._admit(request)
        return web.json_response(self._world.templates.default())

    async def template(self, request: web.Request) -> web.Response:
        """GET /prompt_templates/{id}"""
        await self._admit(request)
        template = self._world.templates.get(request.match_info["template_id"])
        if template is None:
            raise Refused(404, "prompt template not found")
        return web.json_response(template)

    async def delete_templates(self, request: web.Request) -> web.Response:
        """DELETE /prompt_templates/{ids}"""
        await self._admit(request)
        self._world.templates.delete(request.match_info["template_ids"].split(","))
        return web.Response(status=204)

    async def _admit(self, request: web.Request) -> Account:
        account = self._world.accounts.admit(request, csrf=request.method not in {"GET", "HEAD"})
        await asyncio.sleep(self._world.settings.rpc_delay)
        return account

    async def _chat(self, request: web.Request) -> Chat:
        return self._world.chats.find(request.match_info["session_id"], await self._admit(request))

    def _delete(self, account: Account, chat_ids: Any) -> Any:
        if not isinstance(chat_ids, list) or not all(isinstance(chat_id, str) for chat_id in chat_ids):
            raise Refused(400, "session_ids must be a list of strings")
        settings = self._world.settings
        fault = self._world.fault("rpc/job/DeleteChatSessionsJob", account, faults.DELETE)
        if fault is not None and fault.name == "delete_refused":
            raise Refused(500, fault.params.get("error", "job queue is not available"))
        mode = fault.name.removeprefix("delete_") if fault else settings.delete_mode
        return self._world.chats.delete(account, chat_ids, settings.delete_delay, mode)


def _page(request: web.Request) -> tuple[int, int]:
    return int(request.query.get("offset", 0)), int(request.query.get("limit", 100))
