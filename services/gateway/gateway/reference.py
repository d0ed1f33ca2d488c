"""What `/openapi.json` and `/docs` say beyond what FastAPI finds out: the chat endpoint, which is no route of FastAPI
and whose request is described from the Prompt itself; how answers and failures read; and where a key is needed."""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec

from parley.chat.events import FinishReason
from parley.chat.prompt import Prompt

_ABOUT: Final = (
    "One answer to a conversation, as OpenAI's API defines it; `stream: true` sends it token by token. Failures carry "
    "OpenAI's error envelope. `x-parley-attempts` says how many upstream calls an answer took."
)
_TEXT: Final = {"type": "string"}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_SCHEMAS: Final = {
    "Failure": _object(
        {"error": _object({"message": _TEXT, "type": _TEXT, "param": _TEXT_OR_NULL, "code": _TEXT_OR_NULL})}
    ),
    "Completion": _object(
        {
            "id": _TEXT,
            "object": {"const": "chat.completion"},
            "created": {"type": "integer"},
            "model": _TEXT,
            "choices": _list_of(
                _object(
                    {
                        "index": {"type": "integer"},
                        "message": _object(
                            {"role": {"const": "assistant"}, "content": _TEXT_OR_NULL, "refusal": _TEXT_OR_NULL}
                        ),
                        "logprobs": {"type": ["object", "null"]},
                        "finish_reason": {"enum": [*get_args(FinishReason), "function_call"]},
                    }
                )
            ),
        },
        usage=_object(
            {name: {"type": "integer"} for name in ("prompt_tokens", "completion_tokens", "total_tokens")},
        ),
    ),
    "Model": _object(
        {"id": _TEXT, "object": {"const": "model"}, "created": {"type": "integer"}, "owned_by": _TEXT},
    ),
    "Models": _object({"object": {"const": "list"}, "data": _list_of(_ref("Model"))}),
    "Health": _object(
        {
            "status": {"enum": ["ok", "degraded"]},
            "degraded": _list_of({"type": "object"}),
            "replica": _TEXT,
        }
    ),
    "Alive": _object({"status": {"const": "ok"}}),
    "Index": _object(dict.fromkeys(("name", "version", "chat", "models", "health", "reference"), _TEXT)),
}
_ANSWERS: Final = {
    "/v1/models": "Models",
    "/v1/models/{model}": "Model",
    "/health": "Health",
    "/health/ready": "Health",
    "/health/live": "Alive",
    "/": "Index",
}
_FAILURES: Final = {
    "400": "What was sent is wrong, or nobody can do it; `param` says what of it.",
    "401": "There was no key, or one that does not count.",
    "403": "The key is not for this address.",
    "404": "There is no such model, or not for this key.",
    "413": "The body is larger than MAX_BODY_MB.",
    "429": "A limit of the key, the model or all that serve it is reached; or too many wrong keys came from here.",
    "502": "The upstream failed.",
    "503": "Nobody can serve it now; a key cannot be looked up now.",
    "504": "The upstream fell silent.",
}
_WITH_A_KEY: Final = ("401", "403", "429", "503")
_RETRY_AFTER: Final = {"retry-after": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """Complete FastAPI's schema."""
    (body,), prompt = msgspec.json.schema_components((Prompt,), ref_template="#/components/schemas/{name}")
    prompt["Prompt"]["properties"].pop("", None)  # `raw`, which is not read from the wire
    schema["components"] = {
        "schemas": {**_SCHEMAS, **prompt},
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
    }
    for path, name in _ANSWERS.items():
        operation = schema["paths"][path]["get"]
        operation["responses"] = {"200": _answer("What was asked for", _ref(name))}
        if path.startswith("/v1/"):
            _ask_for_key(operation, *_WITH_A_KEY, *(["404"] if "{" in path else []))
    chat: dict[str, Any] = {
        "tags": ["OpenAI"],
        "summary": "Chat completion",
        "description": _ABOUT,
        "operationId": "create_chat_completion",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": _answer("The answer, or its stream", _ref("Completion"))},
    }
    chat["responses"]["200"]["content"]["text/event-stream"] = {"schema": _TEXT}
    _ask_for_key(chat, *_FAILURES)
    schema["paths"]["/v1/chat/completions"] = {"post": chat}
    return schema


def _ask_for_key(operation: dict[str, Any], *failures: str) -> None:
    operation["security"] = [{"key": []}]
    for status in failures:
        failure = _answer(_FAILURES[status], _ref("Failure"))
        operation["responses"][status] = {**failure, **({"headers": _RETRY_AFTER} if status in ("429", "503") else {})}


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
