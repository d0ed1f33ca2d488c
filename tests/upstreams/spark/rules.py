"""What the service refuses, by the codes of its page."""

from __future__ import annotations

import base64
import binascii
import re
from itertools import pairwise
from typing import Any

from .settings import Application, Settings
from .versions import HTTP_BOUNDS, HTTP_MODELS, Version

Body = dict[str, Any]
_HEADER = {"app_id", "uid", "patch_id"}
_CHAT = {"domain", "temperature", "top_k", "max_tokens", "auditing", "chat_id", "tools"}
_REASONING = {"top_p", "presence_penalty", "frequency_penalty"}
_HTTP = {
    "model", "messages", "user", "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "stream",
    "max_tokens", "response_format", "tools", "tool_choice", "tool_calls_switch", "suppress_plugin", "thinking",
}  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9_]{1,32}")


class Refused(Exception):
    """A question that is not answered."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


def check_frame(frame: Any, version: Version, application: Application, settings: Settings) -> None:
    """Raise Refused for a question that the service would not answer."""
    if not isinstance(frame, dict):
        raise Refused(10003, "invalid message format")
    try:
        header, chat, payload = frame["header"], frame["parameter"]["chat"], frame["payload"]
        app_id, domain, texts = header["app_id"], chat["domain"], payload["message"]["text"]
    except (KeyError, TypeError) as missing:
        raise Refused(10004, f"schema error: {missing} is missing") from None
    if app_id != application.app_id:
        raise Refused(11200, "AppIdNoAuthError: app id and api key do not match")
    if application.locked:
        raise Refused(10015, "app id is in the blacklist")
    if domain not in version.domains:
        raise Refused(10404, f"domain {domain} mismatch (code=10404)")
    if application.domains is not None and domain not in application.domains:
        raise Refused(11200, "AppIdNoAuthError: licc failed")
    if not settings.strict:
        return
    _check_header(header)
    _check_chat(chat, version)
    _check_texts(texts, version)
    functions = payload.get("functions")
    if functions is not None:
        if not version.functions:
            raise Refused(10016, "function call is not opened for this version")
        _check_functions(functions)
    if payload.keys() - {"message", "functions"}:
        raise Refused(10004, "schema error: payload")


def _check_header(header: Body) -> None:
    uid = header.get("uid", "u")
    if not isinstance(uid, str) or not 0 < len(uid) <= 32:
        raise Refused(10005, "uid must have at most 32 characters")
    patch = header.get("patch_id", ["p"])
    if not isinstance(patch, list) or header.keys() - _HEADER:
        raise Refused(10004, "schema error: header")


def _check_chat(chat: Body, version: Version) -> None:
    if slips := chat.keys() - _CHAT - (_REASONING if version.reasons else set()):
        raise Refused(10004, f"schema error: parameter.chat.{min(slips)}")
    _check_number(chat, "temperature", 0, version.most_temperature, above=True)
    _check_number(chat, "top_k", 1, 6, whole=True)
    _check_number(chat, "max_tokens", 1, version.most_tokens, whole=True)
    _check_number(chat, "top_p", 0, 1, above=True)
    _check_penalties(chat)
    if "tools" in chat:
        if not version.search:
            raise Refused(10005, "tools are not supported by this version")
        for tool in chat["tools"]:
            if tool.get("type") != "web_search" or not isinstance(tool.get("web_search"), dict):
                raise Refused(10004, "schema error: parameter.chat.tools")


def _check_number(
    given: Body, name: str, least: float, most: float, *, above: bool = False, whole: bool = False
) -> None:
    if name not in given:
        return
    value: Any = given[name]
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not right or not (least < value if above else least <= value) or value > most:
        raise Refused(10005, f"{name} must be in {'(' if above else '['}{least}, {most}] (code=10005)")


def _check_penalties(given: Body) -> None:
    for name in ("presence_penalty", "frequency_penalty"):
        _check_number(given, name, -2, 2)


def _check_texts(texts: Any, version: Version) -> None:
    if not isinstance(texts, list) or not texts:
        raise Refused(10004, "schema error: payload.message.text")
    for text in texts:
        wanted = {"role", "content", "content_type"} if version.images else {"role", "content"}
        if not isinstance(text, dict) or text.keys() != wanted:
            raise Refused(10004, "schema error: payload.message.text")
        if not isinstance(text["content"], str) or not text["content"].strip():
            raise Refused(10003, "content must not be empty")
    if version.images:
        _check_image(texts[0])
        texts = texts[1:]
        if any(text["content_type"] != "text" for text in texts):
            raise Refused(10004, "schema error: one image, and it comes first")
    roles = [text["role"] for text in texts]
    if roles and roles[0] == "system":
        if not version.system:
            raise Refused(10004, "schema error: role system is not supported by this version")
        roles = roles[1:]
    if not set(roles) <= {"user", "assistant"} or any(a == b for a, b in pairwise(roles)):
        raise Refused(10004, "schema error: user and assistant must take turns")
    if not roles or roles[-1] != "user":
        raise Refused(10004, "schema error: the last message must be a user's")
    if sum(len(text["content"]) for text in texts) // 4 > version.context:
        raise Refused(10907, "token count exceeds the limit (code=10907)")


def _check_image(text: Body) -> None:
    if text["role"] != "user" or text["content_type"] != "image":
        raise Refused(10004, "schema error: the first message must be the image")
    try:
        size = len(base64.b64decode(text["content"], validate=True))
    except binascii.Error:
        raise Refused(10003, "the image is not base64") from None
    if not 0 < size <= 4 * 2**20:
        raise Refused(10005, "the image must have at most 4 MB")


def _check_functions(functions: Any) -> None:
    texts = functions.get("text") if isinstance(functions, dict) else None
    if not isinstance(texts, list) or not texts:
        raise Refused(10004, "schema error: payload.functions.text")
    for text in texts:
        if not isinstance(text, dict) or text.keys() != {"name", "description", "parameters"}:
            raise Refused(10004, "schema error: payload.functions.text")
        if not isinstance(text["name"], str) or not isinstance(text["parameters"], dict):
            raise Refused(10004, "schema error: payload.functions.text")


# --- HTTP ---------------------------------------------------------------------------------------------------------


def check_body(body: Any, path: str, allowed: list[str] | None, settings: Settings) -> None:
    """Raise Refused for a request that the service would not answer."""
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        raise Refused(10003, "invalid message format")
    model = body.get("model")
    if model not in HTTP_MODELS[path]:
        raise Refused(10404, f"model {model} not found (code=10404)")
    if allowed is not None and model not in allowed:
        raise Refused(11200, "AppIdNoAuthError: no permission for this version")
    if not settings.strict:
        return
    if slips := body.keys() - _HTTP - ({"thinking"} if path.startswith("/v1/") else set()):
        raise Refused(10004, f"schema error: {min(slips)}")
    _check_number(body, "temperature", 0, 2)
    _check_number(body, "top_p", 0, 1, above=True)
    _check_number(body, "top_k", 1, 6, whole=True)
    _check_number(body, "max_tokens", 1, HTTP_BOUNDS.get(model, 8192), whole=True)
    _check_penalties(body)
    if body.get("response_format", {"type": "json_object"}) not in ({"type": "json_object"}, {"type": "text"}):
        raise Refused(10005, "response_format (code=10005)")
    for tool in body.get("tools", ()):
        kind = tool.get("type")
        if kind not in ("function", "web_search") or not isinstance(tool.get(kind), dict):
            raise Refused(10004, "schema error: tools")
        if kind == "function" and not _NAME.fullmatch(tool["function"].get("name", "")):
            raise Refused(10005, "a function's name has 1 to 32 letters, digits or underscores (code=10005)")
    _check_messages(body["messages"])


def _check_messages(messages: list[Body]) -> None:
    before = None
    for message in messages:
        role = message.get("role")
        if role not in ("system", "user", "assistant", "tool"):
            raise Refused(10004, "schema error: role")
        content = message.get("content")
        if not isinstance(content, str) or not (content.strip() or message.get("tool_calls") or role == "tool"):
            raise Refused(10003, "content must not be empty")
        if role == "tool" and not message.get("tool_call_id"):
            raise Refused(10004, "schema error: tool_call_id")
        if role == before != "tool":
            raise Refused(10004, "schema error: two messages of one role")
        before = role
    if before not in ("user", "tool"):
        raise Refused(10004, "schema error: the last message must be a user's")
