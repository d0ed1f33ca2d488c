"""What the platform refuses in a request (`upstreams/zhipu.md` sections 2.1, 2.5 and 5)."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from .errors import Refused
from .settings import Settings

Body = dict[str, Any]

FIELDS = {"model", "messages", "request_id", "user_id", "do_sample", "stream", "tool_stream", "temperature", "top_p",
          "max_tokens", "stop", "tools", "tool_choice", "response_format", "thinking", "reasoning_effort", "seed",
          "sensitive_word_check", "meta", "watermark_enabled", "extra"}  # fmt: skip
MESSAGE_FIELDS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls", "reasoning_content"},
    "tool": {"role", "content", "tool_call_id"},
}
V3_FIELDS = {"prompt", "temperature", "top_p", "request_id", "incremental", "return_type", "ref", "meta"}


def parse(content: bytes) -> Body:
    """The body; explicit nulls are as good as nothing. Raises Refused."""
    try:
        body = json.loads(content)
    except ValueError:
        raise Refused("1210") from None
    if not isinstance(body, dict):
        raise Refused("1210")
    return {name: value for name, value in body.items() if value is not None}


def _need(right: bool, what: str, code: str = "1214") -> None:
    if not right:
        raise Refused(code, says=f"{what} 参数非法。请检查文档。" if code == "1214" else f"{what}: {code}")


def check(body: Body, settings: Settings) -> None:
    """Raises Refused for the first thing that the platform does not take."""
    for name in ("model", "messages"):
        _need(name in body, name, "1213")
    model = body["model"]
    _need(model in settings.models, "model", "1211")
    for name in body.keys() - FIELDS:
        _need(False, name, "1210")
    classic = model in settings.classic_models
    if classic:
        for name in ("thinking", "seed", "tool_stream"):
            _need(name not in body, name, "1210")
    _need("reasoning_effort" not in body or model in settings.effort_models, "reasoning_effort", "1210")
    _sampling(body, classic=classic)
    _plain(body)
    _tools(body)
    _messages(body["messages"], model, settings)


def _sampling(body: Body, *, classic: bool) -> None:
    temperature, top_p = body.get("temperature", 0.5), body.get("top_p", 0.5)
    if classic:
        _need(_number(temperature) and 0 < temperature < 1, "temperature")
        _need(_number(top_p) and 0 < top_p < 1, "top_p")
    else:
        _need(_number(temperature) and 0 <= temperature <= 1, "temperature")
        _need(_number(top_p) and 0.01 <= top_p <= 1, "top_p")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(body: Body) -> None:
    limit = body.get("max_tokens", 1)
    _need(isinstance(limit, int) and limit > 0, "max_tokens")
    stop = body.get("stop", [])
    _need(isinstance(stop, list) and len(stop) <= 1 and all(isinstance(one, str) and one for one in stop), "stop")
    _need(isinstance(body.get("seed", 0), int), "seed")
    _need(isinstance(body.get("stream", False), bool), "stream")
    for name, low, high in (("request_id", 6, 64), ("user_id", 6, 128)):
        value = body.get(name, "x" * low)
        _need(isinstance(value, str) and low <= len(value) <= high, name)
    wanted = body.get("response_format", {"type": "text"})
    _need(isinstance(wanted, dict) and wanted.get("type") in ("text", "json_object"), "response_format")
    thinking = body.get("thinking", {"type": "enabled"})
    _need(isinstance(thinking, dict) and thinking.get("type") in ("enabled", "disabled"), "thinking")


def _tools(body: Body) -> None:
    tools = body.get("tools", [])
    _need(isinstance(tools, list) and len(tools) <= 128, "tools")
    _need("tools" not in body or bool(tools), "tools")
    _need(body.get("tool_choice", "auto") == "auto", "tool_choice")
    for tool in tools:
        _need(isinstance(tool, dict) and tool.get("type") in ("function", "web_search", "retrieval", "mcp"), "tools")
        if tool["type"] == "function":
            function = tool.get("function")
            _need(isinstance(function, dict) and isinstance(function.get("name"), str), "tools.function")
            _need(isinstance(function.get("parameters"), dict), "tools.function.parameters", "1213")
            _need(function.keys() <= {"name", "description", "parameters"}, "tools.function", "1210")


def _messages(messages: Any, model: str, settings: Settings) -> None:
    _need(isinstance(messages, list) and bool(messages), "messages")
    open_ids: list[str] = []
    for message in messages:
        _need(isinstance(message, dict), "messages")
        told = {name: value for name, value in message.items() if value is not None}
        role = told.get("role")
        _need(role in MESSAGE_FIELDS, "messages.role")
        _need(told.keys() <= MESSAGE_FIELDS[str(role)], "messages", "1210")
        _content(told, model, settings)
        if role == "tool":
            _need(told.get("tool_call_id") in open_ids, "messages.tool_call_id")
        calls = told.get("tool_calls", [])
        _need(isinstance(calls, list) and ("tool_calls" not in told or bool(calls)), "messages.tool_calls")
        for call in calls:
            function = call.get("function", {})
            right = isinstance(call.get("id"), str) and isinstance(function.get("arguments"), str)
            _need(right and call.get("type") == "function" and isinstance(function.get("name"), str), "tool_calls")
            open_ids.append(call["id"])
    _need(any(message["role"] == "user" for message in messages), "messages")
    if model == "glm-4v":
        _need(all(message["role"] != "system" for message in messages), "messages.role")
        parts = [
            part for message in messages if isinstance(message.get("content"), list) for part in message["content"]
        ]
        _need(sum(part.get("type") == "image_url" for part in parts) <= 1, "messages.content")


def _content(message: Body, model: str, settings: Settings) -> None:
    content = message.get("content")
    if message["role"] != "user" or model not in settings.vision_models:
        silent = content is None and "tool_calls" in message
        _need(isinstance(content, str) or silent, "messages.content")
        return
    _need(isinstance(content, str) or (isinstance(content, list) and bool(content)), "messages.content")
    for part in content if isinstance(content, list) else ():
        match part:
            case {"type": "text", "text": str()}:
                pass
            case {"type": "image_url", "image_url": {"url": str() as url}}:
                _need(_is_image(url) and part["image_url"].keys() == {"url"}, "messages.content.image_url")
            case {"type": "video_url" | "file_url"}:
                pass
            case {"type": "input_audio", "input_audio": {"data": str(), "format": str()}}:
                pass
            case _:
                _need(False, "messages.content")


def _is_image(url: str) -> bool:
    if url.startswith(("https://", "http://")):
        return True
    content = url.partition(";base64,")[2] if url.startswith("data:image/") else url
    try:
        return bool(base64.b64decode(content, validate=True))
    except (binascii.Error, ValueError):
        return False


def check_v3(body: Body) -> None:
    """Raises Refused for the first thing that the old platform does not take."""
    _need("prompt" in body, "prompt", "1213")
    for name in body.keys() - V3_FIELDS:
        _need(False, name, "1210")
    for name in ("temperature", "top_p"):
        _need(_number(body.get(name, 0.5)) and 0 < body.get(name, 0.5) < 1, name)
    prompt = body["prompt"]
    _need(isinstance(prompt, list) and len(prompt) % 2 == 1, "prompt")
    for place, turn in enumerate(prompt):
        _need(isinstance(turn, dict) and turn.keys() == {"role", "content"}, "prompt")
        _need(turn["role"] == ("assistant" if place % 2 else "user"), "prompt.role")
        _need(isinstance(turn["content"], str) and bool(turn["content"]), "prompt.content")
