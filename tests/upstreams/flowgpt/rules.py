"""What a request must look like. Each rule returns what is wrong, or an empty text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Check = dict[str, type | tuple[type, ...]]

_COMMON: Check = {
    "model": str,
    "nsfw": bool,
    "question": str,
    "temperature": (int, float),
    "promptId": str,
    "documentIds": list,
    "generateImage": bool,
    "generateAudio": bool,
}
CREATE: tuple[Check, Check] = ({"promptId": str, "location": str, "messages": list}, {})
CHAT: tuple[Check, Check] = (
    {**_COMMON, "userId": str},
    {"conversationId": str, "history": list, "system": str},
)
GUEST: tuple[Check, Check] = ({**_COMMON, "history": list, "system": str, "chatFileDocumentIds": list}, {})

HEADERS = {
    "accept": "*/*",
    "accept-language": "zh-CN,zh;q=0.9,en;q=0.8",
    "content-type": "application/json",
    "origin": "https://flowgpt.com",
    "referer": "https://flowgpt.com/",
    "x-flow-language": "en",
}


def wrong_headers(headers: Mapping[str, str]) -> str:
    """What every call of the site's own page says, and this one does not."""
    for name, value in HEADERS.items():
        if headers.get(name) != value:
            return f"header {name} should be {value}"
    return "" if headers.get("x-flow-device-id") else "header x-flow-device-id is required"


def read_body(content: bytes, shape: tuple[Check, Check]) -> tuple[dict[str, Any], str]:
    """The body, and what is wrong with it."""
    needed, allowed = shape
    try:
        body = json.loads(content)
    except ValueError:
        return {}, "body should be JSON"
    if not isinstance(body, dict):
        return {}, "body should be an object"
    for name, kind in needed.items():
        if name not in body:
            return {}, f"{name} is required"
        if not isinstance(body[name], kind) or (isinstance(body[name], bool) and kind is not bool):
            return {}, f"{name} has a wrong type"
    for name in body.keys() - needed.keys():
        if name not in allowed:
            return {}, f"property {name} should not exist"
        if not isinstance(body[name], allowed[name]):
            return {}, f"{name} has a wrong type"
    return body, wrong_turns(body)


def wrong_turns(body: dict[str, Any]) -> str:
    """What is wrong with the turns that a body tells."""
    for name, roles in (("messages", {"system", "user", "assistant"}), ("history", {"user", "assistant"})):
        for turn in body.get(name, ()):
            if not isinstance(turn, dict) or turn.keys() != {"role", "content"} or turn["role"] not in roles:
                return f"{name} has a turn that is none"
            if not isinstance(turn["content"], str):
                return f"{name} has a turn without words"
    if "question" in body and not body["question"].strip():
        return "question should not be empty"
    if "temperature" in body and not 0 <= body["temperature"] <= 1:
        return "temperature must not be greater than 1"
    return ""
