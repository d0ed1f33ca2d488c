"""What the service is strict about: the page's headers, and the body of a question (`upstreams/claude-web.md` 1.6)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ..plan import Page
from .refusals import error
from .settings import Settings

ROOT = "00000000-0000-4000-8000-000000000000"
LOCALES = ["en-US", "de-DE", "fr-FR", "ko-KR", "ja-JP", "es-419", "es-ES", "it-IT", "hi-IN", "pt-BR", "id-ID"]


class Uuids(msgspec.Struct, forbid_unknown_fields=True):
    human_message_uuid: str
    assistant_message_uuid: str


class Style(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    key: str
    name: str
    nameKey: str  # noqa: N815 - the service's own
    prompt: str
    summary: str
    summaryKey: str  # noqa: N815
    isDefault: bool  # noqa: N815


class Attachment(msgspec.Struct, forbid_unknown_fields=True):
    file_name: str
    file_type: str
    file_size: int
    extracted_content: str


class Creation(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    model: str
    include_conversation_preferences: bool = False
    paprika_mode: Literal["extended"] | None = None
    compass_mode: str | None = None
    tool_search_mode: str = "auto"
    is_temporary: bool = False
    enabled_imagine: bool = False


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a completion."""

    prompt: str
    timezone: str
    locale: str
    model: str
    rendering_mode: Literal["messages"]
    turn_message_uuids: Uuids
    tools: list[dict[str, Any]]
    attachments: list[Attachment]
    files: list[str]
    sync_sources: list[Any]
    personalized_styles: list[Style] = []
    parent_message_uuid: str = ROOT
    effort: Literal["low", "medium", "high"] = "low"
    thinking_mode: Literal["off", "auto", "extended"] = "off"
    completion_request_id: str | None = None
    create_conversation_params: Creation | None = None


def read(content: bytes, settings: Settings) -> Question | Page:
    """The question, or what is wrong with it."""
    try:
        asked = msgspec.json.decode(content, type=Question)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        return _wrong(f"{problem}")
    if asked.model not in settings.models:
        return _wrong("Invalid model")
    made = asked.create_conversation_params
    if made is not None and made.model != asked.model:
        return _wrong("create_conversation_params.model: must be the same")
    if asked.locale not in LOCALES:
        return _wrong(f"locale: Input should be one of {LOCALES}")
    if len(asked.personalized_styles) > 1:
        return _wrong("personalized_styles: at most one")
    if not asked.prompt:
        return _wrong("prompt: must not be empty")
    if sum(map(len, [asked.prompt, *(file.extracted_content for file in asked.attachments)])) > settings.longest_prompt:
        return _wrong("prompt is too long")
    if any(file.file_size != len(file.extracted_content.encode()) for file in asked.attachments):
        return _wrong("attachments: file_size is not the size of the content")
    named = asked.turn_message_uuids
    for name in (named.human_message_uuid, named.assistant_message_uuid, asked.completion_request_id):
        if name is not None and not is_uuid(name):
            return _wrong("uuid: Input should be a valid UUID, version 4")
    return asked


def is_uuid(text: str) -> bool:
    """Whether this is a UUID of version 4, as a browser writes it."""
    try:
        told = uuid.UUID(text)
    except ValueError:
        return False
    return told.version == 4 and str(told) == text


def stranger(method: str, headers: Mapping[str, str], base: str, *, asking: bool, body: bool) -> Page | None:
    """What is wrong with the headers, if they are not the page's own."""
    missing = []
    if headers.get("anthropic-client-platform") != "web_claude_ai":
        missing.append("anthropic-client-platform")
    if not is_uuid(headers.get("anthropic-device-id", "")):
        missing.append("anthropic-device-id")
    if not headers.get("user-agent", "").startswith("Mozilla/5.0 ("):
        missing.append("user-agent")
    if not headers.get("referer", "").startswith(base):
        missing.append("referer")
    if method != "GET" and headers.get("origin") != base:
        missing.append("origin")
    if asking and headers.get("accept") != "text/event-stream":
        missing.append("accept")
    if body and headers.get("content-type") != "application/json":
        missing.append("content-type")
    return error(403, "permission_error", f"Request not allowed: {', '.join(missing)}") if missing else None


def _wrong(message: str) -> Page:
    return error(400, "invalid_request_error", message)
