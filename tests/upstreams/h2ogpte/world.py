"""What one process of the stand-in remembers between requests, and what it tells about it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Container
from typing import Any

from aiohttp import web

from tests.upstreams.h2ogpte import faults, settings
from tests.upstreams.h2ogpte.accounts import Account, Accounts
from tests.upstreams.h2ogpte.chats import Chat, Chats, Message
from tests.upstreams.h2ogpte.model import Answer, Asked, answer
from tests.upstreams.h2ogpte.templates import Templates
from tests.upstreams.stage import Fault, Stage


class Running:
    """An answer on its way; `stopped` is how REST tells the socket to end it."""

    def __init__(self, account: Account, chat: Chat):
        self.account = account
        self.chat = chat
        self.stopped = asyncio.Event()


class World:
    """The one object that every door is given."""

    def __init__(self) -> None:
        self.stage = Stage(self.forget, self._stats, self._set, faults.ALL)
        self.sockets: set[Any] = set()
        self._chats: Chats | None = None
        self.forget()

    def forget(self) -> None:
        """Begin anew: no guest, no session, default settings."""
        if self._chats is not None:
            self._chats.close()
        self.settings = settings.Settings()
        self._offset = 0.0
        self.accounts = Accounts(lambda: self.settings, self.now, self.stage.note)
        self.chats = self._chats = Chats(self.stage.note)
        self.templates = Templates()
        self.running: dict[str, Running] = {}
        self.sockets_max = len(self.sockets)
        self.client_versions: Counter[str] = Counter()
        self.accounts.settle()

    def now(self) -> float:
        """The clock that credentials age by."""
        return time.monotonic() + self._offset

    def fault(self, route: str, account: Account | None, among: Container[str]) -> Fault | None:
        """The next fault of one family that is meant for this request."""
        return self.stage.fault(route, account.username if account else None, among)

    def knows(self, llm: str | int | None) -> bool:
        """Whether a model goes by this name or number."""
        if isinstance(llm, int):
            return 0 <= llm < len(self.settings.models)
        return llm in (None, "auto") or llm in self.settings.models

    def answer(self, asked: Asked) -> Answer:
        """What the model says."""
        return answer(asked, self.settings.models, self.settings.max_new_tokens, self.settings.reply)

    def ask(self, chat: Chat, asked: Asked, llm_args: str, correlation_id: str | None = None) -> Message:
        """Take a question into the session: counted, noted, stored by whoever asks."""
        question = Message(str(uuid.uuid4()), asked.body, llm_args=llm_args)
        if self.chats.asked(chat, asked.body, correlation_id):
            self.stage.counts["duplicate_questions"] += 1
        self.stage.note(
            "question",
            door=asked.door,
            credential=chat.owner.username,
            session=chat.id,
            question=question.id,
            body=asked.body[:200],
            llm=asked.llm,
        )
        return question

    def answer_question(self, account: Account, llm: str | int | None, params: dict[str, Any]) -> dict[str, Any]:
        """The stateless question, the same over RPC and REST: the whole conversation comes along."""
        asked = Asked(
            door="answer_question",
            body=params["question"],
            system_prompt=params.get("system_prompt"),
            llm=llm,
            llm_args=params.get("llm_args") or {},
            rag_config=None,
            include_chat_history=None,
            history=[list(pair) for pair in params.get("chat_conversation") or []],
        )
        account.questions += 1
        self.stage.note("question", door=asked.door, credential=account.username, body=asked.body[:200], llm=llm)
        said = self.answer(asked)
        return {
            "content": said.text,
            "error": "",
            "prompt_raw": f"{asked.system_prompt or ''}\n{asked.body}",
            "llm": said.llm,
            "input_tokens": said.input_tokens,
            "output_tokens": said.output_tokens,
            "origin": "stand-in",
        }

    def system_prompt(self, chat: Chat, given: str | None) -> str | None:
        """What is given counts; else that of the session's template."""
        template = self.templates.get(chat.template_id)
        return template["system_prompt"] if given is None and template else given

    def controls(self) -> list[web.RouteDef]:
        """The control calls that only this stand-in has."""
        return [web.post("/__emu__/advance", self._advance), web.post("/__emu__/expire", self._expire)]

    async def _advance(self, request: web.Request) -> web.Response:
        self._offset += (await request.json())["seconds"]
        return web.json_response({"offset": self._offset})

    async def _expire(self, request: web.Request) -> web.Response:
        wish = await request.json()
        return web.json_response({"expired": self.accounts.expire(wish.get("credential"), wish.get("what", "cookie"))})

    def _set(self, values: dict[str, Any]) -> None:
        self.settings = settings.read(values)
        self.accounts.settle()

    def _stats(self) -> dict[str, Any]:
        counts = self.stage.counts
        named = (
            "guests_issued renewals csrf_mismatches expired_calls cross_credential_use deleted_session_use "
            "unknown_session_use session_mismatch duplicate_questions stop_calls invalid_questions malformed_requests"
        )
        return {
            **{name: counts[name] for name in named.split()},
            **self.chats.stats(),
            "credentials": {
                account.username: {
                    "kind": account.kind,
                    "user_id": account.user_id,
                    "expired": account.expired,
                    "renewals": account.renewals,
                    "calls": account.calls,
                    "questions": account.questions,
                    "created": account.created,
                    "deleted": account.deleted,
                    "live": account.created - account.deleted,
                }
                for account in self.accounts.all.values()
            },
            "sockets": {"now": len(self.sockets), "max": self.sockets_max},
            "answering": len(self.running),
            "client_versions": dict(self.client_versions),
        }
