"""A request's JSON read as the service reads it: protobuf's JSON, both spellings of names, everything typed.

The result has lowerCamelCase names, whole numbers as integers and base64 in the standard alphabet, whatever came.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from .refusal import Refused, invalid

Body = dict[str, Any]
Spec = Any
"""A word for a plain value, a dict for a message, [spec] for a list, (spec,) for a map."""

_TYPES = {
    "string": "TYPE_STRING",
    "int": "TYPE_INT32",
    "float": "TYPE_DOUBLE",
    "bool": "TYPE_BOOL",
    "bytes": "TYPE_BYTES",
    "object": "type.googleapis.com/google.protobuf.Struct",
}

SCHEMA: Body = {
    "type": "string",
    "format": "string",
    "title": "string",
    "description": "string",
    "nullable": "bool",
    "enum": ["string"],
    "maxItems": "int",
    "minItems": "int",
    "required": ["string"],
    "minProperties": "int",
    "maxProperties": "int",
    "minLength": "int",
    "maxLength": "int",
    "pattern": "string",
    "example": "any",
    "propertyOrdering": ["string"],
    "default": "any",
    "minimum": "float",
    "maximum": "float",
}
SCHEMA |= {"properties": (SCHEMA,), "items": SCHEMA, "anyOf": [SCHEMA]}
PART: Body = {
    "text": "string",
    "thought": "bool",
    "thoughtSignature": "bytes",
    "inlineData": {"mimeType": "string", "data": "bytes", "displayName": "string"},
    "fileData": {"mimeType": "string", "fileUri": "string", "displayName": "string"},
    "functionCall": {"id": "string", "name": "string", "args": "object"},
    "functionResponse": {
        "id": "string",
        "name": "string",
        "response": "object",
        "willContinue": "bool",
        "scheduling": "string",
    },
    "executableCode": {"language": "string", "code": "string"},
    "codeExecutionResult": {"outcome": "string", "output": "string"},
    "videoMetadata": "any",
}
CONTENT: Body = {"role": "string", "parts": [PART]}
FUNCTION: Body = {
    "name": "string",
    "description": "string",
    "parameters": SCHEMA,
    "parametersJsonSchema": "any",
    "response": SCHEMA,
    "responseJsonSchema": "any",
    "behavior": "string",
}
CONFIG: Body = {
    "temperature": "float",
    "topP": "float",
    "topK": "int",
    "candidateCount": "int",
    "maxOutputTokens": "int",
    "stopSequences": ["string"],
    "seed": "int",
    "presencePenalty": "float",
    "frequencyPenalty": "float",
    "responseLogprobs": "bool",
    "logprobs": "int",
    "responseMimeType": "string",
    "responseSchema": SCHEMA,
    "responseJsonSchema": "any",
    "responseModalities": ["string"],
    "speechConfig": "any",
    "mediaResolution": "string",
    "thinkingConfig": {"includeThoughts": "bool", "thinkingBudget": "int", "thinkingLevel": "string"},
    "enableEnhancedCivicAnswers": "bool",
}
GENERATE: Body = {
    "model": "string",
    "contents": [CONTENT],
    "systemInstruction": CONTENT,
    "tools": [
        {
            "functionDeclarations": [FUNCTION],
            "googleSearch": "any",
            "codeExecution": "any",
            "urlContext": "any",
            "googleSearchRetrieval": "any",
        }
    ],
    "toolConfig": {
        "functionCallingConfig": {"mode": "string", "allowedFunctionNames": ["string"]},
        "retrievalConfig": "any",
    },
    "safetySettings": [{"category": "string", "threshold": "string", "method": "string"}],
    "generationConfig": CONFIG,
    "cachedContent": "string",
    "labels": ("string",),
    "serviceTier": "string",
    "store": "bool",
}
COUNT: Body = {"contents": [CONTENT], "generateContentRequest": GENERATE}
EMBED: Body = {
    "model": "string",
    "content": CONTENT,
    "taskType": "string",
    "title": "string",
    "outputDimensionality": "int",
}
EMBED_BATCH: Body = {"requests": [EMBED]}
_PLAIN = frozenset({"parametersJsonSchema", "responseJsonSchema"})


def read(content: bytes, spec: Body, *, plain_schemas: bool = True) -> Body:
    """The message in a body. Raises Refused as the service would."""
    try:
        raw = json.loads(content)
    except (ValueError, UnicodeDecodeError):
        raise Refused(400, "INVALID_ARGUMENT", "Invalid JSON payload received. Unexpected token.") from None
    if not isinstance(raw, dict):
        raise invalid("Invalid JSON payload received. Root element must be a message.")
    return _Reader(plain_schemas).message(raw, spec, "")


class _Reader:
    def __init__(self, plain_schemas: bool):
        self._unknown = frozenset() if plain_schemas else _PLAIN

    def message(self, raw: Body, spec: Body, path: str) -> Body:
        made: Body = {}
        for name, value in raw.items():
            known = name if name in spec else _camel(name)
            if known not in spec or known in self._unknown:
                at = f" at '{path}'" if path else ""
                message = f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'
                raise invalid(message, path or name)
            if value is not None:
                made[known] = self.value(value, spec[known], f"{path}.{_snake(known)}" if path else _snake(known))
        return made

    def value(self, value: Any, spec: Spec, path: str) -> Any:
        match spec:
            case dict():
                if not isinstance(value, dict):
                    raise _wrong(path, "message", value)
                return self.message(value, spec, path)
            case [inner] if isinstance(spec, list):
                items = value if isinstance(value, list) else [value]  # protobuf's JSON takes one for a list of one
                return [self.value(item, inner, f"{path}[{at}]") for at, item in enumerate(items)]
            case (inner,):
                if not isinstance(value, dict):
                    raise _wrong(path, "map", value)
                entries = enumerate(value.items())
                return {key: self.value(item, inner, f"{path}[{at}].value") for at, (key, item) in entries}
            case "any":
                return value
        return _plain(value, spec, path)


def _plain(value: Any, kind: str, path: str) -> Any:
    if kind == "int":
        if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise _wrong(path, kind, value)
        if not -(2**31) <= value < 2**31:
            raise _wrong(path, kind, value)
        return int(value)
    wanted: Any = {"string": str, "bool": bool, "object": dict, "float": (int, float), "bytes": str}[kind]
    if not isinstance(value, wanted) or (kind == "float" and isinstance(value, bool)):
        raise _wrong(path, kind, value)
    return _standard(value, path) if kind == "bytes" else value


def _standard(text: str, path: str) -> str:
    try:
        data = text.replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64encode(base64.b64decode(data + "=" * (-len(data) % 4), validate=True)).decode()
    except binascii.Error:
        message = f"Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for \"{text[:40]}\""
        raise invalid(message, path) from None


def _wrong(path: str, kind: str, value: Any) -> Refused:
    shown = json.dumps(value)[:60]
    return invalid(f"Invalid value at '{path}' ({_TYPES.get(kind, kind)}), {shown}", path)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda found: f"_{found[1].lower()}", name)
