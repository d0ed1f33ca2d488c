"""What the service refuses in a request (`upstreams/baidu-qianfan.md` A2, B2, and its traps)."""

from __future__ import annotations

import json
from typing import Any

from .errors import Refused, coded, named
from .settings import Settings

Body = dict[str, Any]

# fmt: off
LEGACY = {"messages", "system", "temperature", "top_p", "penalty_score", "stream", "stop", "max_output_tokens",
          "disable_search", "enable_citation", "response_format", "user_id", "functions", "tool_choice",
          "extra_parameters"}
V2 = {"model", "messages", "stream", "stream_options", "temperature", "top_p", "penalty_score", "max_tokens",
      "max_completion_tokens", "seed", "stop", "frequency_penalty", "presence_penalty", "tools", "tool_choice",
      "parallel_tool_calls", "response_format", "user", "metadata", "web_search", "enable_thinking", "thinking",
      "extra_parameters"}
# fmt: on
V2_ROLES = {"system", "user", "assistant", "tool"}


def parse(content: bytes, *, legacy: bool) -> Body:
    """The body. Raises Refused."""
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise coded(336002) if legacy else named("malformed_json")
    return body


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# --- the legacy API -----------------------------------------------------------------------------------------------


def check_legacy(body: Body, endpoint: str, settings: Settings) -> None:
    """Raises Refused for the first thing that the legacy API does not take."""
    for name in sorted(body.keys() - LEGACY):
        raise coded(336001, says=f"unknown parameter {name}")
    _turns(body.get("messages"))
    _right(isinstance(body.get("system", ""), str), "system")
    ranges: dict[str, tuple[float, float]] = {"temperature": (0, 1), "top_p": (0, 1), "penalty_score": (1, 2)}
    for name, (least, most) in ranges.items():
        value = body.get(name, most)
        _right(_number(value) and least <= value <= most, f"{name} is not in range")
    _right(body.get("temperature", 1) > 0, "temperature must be above 0")
    limit = body.get("max_output_tokens", 2)
    _right(isinstance(limit, int) and limit >= 2, "max_output_tokens must be at least 2")
    stop = body.get("stop", [])
    right = (
        isinstance(stop, list) and len(stop) <= 4 and all(isinstance(one, str) and 0 < len(one) <= 20 for one in stop)
    )
    _right(right, "stop")
    _right(body.get("response_format", "text") in ("text", "json_object"), "response_format")
    _right(isinstance(body.get("user_id", ""), str), "user_id")
    _functions(body, endpoint, settings)


def _right(right: bool, what: str) -> None:
    if not right:
        raise coded(336003, says=what)


def _turns(messages: Any) -> None:  # a list, if the first rule holds
    _right(isinstance(messages, list) and bool(messages), "messages can not be empty")
    if len(messages) % 2 == 0:
        raise coded(336006)
    for place, message in enumerate(messages):
        _right(isinstance(message, dict), "messages")
        role, content, call = message.get("role"), message.get("content"), message.get("function_call")
        _right(role in (("assistant",) if place % 2 else ("user", "function")), "the role of messages is not in order")
        _right(message.keys() <= {"role", "content", "name", "function_call"}, "messages")
        _right(isinstance(content, str) and bool(content.strip() or call), "content of messages can not be empty")
        _right((role == "function") == ("name" in message) or role == "user", "name is needed for function")
        if call is not None:
            right = role == "assistant" and isinstance(call.get("name"), str) and isinstance(call.get("arguments"), str)
            _right(right and call.keys() <= {"name", "arguments", "thoughts"}, "function_call")
        if role == "function":
            before = (messages[place - 1].get("function_call") if place else None) or {}
            _right(before.get("name") == message["name"], "function must answer the function_call before it")


def _functions(body: Body, endpoint: str, settings: Settings) -> None:
    functions = body.get("functions", [])
    _right("functions" not in body or (isinstance(functions, list) and bool(functions)), "functions")
    if functions and endpoint in settings.without_functions:
        raise coded(336001, says="the model does not support functions")
    for function in functions:
        _right(isinstance(function, dict) and isinstance(function.get("name"), str), "functions.name")
        _right(bool(function.get("description")), "functions.description")
        _right(function.keys() <= {"name", "description", "parameters", "responses", "examples"}, "functions")
        parameters = function.get("parameters")
        right = isinstance(parameters, dict) and isinstance(parameters.get("properties"), dict)
        _right(right, "functions.parameters.properties is needed")
    if (choice := body.get("tool_choice")) is not None:
        names = [function["name"] for function in functions]
        right = isinstance(choice, dict) and choice.get("type") == "function" and choice["function"]["name"] in names
        _right(right, "tool_choice")


# --- v2 -----------------------------------------------------------------------------------------------------------


def check_v2(body: Body, settings: Settings) -> None:
    """Raises Refused for the first thing that the v2 API does not take."""
    model = body.get("model")
    if not model:
        raise named("empty_model")
    if model not in settings.models:
        raise named("invalid_model")
    for name in sorted(body.keys() - V2):
        raise _argument(f"unknown parameter {name}")
    ernie = str(model).startswith("ernie")
    temperature = body.get("temperature", 0.5)
    if not _number(temperature) or not 0 <= temperature <= (1 if ernie else 2) or (ernie and temperature == 0):
        raise _argument("temperature is not in range")
    for name in ("max_tokens", "max_completion_tokens"):
        if not isinstance(body.get(name, 2), int) or body.get(name, 2) < 1:
            raise _argument(name)
    if "stream_options" in body and not body.get("stream"):
        raise _argument("stream_options")
    wanted = (body.get("response_format") or {"type": "text"}).get("type")
    if wanted not in ("text", "json_object", "json_schema"):
        raise _argument("response_format")
    for tool in body.get("tools") or ():
        if tool.get("type") != "function" or not isinstance(tool.get("function", {}).get("name"), str):
            raise _argument("tools")
    choice = body.get("tool_choice", "auto")
    if choice not in ("none", "auto", "required") and not isinstance(body["tool_choice"], dict):
        raise _argument("tool_choice")
    _messages(body.get("messages"), ernie=ernie, sees="-vl" in str(model))


def _argument(what: str) -> Refused:
    return named("invalid_argument", says=what)


def _messages(messages: Any, *, ernie: bool, sees: bool) -> None:
    if not isinstance(messages, list) or not messages:
        raise named("invalid_messages")
    before, open_ids = "", set()
    for place, message in enumerate(messages):
        role = message.get("role")
        if role not in V2_ROLES or (role == "system" and place):
            raise named("invalid_messages", says=f"the role {role!r} is not right here")
        if ernie and role == before and (role == "user" or (role == "assistant" and not message.get("tool_calls"))):
            raise named("invalid_messages", says="the roles of messages must take turns")
        content = message.get("content")
        if content is None and not message.get("tool_calls"):
            raise named("invalid_messages", says="content can not be empty")
        for part in content if isinstance(content, list) else ():
            _part(part, sees=sees)
        if role == "tool" and message.get("tool_call_id") not in open_ids:
            raise named("invalid_messages", says="tool_call_id")
        open_ids |= {call["id"] for call in message.get("tool_calls") or ()}
        before = role


def _part(part: Any, *, sees: bool) -> None:
    match part:
        case {"type": "text", "text": str()}:
            return
        case {"type": "image_url", "image_url": {"url": str() as url}} if sees:
            if not url.startswith(("https://", "http://", "data:image/")):
                raise named("invalid_image_url")
        case _:
            raise named("invalid_messages", says="the model does not take such content")
