"""Strict mode: what OpenAI refuses with a 400, so that nobody sends garbage unnoticed.

Every rule is a generator of refusals over the whole body; the first one found is the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .refusal import Refused
from .settings import Settings

Body = dict[str, Any]

# fmt: off
KNOWN = frozenset({
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
    "max_tokens", "messages", "metadata", "modalities", "model", "moderation", "n", "parallel_tool_calls",
    "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
    "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity",
    "web_search_options",
})
# fmt: on
MESSAGE_KEYS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "refusal", "audio", "tool_calls", "function_call"},
    "tool": {"role", "content", "tool_call_id"},
    "function": {"role", "content", "name"},
}
PART_KEYS = {"text": "text", "image_url": "image_url", "input_audio": "input_audio", "file": "file"}
PARTS_OF = {"user": set(PART_KEYS), "assistant": {"text", "refusal"}}
TYPES: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "messages": (list,),
    "stream": (bool,),
    "logprobs": (bool,),
    "parallel_tool_calls": (bool,),
    "store": (bool,),
    "n": (int,),
    "seed": (int,),
    "max_tokens": (int,),
    "max_completion_tokens": (int,),
    "top_logprobs": (int,),
    "temperature": (int, float),
    "top_p": (int, float),
    "presence_penalty": (int, float),
    "frequency_penalty": (int, float),
    "logit_bias": (dict,),
    "metadata": (dict,),
    "stream_options": (dict,),
    "response_format": (dict,),
    "tools": (list,),
    "tool_choice": (str, dict),
    "stop": (str, list),
    "user": (str,),
}
RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "n": (1, 128),
    "top_logprobs": (0, 20),
    "max_tokens": (1, 1 << 31),
    "max_completion_tokens": (1, 1 << 31),
}
CHOICES = {
    "reasoning_effort": {"none", "minimal", "low", "medium", "high", "xhigh", "max"},
    "verbosity": {"low", "medium", "high"},
    "service_tier": {"auto", "default", "flex", "scale", "priority", "fast"},
}
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def parse(raw: bytes, content_type: str) -> Body:
    """The JSON object in a request's body; this much is checked even when not strict."""
    try:
        body = json.loads(raw)
    except (ValueError, UnicodeDecodeError):
        raise Refused(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise Refused(400, "The JSON body of your request is not an object.")
    if content_type != "application/json":
        raise Refused(400, f"The content type {content_type!r} is not application/json.")
    return body


def check(body: Body, settings: Settings) -> None:
    """Raise the first refusal, if there is one."""
    for refusal in (_hf_rules if settings.speaks_hf else _openai_rules)(body, settings):
        raise refusal


def _bad(param: str | None, message: str, code: str | None = None) -> Refused:
    return Refused(400, message, code=code, param=param)


def _openai_rules(body: Body, settings: Settings) -> Iterator[Refused]:
    for name in body.keys() - KNOWN:
        yield _bad(name, f"Unrecognized request argument supplied: {name}", "unknown_parameter")
    yield from plain_values(body)
    yield from _messages(body)
    yield from _tools(body)
    yield from together(body)
    yield from _format(body)
    if body["model"] in settings.reasoning_models:
        yield from _reasoner(body)


def plain_values(body: Body) -> Iterator[Refused]:
    """Types and ranges."""
    for name in ("model", "messages"):
        if name not in body:
            yield _bad(name, f"Missing required parameter: '{name}'.", "missing_required_parameter")
    for name, kinds in TYPES.items():
        value = body.get(name)
        if value is None and name not in ("model", "messages"):
            continue
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            yield _bad(name, f"Invalid type for '{name}'.", "invalid_type")
    for name, (low, high) in RANGES.items():
        if (value := body.get(name)) is not None and not low <= value <= high:
            yield _bad(name, f"Invalid value for '{name}': {value} is not in {low}..{high}.", "invalid_value")
    for name, allowed in CHOICES.items():
        if (value := body.get(name)) is not None and value not in allowed:
            yield _bad(name, f"Invalid value for '{name}': {value!r}.", "invalid_value")
    stop = body.get("stop")
    if isinstance(stop, list) and (len(stop) > 4 or not all(isinstance(one, str) and one for one in stop)):
        yield _bad("stop", "Invalid 'stop': expected at most 4 strings.", "invalid_value")
    for key, weight in (body.get("logit_bias") or {}).items():
        if not key.isdigit() or not isinstance(weight, int | float) or not -100 <= weight <= 100:
            yield _bad("logit_bias", f"Invalid 'logit_bias' for {key!r}.", "invalid_value")
    metadata = body.get("metadata") or {}
    sized = all(isinstance(value, str) and len(key) <= 64 and len(value) <= 512 for key, value in metadata.items())
    if len(metadata) > 16 or not sized:
        yield _bad("metadata", "Invalid 'metadata'.", "invalid_value")


def _messages(body: Body) -> Iterator[Refused]:
    if not body["messages"]:
        yield _bad("messages", "Invalid 'messages': empty array.", "invalid_value")
    for index, message in enumerate(body["messages"]):
        yield from of_message(f"messages[{index}]", message)
    yield from answered(body["messages"])


def of_message(at: str, message: Any) -> Iterator[Refused]:
    """One message, by its role."""
    if not isinstance(message, dict):
        yield _bad(at, f"Invalid type for '{at}': expected an object.", "invalid_type")
        return
    role = message.get("role")
    if role not in MESSAGE_KEYS:
        yield _bad(f"{at}.role", f"Invalid value for '{at}.role': {role!r}.", "invalid_value")
        return
    for name in message.keys() - MESSAGE_KEYS[role]:
        yield _bad(f"{at}.{name}", f"Unknown parameter: '{at}.{name}'.", "unknown_parameter")
    content = message.get("content")
    silent = role == "assistant" and (message.get("tool_calls") or message.get("function_call"))
    if content is None and not silent and role != "function":
        yield _bad(f"{at}.content", f"Invalid value for '{at}.content': expected a string.", "invalid_type")
    elif isinstance(content, list):
        if not content:
            yield _bad(f"{at}.content", f"Invalid '{at}.content': empty array.", "invalid_value")
        for index, part in enumerate(content):
            yield from _part(f"{at}.content[{index}]", part, PARTS_OF.get(role, {"text"}))
    elif content is not None and not isinstance(content, str):
        yield _bad(f"{at}.content", f"Invalid type for '{at}.content'.", "invalid_type")
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield from _call(f"{at}.tool_calls[{index}]", call)
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        yield _bad(
            f"{at}.tool_call_id", f"Missing required parameter: '{at}.tool_call_id'.", "missing_required_parameter"
        )
    if "tool_calls" in message and not message["tool_calls"]:
        yield _bad(f"{at}.tool_calls", f"Invalid '{at}.tool_calls': empty array.", "invalid_value")


def _part(at: str, part: Any, allowed: set[str]) -> Iterator[Refused]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in allowed:
        yield _bad(at, f"Invalid value for '{at}.type': {kind!r}.", "invalid_value")
        return
    value = part.get(kind)
    if kind in ("text", "refusal"):
        fine = isinstance(value, str)
    elif kind == "image_url":
        url = value.get("url") if isinstance(value, dict) else None
        fine = isinstance(url, str) and url.startswith(("https://", "http://", "data:image/"))
    elif kind == "input_audio":
        fine = isinstance(value, dict) and value.get("format") in ("wav", "mp3") and isinstance(value.get("data"), str)
    else:
        fine = isinstance(value, dict) and bool(value.keys() & {"file_data", "file_id"})
    if not fine:
        yield _bad(f"{at}.{kind}", f"Invalid '{at}.{kind}'.", "invalid_value")


def _call(at: str, call: Any) -> Iterator[Refused]:
    function = call.get("function") if isinstance(call, dict) else None
    if (
        not isinstance(call, dict)
        or not isinstance(call.get("id"), str)
        or call.get("type") not in ("function", "custom")
    ):
        yield _bad(at, f"Invalid '{at}'.", "invalid_value")
    elif call["type"] == "function" and not (
        isinstance(function, dict)
        and isinstance(function.get("name"), str)
        and isinstance(function.get("arguments"), str)
    ):
        yield _bad(f"{at}.function", f"Invalid '{at}.function'.", "invalid_type")


def answered(messages: list[Any]) -> Iterator[Refused]:
    """Every tool call is answered before somebody else speaks, and nobody answers what was not called."""
    open_ids: set[str] = set()
    for index, message in enumerate([*messages, {"role": "end"}]):
        at = f"messages[{index}]"
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_ids:
                yield _bad(
                    f"{at}.role",
                    "messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
                )
            open_ids.discard(message["tool_call_id"])
            continue
        if open_ids:
            ids = ", ".join(sorted(open_ids))
            yield _bad("messages", f"The following tool_call_ids did not have response messages: {ids}")
        open_ids = {call["id"] for call in message.get("tool_calls") or ()}


def _tools(body: Body) -> Iterator[Refused]:
    tools = body.get("tools")
    if tools is not None and not 1 <= len(tools) <= 128:
        yield _bad("tools", "Invalid 'tools': expected 1 to 128 tools.", "invalid_value")
    names = set()
    for index, tool in enumerate(tools or ()):
        at = f"tools[{index}]"
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in ("function", "custom") or not isinstance(tool.get(kind), dict):
            yield _bad(f"{at}.type", f"Invalid value for '{at}.type'.", "invalid_value")
            continue
        name = tool[kind].get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            yield _bad(f"{at}.{kind}.name", f"Invalid '{at}.{kind}.name'.", "invalid_value")
        names.add(name)
        parameters = tool[kind].get("parameters", {})
        if not isinstance(parameters, dict):
            yield _bad(f"{at}.function.parameters", "Invalid schema: expected an object.", "invalid_type")
        elif tool[kind].get("strict") and (fault := _lax(parameters)):
            yield _bad(
                f"{at}.function.parameters",
                f"Invalid schema for function '{name}': {fault}",
                "invalid_function_parameters",
            )
    choice = body.get("tool_choice")
    if choice is None:
        return
    if not tools and choice != "none":
        yield _bad(
            "tool_choice", "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
        )
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            yield _bad("tool_choice", f"Invalid value: '{choice}'.", "invalid_value")
    elif (kind := choice.get("type")) in ("function", "custom"):
        if (choice.get(kind) or {}).get("name") not in names:
            yield _bad("tool_choice", "Tool choice names a tool that is not in 'tools'.")
    elif kind != "allowed_tools":
        yield _bad("tool_choice", "Invalid value for 'tool_choice.type'.", "invalid_value")


def together(body: Body) -> Iterator[Refused]:
    """Fields that need or forbid one another."""
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        yield _bad("max_tokens", "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
    options = body.get("stream_options")
    if options is not None and not body.get("stream"):
        yield _bad("stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    for name in (options or {}).keys() - {"include_usage", "include_obfuscation"}:
        yield _bad(f"stream_options.{name}", f"Unknown parameter: 'stream_options.{name}'.", "unknown_parameter")
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        yield _bad("top_logprobs", "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.")
    if body.get("parallel_tool_calls") is not None and not body.get("tools"):
        yield _bad("parallel_tool_calls", "'parallel_tool_calls' is only allowed when 'tools' are specified.")


def _format(body: Body) -> Iterator[Refused]:
    wanted = body.get("response_format")
    if wanted is None:
        return
    match wanted.get("type"):
        case "text":
            pass
        case "json_object":
            if "json" not in json.dumps(body["messages"]).lower():
                yield _bad(
                    "messages",
                    "'messages' must contain the word 'json' in some form, "
                    "to use 'response_format' of type 'json_object'.",
                )
        case "json_schema":
            named = wanted.get("json_schema")
            if not isinstance(named, dict):
                at = "response_format.json_schema"
                yield _bad(at, f"Missing required parameter: '{at}'.", "missing_required_parameter")
                return
            if not NAME.fullmatch(str(named.get("name", ""))):
                at = "response_format.json_schema.name"
                yield _bad(at, f"Invalid '{at}'.", "invalid_value")
            if not isinstance(named.get("schema", {}), dict):
                yield _bad("response_format.json_schema.schema", "Invalid schema.", "invalid_type")
            elif named.get("strict") and (fault := _lax(named.get("schema", {}))):
                yield _bad("response_format", f"Invalid schema for response_format: {fault}", "invalid_value")
        case kind:
            yield _bad("response_format.type", f"Invalid value for 'response_format.type': {kind!r}.", "invalid_value")


def _lax(schema: Any) -> str | None:
    """Why this schema is not a strict one, or None."""
    if isinstance(schema, list):
        return next((fault for one in schema if (fault := _lax(one))), None)
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return "'additionalProperties' is required to be supplied and to be false."
        if set(schema.get("required", ())) != set(schema.get("properties", {})):
            return "'required' is required to be supplied and to be an array including every key in properties."
    return next((fault for one in schema.values() if (fault := _lax(one))), None)


def _reasoner(body: Body) -> Iterator[Refused]:
    if body.get("max_tokens") is not None:
        yield _bad(
            "max_tokens",
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "unsupported_parameter",
        )
    for name, default in (("temperature", 1), ("top_p", 1), ("presence_penalty", 0), ("frequency_penalty", 0)):
        if body.get(name) is not None and body[name] != default:
            yield _bad(
                name,
                f"Unsupported value: '{name}' does not support {body[name]} with this model. "
                f"Only the default ({default}) value is supported.",
                "unsupported_value",
            )
    for name in ("stop", "logprobs", "top_logprobs", "logit_bias"):
        if body.get(name):
            yield _bad(
                name, f"Unsupported parameter: '{name}' is not supported with this model.", "unsupported_parameter"
            )


def _hf_rules(body: Body, _: Settings) -> Iterator[Refused]:
    """Providers behind the router are laxer with unknown fields, and stricter with a few that OpenAI knows."""
    yield from plain_values(body)
    if (body.get("n") or 1) > 1:
        yield _bad("n", "'n' greater than 1 is not supported by this provider.", "unsupported_parameter")
    if (body.get("top_logprobs") or 0) > 5:
        yield _bad("top_logprobs", "'top_logprobs' must be at most 5.", "invalid_value")
    for index, message in enumerate(body["messages"]):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("system", "user", "assistant", "tool"):
            yield _unprocessable(f"messages[{index}]: unknown role {role!r}, expected system, user, assistant or tool")
            continue
        for name in message.keys() - (MESSAGE_KEYS[role] | {"tool_call_id"}):
            yield _unprocessable(f"messages[{index}]: extra fields not permitted: {name}")
        yield from of_message(f"messages[{index}]", message)
    yield from answered(body["messages"])
    for tool in body.get("tools") or ():
        if tool.get("type") != "function":
            yield _unprocessable("tools: only functions are supported")
    if body.get("max_completion_tokens") is not None:
        yield _unprocessable("extra fields not permitted: max_completion_tokens")


def _unprocessable(message: str) -> Refused:
    return Refused(422, message, shape="string", more={"error_type": "validation"})
