"""The OpenAPI description, completed: who may ask, and how every operation fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from console.entrance import API

IF_MATCH: Final = r'^(\*|(W/)?"[^"]*"(, ?(W/)?"[^"]*")*)$'
"""What the header of a change may be."""

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
_RETRY_AFTER: Final = {"retry-after": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}


class _Told(NamedTuple):
    name: str
    description: str
    headers: dict[str, Any] | None = None


_FAILURES: Final = {
    "400": _Told("Wrong", "What was sent is wrong, or makes a configuration that cannot be used."),
    "401": _Told("WithoutKey", "There was no key, or a wrong one."),
    "404": _Told("NotThere", "There is nothing of that name."),
    "409": _Told("NotNow", "It cannot be done as things stand."),
    "412": _Told("Stale", "Somebody else changed it (If-Match); `revision` and `in_force` tell what is there now."),
    "413": _Told("TooLarge", "The body is larger than MAX_BODY_MB."),
    "428": _Told("Unconditional", "A change came without If-Match."),
    "429": _Told("Guessing", "Too many wrong keys came from this address.", _RETRY_AFTER),
    "503": _Told("Unavailable", "Redis does not answer, or the configuration cannot be read.", _RETRY_AFTER),
}
_OF_THE_FRAMEWORK: Final = ("HTTPValidationError", "ValidationError")


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """Complete what FastAPI made."""
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _OF_THE_FRAMEWORK:
        schemas.pop(name, None)
    schemas["Failure"] = _FAILURE
    components["responses"] = {told.name: _response(told) for told in _FAILURES.values()}
    components["securitySchemes"] = {"admin": {"type": "http", "scheme": "bearer", "description": "ADMIN_KEY"}}
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            if path.startswith(API):
                _complete(operation)
    return schema


def _complete(operation: dict[str, Any]) -> None:
    operation["security"] = [{"admin": []}]
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "If-Match":
            parameter |= {"required": True, "schema": {"type": "string", "pattern": IF_MATCH}}
    for status in _failing(operation):
        operation["responses"][status] = {"$ref": f"#/components/responses/{_FAILURES[status].name}"}


def _failing(operation: dict[str, Any]) -> Iterator[str]:
    """The statuses with which it may fail; those that are not to be seen from its shape, its route has named."""
    yield from [status for status in operation["responses"] if status in _FAILURES]
    yield from ("401", "429", "503")
    parameters = operation.get("parameters", ())
    if parameters or "requestBody" in operation:
        yield "400"
    if "requestBody" in operation:
        yield "413"
    if any(parameter["in"] == "path" for parameter in parameters):
        yield "404"
    if any(parameter["name"] == "If-Match" for parameter in parameters):
        yield from ("409", "412", "428")


def _response(told: _Told) -> dict[str, Any]:
    failure = {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}}
    return {
        "description": told.description,
        **({"headers": told.headers} if told.headers else {}),
        "content": failure,
    }
