"""JSON schemas as the API takes them where the model must keep to them (`upstreams/anthropic.md` section 2.6).

Objects must be closed, and bounds of numbers, lengths and counts are not known there: they are told in the description,
as the vendor's own client does. A schema that cannot be said without a loss of shape (an open object, one that refers
to itself) is None, and goes another way.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_KEPT: Final = frozenset({"type", "enum", "const", "required", "title", "default", "$ref"})
_DEFINITIONS: Final = ("$defs", "definitions")
_NAMED: Final = frozenset({*_DEFINITIONS, "properties"})
_LISTS: Final = frozenset({"anyOf", "oneOf", "allOf"})
_TELLING: Final = frozenset({"type", "enum", "const", "$ref", "properties"}) | _LISTS
"""Without any of these, anything fits."""
_UNSAYABLE: Final = frozenset({"patternProperties", "prefixItems", "not", "if", "dependentSchemas"})
_BOTH: Final = frozenset({"anyOf", "oneOf"})
_SILENT: Final = frozenset({"description", "additionalProperties", "oneOf", "strict", "$schema", "$id", "$comment"})
"""Neither kept as they are nor told in words."""


def strict(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema as the API takes it, or None where that would change what fits it."""
    try:
        return _Strict(schema).told(schema)
    except _Loss:
        return None


class _Loss(Exception):
    """This cannot be said."""


class _Strict:
    def __init__(self, root: dict[str, Any]) -> None:
        if any(_reaches(name, root) for name in _named(root)):
            raise _Loss

    def told(self, schema: Any) -> dict[str, Any]:
        """One part of the schema."""
        if (
            not isinstance(schema, dict)
            or not schema.keys() & _TELLING
            or schema.keys() & _UNSAYABLE
            or schema.keys() >= _BOTH
        ):
            raise _Loss
        new: dict[str, Any] = {name: value for name, value in schema.items() if name in _KEPT or _is_kept(name, value)}
        for name in filter(_LISTS.__contains__, schema):
            new["allOf" if name == "allOf" else "anyOf"] = [self.told(one) for one in schema[name]]
        for name in filter(_NAMED.__contains__, schema):
            new[name] = {key: self.told(one) for key, one in schema[name].items()}
        if "items" in schema:
            new["items"] = self.told(schema["items"])
        if "properties" in schema or "object" in _types(schema):
            _refuse_open(schema)
            new.setdefault("type", "object")
            new["additionalProperties"] = False
        bounds = {name: value for name, value in schema.items() if name not in new and name not in _SILENT}
        said = [schema["description"]] if isinstance(schema.get("description"), str) else []
        if bounds:
            said.append(msgspec.json.encode(bounds).decode())
        if said:
            new["description"] = "\n\n".join(said)
        return new


def _is_kept(name: str, value: Any) -> bool:
    return (name == "format" and value in _FORMATS) or (name == "minItems" and value in (0, 1))


def _refuse_open(schema: dict[str, Any]) -> None:
    """Raise where an object may hold what is not named; one that may hold more beside what is named is closed."""
    more = schema.get("additionalProperties", "properties" not in schema)
    if more is not False and not (more is True and schema.get("properties")):
        raise _Loss


def _types(schema: dict[str, Any]) -> list[Any]:
    said = schema.get("type")
    return said if isinstance(said, list) else [said]


def _named(root: dict[str, Any]) -> dict[str, Any]:
    """Every part of the schema that can be referred to, by its reference."""
    parts = {f"#/{word}/{name}": part for word in _DEFINITIONS for name, part in (root.get(word) or {}).items()}
    return {"#": root, **parts}


def _reaches(start: str, root: dict[str, Any]) -> bool:
    """Whether what `start` refers to comes back to it, or leads nowhere: the API takes no such schema."""
    named = _named(root)
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for reference in _references(named[waiting.pop()]):
            if reference == start or reference not in named:
                return True
            if reference not in seen:
                seen.add(reference)
                waiting.append(reference)
    return False


def _references(schema: Any) -> list[str]:
    found: list[str] = []
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                found.append(part["$ref"])
            waiting += [value for name, value in part.items() if name not in _DEFINITIONS]
        elif isinstance(part, list):
            waiting += part
    return found
