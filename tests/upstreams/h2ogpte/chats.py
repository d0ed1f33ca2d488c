"""Chat sessions, their messages, and the jobs that delete them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from tests.upstreams.h2ogpte.accounts import Account, Refused


def stamp(at: float) -> str:
    """A time as the service writes it."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


class Message(msgspec.Struct):
    """A question, or with `reply_to` an answer."""

    id: str
    content: str
    reply_to: str | None = None
    meta: list[dict[str, Any]] = []
    llm_args: str | None = None
    error: str | None = None
    at: float = msgspec.field(default_factory=time.time)

    def shown(self, username: str) -> dict[str, Any]:
        """The record of `list_chat_messages_full` and of REST."""
        return {
            "id": self.id,
            "username": None if self.reply_to else username,
            "content": self.content,
            "reply_to": self.reply_to,
            "votes": 0,
            "created_at": stamp(self.at),
            "has_references": False,
            "total_references": 0,
            "collection_id": None,
            "collection_name": None,
            "error": self.error,
            "llm_args": self.llm_args,
            "type_list": self.meta,
        }


class Chat:
    """One chat session and what was said in it, oldest first."""

    def __init__(self, owner: Account, workspace: str, collection_id: str | None):
        self.id = str(uuid.uuid4())
        self.owner = owner
        self.workspace = workspace
        self.collection_id = collection_id
        self.template_id: str | None = None
        self.name: str | None = None
        self.status = "active"
        self.keep_forever = False
        self.expiry_date: str | None = None
        self.messages: list[Message] = []
        self.bodies: Counter[str] = Counter()
        self.created = self.updated = time.time()
        self.delete_asked = 0
        self.deleted = False

    def say(self, message: Message) -> Message:
        """Store a message, once."""
        if all(stored.id != message.id for stored in self.messages):
            self.messages.append(message)
            self.updated = time.time()
        return message

    def history(self) -> list[list[str]]:
        """Question and reply of every turn that got an answer."""
        replies = {m.reply_to: m.content for m in self.messages if m.reply_to}
        return [[m.content, replies[m.id]] for m in self.messages if m.id in replies]

    def newest_first(self, offset: int, limit: int) -> list[dict[str, Any]]:
        """A page of messages, as the service lists them."""
        return [m.shown(self.owner.username) for m in self.messages[::-1][offset : offset + limit]]

    def shown(self) -> dict[str, Any]:
        """The ChatSession object."""
        return {
            "id": self.id,
            "name": self.name,
            "collection_id": self.collection_id,
            "collection_name": None,
            "prompt_template_id": self.template_id,
            "latest_message_content": self.messages[-1].content if self.messages else None,
            "updated_at": stamp(self.updated),
            "workspace": self.workspace,
            "status": self.status,
            "expiry_date": self.expiry_date,
            "inactivity_interval": None if self.keep_forever else 90,
            "keep_forever": self.keep_forever,
            "username": self.owner.username,
            "archived_at": stamp(self.updated) if self.status == "archived" else None,
            "source": "user",
        }


class Job:
    """A deletion that goes on after its request was answered."""

    def __init__(self, owner: Account, chat_ids: list[str]):
        self.id = f"job-{uuid.uuid4()}"
        self.owner = owner
        self.statuses = dict.fromkeys(chat_ids, "running")
        self.errors: list[str] = []
        self.state = "in progress"  # in progress, completed, failed
        self.born = self.changed = time.time()
        self.over = asyncio.Event()

    def shown(self) -> dict[str, Any]:
        """The job as both doors show it: `.Get` of the RPC and GET /jobs/{id} read different fields."""
        done = self.state == "completed"
        failed = self.state == "failed"
        seconds = round(self.changed - self.born, 3)
        return {
            "id": self.id,
            "name": "Deleting Chat Sessions",
            "passed": float(done),
            "failed": float(failed),
            "passed_percentage": float(done),
            "failed_percentage": float(failed),
            "progress": float(done or failed),
            "completed": done or failed,
            "canceled": False,
            "overall_status": self.state,
            "status": self.state,
            "date": stamp(self.born),
            "created_at": stamp(self.born),
            "last_update_date": stamp(self.changed),
            "updated_at": stamp(self.changed),
            "kind": "DeleteChatSessionsJob",
            "statuses": [{"id": chat_id, "status": status} for chat_id, status in self.statuses.items()],
            "errors": self.errors,
            "duration": f"{seconds}s",
            "duration_seconds": seconds,
            "start_time": self.born,
        }


class Chats:
    """All sessions and jobs; `note` writes what happens into the stand-in's log."""

    def __init__(self, note: Callable[..., None]):
        self._note = note
        self._live: dict[str, Chat] = {}
        self._gone: set[str] = set()
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.questions: Counter[str] = Counter()

    def create(self, owner: Account, workspace: str | None, collection_id: str | None) -> Chat:
        """Open a session, if the account may in that workspace."""
        if not owner.allows(workspace):
            raise Refused(403, f"User is not permitted to use workspace {workspace}")
        chat = Chat(owner, workspace or owner.workspace, collection_id)
        self._live[chat.id] = chat
        owner.created += 1
        self._note("session_created", session=chat.id, credential=owner.username)
        return chat

    def find(self, chat_id: Any, account: Account) -> Chat:
        """The account's session of that id, or Refused 404; somebody else's is noted."""
        chat = self._live.get(chat_id) if isinstance(chat_id, str) else None
        if chat is None:
            what = "deleted_session_use" if chat_id in self._gone else "unknown_session_use"
            self._note(what, session=chat_id, credential=account.username)
            raise Refused(404, f"Chat session {chat_id} not found")
        if chat.owner is not account:
            self._note("cross_credential_use", session=chat_id, owner=chat.owner.username, credential=account.username)
            raise Refused(404, f"Chat session {chat_id} not found")
        return chat

    def of(self, account: Account) -> list[Chat]:
        """The account's live sessions, the last used first."""
        return sorted((c for c in self._live.values() if c.owner is account), key=lambda c: -c.updated)

    def message(self, message_id: str, account: Account) -> Message | None:
        """One of the account's messages."""
        return next((m for chat in self.of(account) for m in chat.messages if m.id == message_id), None)

    def delete_messages(self, message_ids: list[str], account: Account) -> int:
        """Forget these messages of the account's; how many there were."""
        before = sum(len(chat.messages) for chat in self.of(account))
        for chat in self.of(account):
            chat.messages = [m for m in chat.messages if m.id not in message_ids]
        return before - sum(len(chat.messages) for chat in self.of(account))

    def asked(self, chat: Chat, body: str, correlation_id: str | None) -> bool:
        """Count a question; True if the same one was put to this session before."""
        self.questions[chat.id] += 1
        chat.owner.questions += 1
        again = chat.bodies[body] > 0 or (correlation_id is not None and chat.bodies[f"\0{correlation_id}"] > 0)
        chat.bodies[body] += 1
        if correlation_id is not None:
            chat.bodies[f"\0{correlation_id}"] += 1
        return again

    def job(self, job_id: Any, account: Account) -> Job | None:
        """One of the account's jobs."""
        job = self._jobs.get(job_id) if isinstance(job_id, str) else None
        return job if job is not None and job.owner is account else None

    def jobs_of(self, account: Account) -> list[Job]:
        """All jobs of the account."""
        return [job for job in self._jobs.values() if job.owner is account]

    def delete(self, owner: Account, chat_ids: list[str], delay: float, mode: str) -> Job:
        """Start a job that really deletes after a while; or fails, or never ends."""
        job = self._jobs.setdefault((made := Job(owner, chat_ids)).id, made)
        for chat_id in chat_ids:
            if (chat := self._live.get(chat_id)) is not None and chat.owner is owner:
                chat.delete_asked += 1
        task = asyncio.get_running_loop().create_task(self._run(job, delay, mode))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def close(self) -> None:
        """Drop all jobs that are under way."""
        for task in self._tasks:
            task.cancel()

    async def _run(self, job: Job, delay: float, mode: str) -> None:
        await asyncio.sleep(delay)
        if mode == "hangs":
            return
        for chat_id in job.statuses:
            chat = self._live.get(chat_id)
            if mode == "fails":
                job.statuses[chat_id] = "failed"
                job.errors.append(f"could not delete chat session {chat_id}")
            elif chat is None or chat.owner is not job.owner:
                job.statuses[chat_id] = "not found"
                what = "delete_of_deleted" if chat_id in self._gone else "delete_of_unknown"
                if chat is not None:
                    what = "cross_credential_use"
                self._note(what, session=chat_id, credential=job.owner.username)
            else:
                job.statuses[chat_id] = "deleted"
                self._forget(chat)
        job.state = "failed" if mode == "fails" else "completed"
        job.changed = time.time()
        job.over.set()

    def _forget(self, chat: Chat) -> None:
        del self._live[chat.id]
        chat.deleted = True
        self._gone.add(chat.id)
        chat.owner.deleted += 1
        self._note("session_deleted", session=chat.id, credential=chat.owner.username)

    def stats(self) -> dict[str, Any]:
        """How many sessions came, went and stayed, and who asked how much in them."""
        never = [
            {
                "session": chat.id,
                "credential": chat.owner.username,
                "age": round(time.time() - chat.created, 3),
                "questions": self.questions[chat.id],
                "delete_asked": chat.delete_asked,
            }
            for chat in self._live.values()
        ]
        return {
            "sessions": {
                "created": len(self._live) + len(self._gone),
                "deleted": len(self._gone),
                "live": len(self._live),
            },
            "never_deleted": never,
            "questions_per_session": dict(self.questions),
            "max_questions_per_session": max(self.questions.values(), default=0),
            "jobs": dict(Counter(job.state for job in self._jobs.values())),
        }
