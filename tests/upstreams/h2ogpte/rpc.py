"""Doors A and B: calls written as JSON arrays, `["method", argument, ...]`."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.upstreams.h2ogpte import faults
from tests.upstreams.h2ogpte.accounts import Account, Refused
from tests.upstreams.h2ogpte.chats import Chat
from tests.upstreams.h2ogpte.templates import FIELDS
from tests.upstreams.h2ogpte.world import World

DELETE_JOB = "crawl_quick.DeleteChatSessionsJob"


class Rpc:
    """/rpc/db, /rpc/job, /rpc/meta, /rpc/lang and /rpc/health."""

    def __init__(self, world: World):
        self._world = world
        self._db: dict[str, Callable[..., Any]] = {
            "create_chat_session": self._create,
            "get_chat_session": self._get,
            "list_chat_messages_full": self._messages,
            "list_chat_messages": self._messages,
            "list_recent_chat_sessions": self._recent,
            "count_chat_sessions": self._count,
            "list_chat_message_meta": self._meta_of,
            "list_chat_message_meta_part": self._meta_part,
            "set_chat_session_prompt_template": self._set_template,
            "reset_chat_session_prompt_template": self._reset_template,
            "get_chat_session_prompt_template": self._get_template,
            "get_prompt_template": self._template,
            "create_prompt_template": self._make_template,
            "list_recent_prompt_templates": self._templates,
            "delete_prompt_templates": self._delete_templates,
            "delete_chat_sessions": self._delete_now,
            "delete_chat_messages": self._delete_messages,
            "rename_chat_session": self._rename,
            "get_llm_usage_24h_with_limits": self._usage,
        }

    def routes(self) -> list[web.RouteDef]:
        """Where the calls go."""
        return [
            web.post("/rpc/db", self.db),
            web.post("/rpc/job", self.job),
            web.post("/rpc/lang", self.lang),
            web.get("/rpc/meta", self.meta),
            web.get("/rpc/health/readiness", self.health),
            web.get("/rpc/health/liveness", self.health),
        ]

    async def db(self, request: web.Request) -> web.Response:
        """A call that is answered at once."""
        account = await self._admit(request)
        method, *arguments = _array(await request.read())
        call = self._db.get(method)
        if call is None:
            raise Refused(400, f"unknown method: {method}")
        if self._world.settings.guest_quota_as == "rpc_429" and self._world.accounts.quota_gone(account):
            raise Refused(429, "Guest usage quota exceeded")
        try:
            inspect.signature(call).bind(account, *arguments)
        except TypeError as error:
            raise Refused(400, f"{method}: {error}") from error
        result = call(account, *arguments)
        return web.json_response(await result if asyncio.iscoroutine(result) else result)

    async def job(self, request: web.Request) -> web.Response:
        """A call that starts something, or asks how it is going."""
        account = await self._admit(request)
        method, params, *rest = _array(await request.read(), least=2)
        if len(rest) > 1 or not isinstance(params, dict) or not isinstance(method, str):
            raise Refused(400, "expected [method, params] or [method, params, request id]")
        if method == ".Get":
            job = self._world.chats.job(params.get("job_id"), account)
            return web.json_response([job.shown()] if job else [])
        if method == ".List":
            return web.json_response([job.shown() for job in self._world.chats.jobs_of(account)])
        if method.removeprefix("q:") != DELETE_JOB:
            raise Refused(400, f"unknown job: {method}")
        chat_ids = params.get("chat_session_ids")
        if not isinstance(chat_ids, list) or not all(isinstance(chat_id, str) for chat_id in chat_ids):
            raise Refused(400, "chat_session_ids must be a list of strings")
        settings = self._world.settings
        mode = settings.delete_mode
        fault = self._world.fault("rpc/job/DeleteChatSessionsJob", account, faults.DELETE)
        if fault is not None and fault.name == "delete_refused":
            return web.json_response({"id": "", "error": fault.params.get("error", "job queue is not available")})
        if fault is not None:
            mode = "fails" if fault.name == "delete_fails" else "hangs"
        job = self._world.chats.delete(account, chat_ids, settings.delete_delay, mode)
        return web.json_response({"id": job.id, "error": ""})

    async def lang(self, request: web.Request) -> web.Response:
        """Questions about models, and the stateless question of old clients."""
        account = await self._admit(request)
        try:
            call = json.loads(await request.read())
            method, params = call["method"], call.get("params") or {}
        except (ValueError, TypeError, LookupError) as error:
            raise Refused(400, "expected {method, params}") from error
        models = self._world.settings.models
        match method:
            case "get_llms":
                result: Any = [{"base_model": name, "display_name": name, "max_seq_len": 128000} for name in models]
            case "get_llm_names":
                result = models
            case "get_vision_capable_llm_names":
                result = models[:1]
            case "get_llm_and_auto_vision_llm_names":
                result = dict.fromkeys(models, models[0])
            case "get_default_prompt_template":
                result = self._world.templates.default()
            case "answer_question_using_context":
                result = self._answer(account, params)
            case _:
                raise Refused(400, f"unknown method: {method}")
        return web.json_response({"result": result})

    async def meta(self, request: web.Request) -> web.Response:
        """Who am I, and what is this server?"""
        account = self._world.accounts.admit(request, csrf=False)
        return web.json_response(
            {
                "version": f"v{self._world.settings.version}",
                "build": "stand-in",
                "username": account.username,
                "user_id": account.user_id,
                "subject": account.user_id,
                "email": f"{account.user_id}@example.org",
                "is_guest": account.is_guest,
                "license_expired": False,
                "license_expiry_date": "2099-12-31",
                "global_configs": [],
                "user_configs": [],
                "picture": None,
                "groups": None,
                "workspaces": [account.workspace],
                "permissions": [],
                "ui_config": {
                    **dict.fromkeys(("logo", "chat_logo", "primary_color", "chat_name", "greeting"), ""),
                    **dict.fromkeys(("show_private_button", "show_workers_status", "show_live_logs"), False),
                    **dict.fromkeys(("show_eval", "show_extractors", "public_mode"), False),
                },
            }
        )

    async def health(self, _: web.Request) -> web.Response:
        """Alive and ready."""
        return web.json_response({"status": "ok"})

    async def _admit(self, request: web.Request) -> Account:
        account = self._world.accounts.admit(request, csrf=True)
        await asyncio.sleep(self._world.settings.rpc_delay)
        return account

    def _create(self, account: Account, collection: str | None = None, workspace: str | None = None) -> Any:
        fault = self._world.fault("rpc/db/create_chat_session", account, faults.CREATE)
        if fault is not None and fault.name == "create_error":
            return {"error": fault.params.get("error", "could not create chat session")}
        if fault is not None and fault.name == "create_no_id":
            return {}
        chat = self._world.chats.create(account, workspace, collection)
        return chat.id if fault is not None else {"id": chat.id}

    def _get(self, account: Account, chat_id: str) -> Any:
        return self._world.chats.find(chat_id, account).shown()

    def _messages(self, account: Account, chat_id: str, offset: int, limit: int) -> Any:
        return self._world.chats.find(chat_id, account).newest_first(offset, limit)

    def _recent(self, account: Account, offset: int, limit: int) -> Any:
        return [chat.shown() for chat in self._world.chats.of(account)[offset : offset + limit]]

    def _count(self, account: Account) -> Any:
        return {"chat_session_count": len(self._world.chats.of(account))}

    def _meta_of(self, account: Account, message_id: str) -> Any:
        message = self._world.chats.message(message_id, account)
        return message.meta if message else []

    def _meta_part(self, account: Account, message_id: str, kind: str) -> Any:
        return [part for part in self._meta_of(account, message_id) if part["message_type"] == kind]

    def _set_template(self, account: Account, chat_id: str, template_id: str) -> Any:
        chat: Chat = self._world.chats.find(chat_id, account)
        if account.is_guest:
            raise Refused(400, "prompt templates are not available to guests")
        if self._world.templates.get(template_id) is None:
            return {"error": f"prompt template {template_id} not found"}
        chat.template_id = template_id
        return {"id": chat.id}

    def _reset_template(self, account: Account, chat_id: str) -> Any:
        chat = self._world.chats.find(chat_id, account)
        chat.template_id = None
        return {"id": chat.id}

    def _get_template(self, account: Account, chat_id: str) -> Any:
        try:
            return [{"prompt_template_id": self._world.chats.find(chat_id, account).template_id}]
        except Refused:
            return []

    def _template(self, account: Account, template_id: str) -> Any:
        return [t for t in self._world.templates.visible_to(account) if t["id"] == template_id]

    def _make_template(self, account: Account, name: str, *fields: Any) -> Any:
        template = self._world.templates.make(account, {"name": name, **dict(zip(FIELDS, fields, strict=False))})
        return {"id": template["id"]}

    def _templates(self, account: Account, offset: int, limit: int) -> Any:
        return self._world.templates.visible_to(account)[offset : offset + limit]

    def _delete_templates(self, _: Account, template_ids: list[str]) -> Any:
        self._world.templates.delete(template_ids)
        return {"status": "completed"}

    async def _delete_now(self, account: Account, chat_ids: list[str]) -> Any:
        job = self._world.chats.delete(account, chat_ids, self._world.settings.delete_delay, "works")
        await job.over.wait()
        return {"status": "completed"}

    def _delete_messages(self, account: Account, message_ids: list[str]) -> Any:
        gone = self._world.chats.delete_messages(message_ids, account)
        return {"status": "completed" if gone else "failed"}

    def _rename(self, account: Account, chat_id: str, name: str) -> Any:
        chat = self._world.chats.find(chat_id, account)
        chat.name = name
        return {"id": chat.id}

    def _usage(self, account: Account) -> Any:
        return {
            "current": round(0.0001 * account.questions, 4),
            "max_allowed_24h": 1.0,
            "cost_unit": "USD",
            "interval": "24h",
        }

    def _answer(self, account: Account, params: dict[str, Any]) -> dict[str, Any]:
        llm = params.get("llm")
        if not self._world.knows(llm):
            return {"error": f"unknown model: {llm}"}
        return self._world.answer_question(account, llm, {**params, "question": params["prompt"]})


def _array(body: bytes, least: int = 1) -> list[Any]:
    """The call, or Refused when it is not an array that begins with a method name."""
    try:
        call = json.loads(body)
    except ValueError as error:
        raise Refused(400, "not JSON") from error
    if not isinstance(call, list) or len(call) < least or not isinstance(call[0], str):
        raise Refused(400, "expected a JSON array: method, then arguments")
    return call
