"""Conversations: who made which, what was said in them, and whether their answer is finished."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import msgspec


class Message(msgspec.Struct):
    """One message of a conversation."""

    uuid: str
    sender: str
    text: str
    parent: str
    stop_reason: str | None = None

    def told(self) -> dict[str, Any]:
        """As the service tells it."""
        return {
            "uuid": self.uuid,
            "sender": self.sender,
            "text": "",
            "content": [{"type": "text", "text": self.text, "citations": []}],
            "parent_message_uuid": self.parent,
            "stop_reason": self.stop_reason,
        }


class Conversation(msgspec.Struct):
    """One conversation."""

    uuid: str
    account: str
    temporary: bool
    name: str = ""
    messages: list[Message] = []
    ready_at: float = 0.0
    """When its answer is finished, on `time.time()`."""
    lost: bool = False
    """Its answer failed."""

    @property
    def pending(self) -> bool:
        """Whether its answer is still being written."""
        return time.time() < self.ready_at

    def status(self) -> dict[str, Any]:
        """As `completion_status` tells it."""
        error = {"error_code": "internal", "error_detail": "lost"} if self.lost else {}
        told = {"is_pending": self.pending, "is_error": self.lost, "error_code": None, "error_detail": None}
        return told | error

    def told(self, *, whole: bool) -> dict[str, Any]:
        """As the service tells it, with its messages or without."""
        moment = "2026-01-01T00:00:00.000000+00:00"
        facts = {"uuid": self.uuid, "name": self.name, "summary": "", "created_at": moment, "updated_at": moment}
        if not whole:
            return facts
        hidden = self.pending or self.lost
        seen = [message for message in self.messages if not (hidden and message.sender == "assistant")]
        leaf = seen[-1].uuid if seen else None
        return {**facts, "chat_messages": [m.told() for m in seen], "current_leaf_message_uuid": leaf}


class Conversations:
    """All of them, of every account."""

    def __init__(self) -> None:
        self._all: dict[str, Conversation] = {}
        self._created: Counter[str] = Counter()
        self._deleted: Counter[str] = Counter()

    def forget(self) -> None:
        """There never was any."""
        self.__init__()  # type: ignore[misc]  # everything as new

    def make(self, uuid: str, account: str, *, temporary: bool, name: str = "") -> Conversation:
        """A new one."""
        made = self._all[uuid] = Conversation(uuid, account, temporary, name)
        self._created[account] += 1
        return made

    def find(self, uuid: str, account: str) -> Conversation | None:
        """The account's own conversation of this uuid."""
        found = self._all.get(uuid)
        return found if found and found.account == account else None

    def delete(self, uuid: str, account: str) -> bool:
        """Whether it was there."""
        if self.find(uuid, account) is None:
            return False
        del self._all[uuid]
        self._deleted[account] += 1
        return True

    def listed(self, account: str) -> list[dict[str, Any]]:
        """What the account sees in its list: nothing temporary; the newest first."""
        own = [one for one in self._all.values() if one.account == account and not one.temporary]
        return [one.told(whole=False) for one in reversed(own)]

    def stats(self) -> dict[str, Any]:
        """Per account."""
        names = sorted({*self._created, *self._deleted})
        return {
            "conversations": {
                name: {
                    "created": self._created[name],
                    "deleted": self._deleted[name],
                    "live": [one.uuid for one in self._all.values() if one.account == name],
                }
                for name in names
            }
        }
