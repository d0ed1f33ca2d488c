"""The chat endpoint's part of `/docs`: it is no FastAPI route, so its request is described from the Prompt itself."""

from __future__ import annotations

from typing import Any

import msgspec

from parley.chat.prompt import Prompt

_ABOUT = (
    "One answer to a conversation, as OpenAI's API defines it; `stream: true` sends it token by token. Failures carry "
    "OpenAI's error envelope. `x-parley-attempts` says how many upstream calls an answer took."
)


def describe_chat(schema: dict[str, Any]) -> dict[str, Any]:
    """Add the chat endpoint to FastAPI's schema."""
    (body,), components = msgspec.json.schema_components((Prompt,), ref_template="#/components/schemas/{name}")
    components["Prompt"]["properties"].pop("", None)  # `raw`, which is not read from the wire
    schema.setdefault("components", {}).setdefault("schemas", {}).update(components)
    schema["components"].setdefault("securitySchemes", {})["key"] = {"type": "http", "scheme": "bearer"}
    schema["paths"]["/v1/chat/completions"] = {
        "post": {
            "tags": ["OpenAI"],
            "summary": "Chat completion",
            "description": _ABOUT,
            "operationId": "create_chat_completion",
            "security": [{"key": []}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {
                "200": {
                    "description": "The answer, or its stream",
                    "content": {
                        "application/json": {"schema": {"type": "object"}},
                        "text/event-stream": {"schema": {"type": "string"}},
                    },
                },
                "default": {"description": "A failure", "content": {"application/json": {"schema": _ENVELOPE}}},
            },
        }
    }
    return schema


_ENVELOPE = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
