"""A request body becomes a Prompt, or a BadRequest that says what is wrong and where.

Types and ranges are checked against the Prompt's own annotations; what depends on several fields is checked here.
`param` is written as OpenAI writes it: `messages[0].content[1].type`. Unknown fields are kept in `prompt.raw`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from gateway.wire import legacy
from parley.chat.prompt import Assistant, AudioPart, Call, FilePart, ImagePart, Prompt, RefusalPart, TextPart, Tool
from parley.errors import BadRequest

_DEEPEST: Final = 128
"""Levels of nesting; what is deeper could not be written again within Python's own limit."""
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_INT64 = range(-(2**63), 2**63)

_WORDS_ONLY = (str, TextPart)
_PARTS_BY_ROLE: Final[dict[str, tuple[type, ...]]] = {
    "System": _WORDS_ONLY,
    "Developer": _WORDS_ONLY,
    "User": (*_WORDS_ONLY, ImagePart, AudioPart, FilePart),
    "Assistant": (*_WORDS_ONLY, RefusalPart),
    "Tool": _WORDS_ONLY,
}


class Asked(NamedTuple):
    """What a body asks for."""

    prompt: Prompt
    legacy: bool
    """The caller wrote `functions` and wants `function_call` back; the prompt itself says `tools`."""


def parse(body: bytes) -> Asked:
    """Read a request body. Raises BadRequest."""
    raw = _object(body)
    prompt = _prompt(raw)
    old = legacy.is_spoken(prompt)
    if old:
        for position, function in enumerate(prompt.functions or ()):
            _check_function(function, f"functions[{position}]")
        raw = legacy.modernised(raw, prompt)
        prompt = _prompt(raw)
    _check(prompt)
    prompt.raw = raw
    return Asked(prompt, old)


# --- bytes to a checked shape -------------------------------------------------------------------------------------


def _object(body: bytes) -> dict[str, Any]:
    try:
        raw = msgspec.json.decode(body)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise BadRequest("The body is not valid UTF-8.") from None
    except msgspec.ValidationError:
        raise BadRequest("A number in the body is out of range.", code="invalid_value") from None
    except msgspec.DecodeError as problem:
        raise BadRequest(f"The body could not be read as JSON: {problem}.") from None
    if not isinstance(raw, dict):
        raise BadRequest("The body must be a JSON object.", code="invalid_type")
    # Counting brackets is nearly free, and most bodies are settled by it.
    if body.count(b"{") + body.count(b"[") > _DEEPEST and _is_deep(raw):
        raise _too_deep()
    if raw.get("model", "") is None:
        del raw["model"]
    raw.pop("", None)  # the name that marks `Prompt.raw` as not from the wire
    return raw


def _is_deep(raw: Any) -> bool:
    level = [raw]
    for _ in range(_DEEPEST):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _too_deep() -> BadRequest:
    return BadRequest(f"The body is nested more than {_DEEPEST} levels deep.", code="invalid_value")


def _prompt(raw: dict[str, Any]) -> Prompt:
    try:
        return msgspec.convert(raw, Prompt)
    except msgspec.ValidationError as problem:
        raise _explained(str(problem)) from None


# --- msgspec's words to OpenAI's ----------------------------------------------------------------------------------

_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`")
_WRONG_TYPE = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`")
_WRONG_LENGTH = re.compile(r"Expected `(?P<type>\w+)` of length (?P<bound>[<>=]+) (?P<limit>\S+)")
_WRONG_SIZE = re.compile(r"Expected `\w+` (?P<bound>[<>=]+) (?P<limit>\S+)")
_WRONG_VALUE = re.compile(r"Invalid (?:enum )?value (?P<value>.*)", re.DOTALL)
_TYPES: Final = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_BOUNDS: Final = {">=": "at least", "<=": "at most"}


def _explained(problem: str) -> BadRequest:
    """One of msgspec's messages (`... - at `$.messages[0].role``) as the API's users know them."""
    fact, _, place = problem.rpartition(" - at `$")
    if not fact:
        fact, place = problem, ""
    param = place.rstrip("`").lstrip(".").replace("[...]", "") or None
    if found := _MISSING.match(fact):
        param = f"{param}.{found['field']}" if param else found["field"]
        return _missing(param)
    if found := _WRONG_TYPE.match(fact):
        wanted = [_TYPES.get(name, name) for name in found["wanted"].split(" | ") if name != "null"]
        got = _TYPES.get(found["got"], found["got"])
        choice = f"one of {' or '.join(wanted)}" if len(wanted) > 1 else "".join(wanted)
        return BadRequest(
            f"Invalid type for '{param}': expected {choice}, but got {got} instead.", param=param, code="invalid_type"
        )
    if found := _WRONG_LENGTH.match(fact):
        unit = "items" if found["type"] == "array" else "characters"
        text = f"expected {_BOUNDS[found['bound']]} {found['limit']} {unit}"
    elif found := _WRONG_SIZE.match(fact):
        text = f"expected a value of {_BOUNDS[found['bound']]} {found['limit']}"
    elif found := _WRONG_VALUE.match(fact):
        text = f"{_short(found['value'])} is not supported here"
    else:
        text = "the value cannot be used"
    return _invalid(text, param)


def _missing(param: str) -> BadRequest:
    return BadRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def _invalid(text: str, param: str | None) -> BadRequest:
    return BadRequest(f"Invalid value for '{param}': {text}.", param=param, code="invalid_value")


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


# --- what depends on several fields -------------------------------------------------------------------------------


def _check(prompt: Prompt) -> None:
    if prompt.stream_options is not None and not prompt.stream:
        raise BadRequest(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    if prompt.max_tokens is not None and prompt.max_completion_tokens is not None:
        raise BadRequest(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", param="max_tokens"
        )
    if prompt.top_logprobs is not None and not prompt.logprobs:
        raise BadRequest(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", param="top_logprobs"
        )
    for field in ("seed", "max_tokens", "max_completion_tokens"):
        value = getattr(prompt, field)
        if value is not None and value not in _INT64:
            raise _invalid("expected a 64-bit integer", field)
    if prompt.metadata:
        _check_metadata(prompt.metadata)
    if prompt.response_format is not None and prompt.response_format.type == "json_schema":
        _check_schema(prompt.response_format.json_schema)
    names = _tool_names(prompt.tools or (), "tools") if prompt.tools else frozenset[str]()
    if isinstance(prompt.tool_choice, dict) or prompt.tool_choice == "required":
        _check_choice(prompt.tool_choice, names)
    _check_conversation(prompt)


def _check_metadata(metadata: dict[str, str]) -> None:
    if len(metadata) > 16:
        raise _invalid("expected at most 16 pairs", "metadata")
    for key, value in metadata.items():
        if len(key) > 64:
            raise _invalid(f"the key {_short(repr(key))} is longer than 64 characters", "metadata")
        if len(value) > 512:
            raise _invalid("expected at most 512 characters", f"metadata.{key}")


def _check_schema(schema: dict[str, Any] | None) -> None:
    where = "response_format.json_schema"
    if schema is None:
        raise _missing(where)
    _check_name(schema, where)
    if schema.get("schema") is not None and not isinstance(schema["schema"], dict):
        raise _wrong_type(f"{where}.schema", "an object", schema["schema"])


def _tool_names(tools: Iterable[Any], where: str) -> frozenset[str]:
    """Names of well-formed tools. Raises BadRequest for the first that is not."""
    names: set[str] = set()
    for position, tool in enumerate(tools):
        path = f"{where}[{position}]"
        name = _tool_name(tool, path)
        if name in names:
            raise _invalid(f"two tools are named '{name}'", path)
        names.add(name)
    return frozenset(names)


def _tool_name(tool: Any, path: str) -> str:
    kind, body = _tool_body(tool, path)
    if kind == "function":
        return _check_function(body, f"{path}.function")
    if body.get("format") is not None and not isinstance(body["format"], dict):
        raise _wrong_type(f"{path}.custom.format", "an object", body["format"])
    return _check_name(body, f"{path}.custom")


def _tool_body(tool: Any, path: str) -> tuple[str, dict[str, Any]]:
    """`{"type": kind, kind: {...}}`: the kind and what is in it."""
    if not isinstance(tool, dict):
        raise _wrong_type(path, "an object", tool)
    kind = tool.get("type")
    if kind is None:
        raise _missing(f"{path}.type")
    if kind not in ("function", "custom"):
        raise _invalid(f"{_short(repr(kind))} is not supported here", f"{path}.type")
    body = tool.get(kind)
    if body is None:
        raise _missing(f"{path}.{kind}")
    if not isinstance(body, dict):
        raise _wrong_type(f"{path}.{kind}", "an object", body)
    return kind, body


def _check_function(function: dict[str, Any], path: str) -> str:
    if function.get("parameters") is not None and not isinstance(function["parameters"], dict):
        raise _wrong_type(f"{path}.parameters", "an object", function["parameters"])
    if function.get("description") is not None and not isinstance(function["description"], str):
        raise _wrong_type(f"{path}.description", "a string", function["description"])
    return _check_name(function, path)


def _check_name(named: dict[str, Any], path: str) -> str:
    name = named.get("name")
    if name is None:
        raise _missing(f"{path}.name")
    if not isinstance(name, str):
        raise _wrong_type(f"{path}.name", "a string", name)
    if not _NAME.fullmatch(name):
        raise _invalid("expected 1 to 64 letters, digits, underscores and dashes", f"{path}.name")
    return name


def _check_choice(choice: str | dict[str, Any], names: frozenset[str]) -> None:
    if not names:
        raise BadRequest("'tool_choice' is only allowed when 'tools' are specified.", param="tool_choice")
    if isinstance(choice, str):
        return
    if choice.get("type") != "allowed_tools":
        chosen = [("tool_choice", choice)]
    else:
        allowed = choice.get("allowed_tools")
        if not isinstance(allowed, dict):
            raise _missing("tool_choice.allowed_tools")
        if allowed.get("mode") not in ("auto", "required"):
            raise _invalid("expected 'auto' or 'required'", "tool_choice.allowed_tools.mode")
        tools = allowed.get("tools")
        if not isinstance(tools, list) or not tools:
            raise _missing("tool_choice.allowed_tools.tools")
        chosen = [(f"tool_choice.allowed_tools.tools[{i}]", tool) for i, tool in enumerate(tools)]
    for path, tool in chosen:
        kind, body = _tool_body(tool, path)
        name = _check_name(body, f"{path}.{kind}")
        if name not in names:
            raise _invalid(f"there is no tool '{name}' in 'tools'", path)


def _check_conversation(prompt: Prompt) -> None:
    """Parts stand where their kind may, and every tool call is answered before anybody else speaks."""
    called: set[str] = set()
    waiting: set[str] = set()
    for position, message in enumerate(prompt.messages):
        path = f"messages[{position}]"
        if isinstance(message.content, list):
            _check_parts(message.content, _PARTS_BY_ROLE[type(message).__name__], path)
        if isinstance(message, Tool):
            if message.tool_call_id not in called:
                raise _invalid(
                    "a message with role 'tool' must answer a call in the 'tool_calls' before it",
                    f"{path}.tool_call_id",
                )
            if message.tool_call_id not in waiting:
                raise _invalid("this call has been answered already", f"{path}.tool_call_id")
            waiting.remove(message.tool_call_id)
            continue
        if waiting:
            raise _unanswered(waiting)
        called = set(_called(message, path)) if isinstance(message, Assistant) else set()
        waiting = set(called)
    if waiting:
        raise _unanswered(waiting)


def _unanswered(ids: set[str]) -> BadRequest:
    return BadRequest(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {_short(', '.join(sorted(ids)))}",
        param="messages",
    )


def _check_parts(parts: list[Any], allowed: tuple[type, ...], path: str) -> None:
    for position, part in enumerate(parts):
        where = f"{path}.content[{position}]"
        if not isinstance(part, allowed):
            kind = part.__struct_config__.tag
            raise _invalid(f"a part of type '{kind}' is not allowed in a message of this role", f"{where}.type")
        if isinstance(part, AudioPart):
            for field in ("data", "format"):
                if not isinstance(part.input_audio.get(field), str):
                    raise _missing(f"{where}.input_audio.{field}")
        elif isinstance(part, FilePart):
            given = [field for field in ("file_data", "file_id") if part.file.get(field) is not None]
            if not given:
                raise _missing(f"{where}.file.file_data")
            if not isinstance(part.file[given[0]], str):
                raise _wrong_type(f"{where}.file.{given[0]}", "a string", part.file[given[0]])


def _called(message: Assistant, path: str) -> Iterator[str]:
    if not message.tool_calls:
        spoken = (message.content, message.refusal, message.audio, message.function_call)
        if all(said is None for said in spoken):
            raise BadRequest(
                f"Invalid value for '{path}.content': it may only be left out when 'tool_calls' are specified.",
                param=f"{path}.content",
                code="missing_required_parameter",
            )
        return
    seen: set[str] = set()
    for position, call in enumerate(message.tool_calls):
        where = f"{path}.tool_calls[{position}]"
        if _body_of(call) is None:
            raise _missing(f"{where}.{call.type}")
        if call.id in seen:
            raise _invalid("two calls have the same id", f"{where}.id")
        seen.add(call.id)
        yield call.id


def _body_of(call: Call) -> object:
    return call.function if call.type == "function" else call.custom


def _wrong_type(param: str, wanted: str, got: object) -> BadRequest:
    name = {dict: "object", list: "array", type(None): "null"}.get(type(got), type(got).__name__)
    return BadRequest(
        f"Invalid type for '{param}': expected {wanted}, but got {_TYPES.get(name, name)} instead.",
        param=param,
        code="invalid_type",
    )
