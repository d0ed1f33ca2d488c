"""The OpenAPI description, completed: who may ask, and how every failure reads."""

from __future__ import annotations

from typing import Any, Final

from console.entrance import API

_FAILURE: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "A sentence for people."},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"], "description": "Which member or parameter is at fault."},
                "code": {"type": ["string", "null"], "description": "A stable word for programs."},
                "revision": {"type": "integer", "description": "With 412: the revision in force."},
                "in_force": {"description": "With 412: the entry as it is now, secrets masked; null: there is none."},
            },
        }
    },
}
_TOLD: Final = {
    "description": (
        "A failure: 400 what was sent is wrong, 401 no key or a wrong one, 404 no such thing, 405 not this method, "
        "409 not as things stand, 412 changed by somebody else (If-Match; `revision` and `in_force` tell what is there "
        "now), 413 too large, 428 a change without If-Match, 429 too many wrong keys (Retry-After), 503 Redis does not "
        "answer (Retry-After), or the configuration cannot be read."
    ),
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}},
}
_OF_THE_FRAMEWORK: Final = ("HTTPValidationError", "ValidationError")


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """Complete what FastAPI made."""
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _OF_THE_FRAMEWORK:
        schemas.pop(name, None)
    schemas["Failure"] = _FAILURE
    components["responses"] = {"Failure": _TOLD}
    components["securitySchemes"] = {"admin": {"type": "http", "scheme": "bearer", "description": "ADMIN_KEY"}}
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            if path.startswith(API):
                operation["responses"]["default"] = {"$ref": "#/components/responses/Failure"}
                operation["security"] = [{"admin": []}]
    return schema
