"""What the service refuses in a request that it could read: order of turns, signatures, limits of a model.

Every rule is a generator of refusals over the whole request; the first one found is the answer.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

from .reading import Body
from .refusal import Refused, invalid
from .settings import Model, Settings

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,63}")
KINDS = ("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult")
CATEGORIES = {
    f"HARM_CATEGORY_{name}"
    for name in ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY")
}
THRESHOLDS = {
    "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
    "BLOCK_LOW_AND_ABOVE",
    "BLOCK_MEDIUM_AND_ABOVE",
    "BLOCK_ONLY_HIGH",
    "BLOCK_NONE",
    "OFF",
}
LEVELS = {"MINIMAL", "LOW", "MEDIUM", "HIGH"}
STAND_INS = {
    base64.b64encode(base64.urlsafe_b64decode(text)).decode()
    for text in ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
}
OURS = re.compile(r"gs://.+|https://(generativelanguage\.googleapis\.com/.+|(www\.)?youtube\.com/.+|youtu\.be/.+)")


def signature(project: str, model: str, number: int) -> str:
    """What a model writes beside its call: it knows its own again, in its own project."""
    return base64.b64encode(f"{project}|{model}|{number}".encode()).decode()


def check(body: Body, name: str, model: Model, settings: Settings, project: str) -> None:
    """Raise the first refusal, if there is one."""
    for rules in (
        _contents(body, settings),
        _instructions(body, name, model),
        _turns(body),
        _signatures(body, name, model, project),
        _tools(body),
        _safety(body),
        _config(body, model),
    ):
        for refused in rules:
            raise refused


def _contents(body: Body, settings: Settings) -> Iterator[Refused]:
    contents = body.get("contents") or []
    if not contents:
        yield invalid("* GenerateContentRequest.contents: contents is not specified\n")
    for at, content in enumerate(contents):
        path = f"contents[{at}]"
        if content.get("role", "user") not in ("user", "model", "function"):
            yield invalid("Please use a valid role: user, model.")
        if not content.get("parts"):
            yield invalid(f"* GenerateContentRequest.{path}.parts: contents.parts must not be empty.\n")
        for place, part in enumerate(content.get("parts") or ()):
            yield from _part(part, f"{path}.parts[{place}]", settings)


def _part(part: Body, path: str, settings: Settings) -> Iterator[Refused]:
    held = [kind for kind in KINDS if kind in part]
    if len(held) != 1:
        yield invalid(
            f"* GenerateContentRequest.{path}.data: required oneof field 'data' must have one initialized field"
        )
    if part.get("text") == "" and "thoughtSignature" not in part:
        yield invalid("Unable to submit request because it must have a text parameter.")
    if (inline := part.get("inlineData")) is not None and not re.fullmatch(
        r"[\w.+-]+/[\w.+-]+", inline.get("mimeType", "")
    ):
        yield invalid(f"* GenerateContentRequest.{path}.inline_data.mime_type: mime type is not valid")
    if (
        (file := part.get("fileData")) is not None
        and not settings.fetches
        and not OURS.fullmatch(file.get("fileUri", ""))
    ):
        yield invalid("Cannot fetch content from the provided URL.")
    for kind in ("functionCall", "functionResponse"):
        if kind in part and not part[kind].get("name"):
            yield invalid(f"* GenerateContentRequest.{path}.{kind}.name: Name cannot be empty.\n")


def _instructions(body: Body, name: str, model: Model) -> Iterator[Refused]:
    if "systemInstruction" not in body:
        return
    if not model.instructions:
        yield invalid(f"Developer instruction is not enabled for models/{name}")
    if not any(part.get("text") for part in body["systemInstruction"].get("parts") or ()):
        yield invalid("* GenerateContentRequest.system_instruction.parts: contents.parts must not be empty.\n")


def _held(content: Body, kind: str) -> list[Body]:
    return [part[kind] for part in content["parts"] if kind in part]


def _turns(body: Body) -> Iterator[Refused]:
    contents = body["contents"]
    before: Body | None = None
    for content in contents:
        role, calls = content.get("role", "user"), _held(content, "functionCall")
        results = _held(content, "functionResponse")
        if calls and (role != "model" or before is None or before.get("role", "user") == "model"):
            yield invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn."
            )
        called = _held(before, "functionCall") if before is not None else []
        if (results or called) and len(results) != len(called):
            yield invalid(
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
        if sorted(one["name"] for one in results) != sorted(one["name"] for one in called):
            yield invalid("Please ensure that function responses have the names of the function calls.")
        known = sorted(one["id"] for one in results if "id" in one)
        if known and known != sorted(one.get("id", "") for one in called):
            yield invalid("Please ensure that function responses have the ids of the function calls.")
        before = content
    if contents[-1].get("role", "user") == "model":
        yield invalid("Please ensure that multiturn requests end with a user role or a function response.")


def _signatures(body: Body, name: str, model: Model, project: str) -> Iterator[Refused]:
    """Of calls since the last words of a user."""
    if not model.signs:
        return
    contents = body["contents"]
    spoken = [at for at, one in enumerate(contents) if one.get("role") != "model" and _held(one, "text")]
    for content in contents[spoken[-1] if spoken else 0 :]:
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls and "thoughtSignature" not in calls[0]:
            yield invalid(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                f"work correctly. Additional data, function call `default_api:{calls[0]['functionCall']['name']}`."
            )
        for call in calls:
            if (signed := call.get("thoughtSignature")) is None or signed in STAND_INS:
                continue
            if not base64.b64decode(signed).decode(errors="replace").startswith(f"{project}|{name}|"):
                yield invalid("Corrupted thought signature.")


def _tools(body: Body) -> Iterator[Refused]:
    declared: list[str] = []
    for at, tool in enumerate(body.get("tools") or ()):
        for place, function in enumerate(tool.get("functionDeclarations") or ()):
            path = f"tools[{at}].function_declarations[{place}]"
            if not NAME.fullmatch(function.get("name", "")):
                yield invalid(f"* GenerateContentRequest.{path}.name: Invalid function name.\n", f"{path}.name")
            if function["name"] in declared:
                yield invalid(f"Duplicate function declaration found: {function['name']}")
            declared.append(function["name"])
            if "parameters" in function and "parametersJsonSchema" in function:
                yield invalid(f"{path}: only one of parameters and parameters_json_schema can be set", path)
            if "parameters" in function:
                yield from _schema(function["parameters"], f"{path}.parameters")
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    mode = calling.get("mode", "AUTO")
    if mode not in ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"):
        path = "tool_config.function_calling_config.mode"
        yield invalid(f"Invalid value at '{path}' (TYPE_ENUM), \"{mode}\"", path)
    if calling.get("allowedFunctionNames") and mode not in ("ANY", "VALIDATED"):
        yield invalid("allowed_function_names can only be set when mode is ANY or VALIDATED.")
    for name in calling.get("allowedFunctionNames") or ():
        if name not in declared:
            yield invalid(f"allowed_function_names contains {name}, which is not declared.")
    if mode == "ANY" and not declared:
        yield invalid("Function calling mode ANY needs function declarations.")


def _schema(schema: Body, path: str) -> Iterator[Refused]:
    kind = schema.get("type", "").upper()
    if "type" not in schema and "anyOf" not in schema:
        yield invalid(f"* GenerateContentRequest.{path}: type must be specified\n", path)
    if kind == "OBJECT" and "properties" in schema and not schema["properties"]:
        yield invalid(f"* GenerateContentRequest.{path}.properties: should be non-empty for OBJECT type\n", path)
    if kind == "ARRAY" and "items" not in schema:
        yield invalid(f"* GenerateContentRequest.{path}.items: missing field.\n", path)
    if "enum" in schema and kind != "STRING":
        yield invalid(f"* GenerateContentRequest.{path}.enum: only allowed for STRING type\n", path)
    formats = {"STRING": {"enum", "date-time"}, "INTEGER": {"int32", "int64"}, "NUMBER": {"float", "double"}}
    if "format" in schema and schema["format"] not in formats.get(kind, set()):
        yield invalid(f"* GenerateContentRequest.{path}.format: only 'enum' and 'date-time' are supported\n", path)
    for name in schema.get("required") or ():
        if name not in (schema.get("properties") or {}):
            yield invalid(f"* GenerateContentRequest.{path}.required[0]: property is not defined\n", path)
    for inner in (*(schema.get("properties") or {}).values(), *(schema.get("anyOf") or ())):
        yield from _schema(inner, path)
    if "items" in schema:
        yield from _schema(schema["items"], f"{path}.items")


def _safety(body: Body) -> Iterator[Refused]:
    seen: set[str] = set()
    for one in body.get("safetySettings") or ():
        category, threshold = one.get("category"), one.get("threshold")
        if category not in CATEGORIES or threshold not in THRESHOLDS:
            yield invalid(
                f"Invalid value at 'safety_settings[0]' (TYPE_ENUM), \"{category} {threshold}\"", "safety_settings"
            )
        if category in seen:
            yield invalid(f"Duplicate safety setting for {category}")
        seen.add(str(category))


def _config(body: Body, model: Model) -> Iterator[Refused]:
    config: Body = body.get("generationConfig") or {}
    for name, low, high in (("temperature", 0, 2), ("topP", 0, 1), ("logprobs", 0, 20)):
        if name in config and not low <= config[name] <= high:
            yield invalid(f"* GenerateContentRequest.generation_config.{name}: must be in the range [{low}, {high}]\n")
    if not 1 <= config.get("candidateCount", 1) <= model.candidates:
        yield invalid(
            f"Only {model.candidates} candidate can be specified" if model.candidates == 1 else "candidateCount"
        )
    if len(config.get("stopSequences") or ()) > 5 or "" in (config.get("stopSequences") or ()):
        yield invalid("* GenerateContentRequest.generation_config.stop_sequences: at most 5, none of them empty\n")
    if config.get("maxOutputTokens", 1) < 1:
        yield invalid("max_output_tokens must be positive.", "generation_config.max_output_tokens")
    if not model.penalties and {"presencePenalty", "frequencyPenalty"} & config.keys():
        yield invalid("Penalty is not enabled for this model")
    if "logprobs" in config and not config.get("responseLogprobs"):
        yield invalid("logprobs can only be set when response_logprobs is true.")
    if config.get("responseLogprobs") and not model.logprobs:
        yield invalid("Logprobs is not enabled for this model.")
    yield from _form(body, config, model)
    yield from _thinking(config.get("thinkingConfig"), model)


def _form(body: Body, config: Body, model: Model) -> Iterator[Refused]:
    mime = config.get("responseMimeType", "text/plain")
    if mime not in ("text/plain", "application/json", "text/x.enum"):
        yield invalid(f"* GenerateContentRequest.generation_config.response_mime_type: unsupported: {mime}\n")
    schemas = [name for name in ("responseSchema", "responseJsonSchema") if name in config]
    if len(schemas) > 1:
        yield invalid("Only one of response_schema and response_json_schema can be set.")
    if schemas and mime == "text/plain":
        yield invalid("Response schema needs response_mime_type 'application/json' or 'text/x.enum'.")
    if "responseSchema" in config:
        yield from _schema(config["responseSchema"], "generation_config.response_schema")
    if mime == "application/json" and body.get("tools") and model.thinks != "level":
        yield invalid("Function calling with a response mime type: 'application/json' is unsupported")


def _thinking(thinking: Any, model: Model) -> Iterator[Refused]:
    if thinking is None:
        return
    if model.thinks == "never":
        yield invalid("Thinking is not enabled for this model.")
    budget, level = thinking.get("thinkingBudget"), thinking.get("thinkingLevel")
    if budget is not None and level is not None:
        yield invalid("You can only set only one of thinking budget and thinking level.")
    if level is not None and (model.thinks != "level" or level not in LEVELS):
        yield invalid("Thinking level is not supported for this model.")
    if budget == 0 and not model.stops_thinking:
        yield invalid("Budget 0 is invalid. This model only works in thinking mode.")
    if budget == 0 and thinking.get("includeThoughts"):
        yield invalid("Thinking_config.include_thoughts is only enabled when thinking is enabled.")
    if budget is not None and not -1 <= budget <= 32768:
        yield invalid(f"The thinking budget {budget} is invalid. Please choose a value between 0 and 32768.")
