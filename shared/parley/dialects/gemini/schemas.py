"""JSON Schema cut to what OpenAPI's subset has, for API versions that do not read it as it stands.

What is left out only loosens the schema, but for a place where anything may stand: a type must be said, so it is text.
References are written out; one that refers to itself becomes an open object at its second turn.
"""

from __future__ import annotations

from typing import Any, Final

from parley.errors import BadRequest

_MOST_PARTS: Final = 10_000
"""References written out can double a schema at every level; nobody's tool is this large."""
_KEPT: Final = (
    "title",
    "description",
    "nullable",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
)
_FORMATS: Final = frozenset({"enum", "date-time", "int32", "int64", "float", "double"})
Schema = dict[str, Any]
Seen = tuple[str, ...]
"""References on the way from the root to here."""


def cleaned(schema: Schema) -> Schema:
    """The same schema in OpenAPI's words; the one given stays as it is. Raises BadRequest when it grows too large."""
    try:
        return _Cut(schema).clean(schema, ())
    except RecursionError:
        raise _too_large() from None


def is_empty(schema: Schema) -> bool:
    """Whether it is an object without properties, which the service wants left out altogether."""
    return schema.get("type", "object") == "object" and not schema.get("properties") and "anyOf" not in schema


class _Cut:
    """One schema on its way."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = _MOST_PARTS

    def clean(self, schema: Any, seen: Seen) -> Schema:
        schema, seen = self._resolved(schema, seen)
        made: Schema = {name: schema[name] for name in _KEPT if name in schema}
        kinds = [kind for kind in _list(schema.get("type")) if kind != "null"]
        alternatives = [one for word in ("anyOf", "oneOf") for one in _list(schema.get(word))]
        if "null" in _list(schema.get("type")) or any(map(_is_null, alternatives)):
            made["nullable"] = True
        alternatives = [one for one in alternatives if not _is_null(one)]
        if "properties" in schema:
            alternatives = []  # they only say which properties go together
        elif len(kinds) > 1 and not alternatives:
            alternatives = [{**schema, "type": kind} for kind in kinds]
        if alternatives:
            made = {name: made[name] for name in ("title", "description", "nullable") if name in made}
            said = [self.clean(one, seen) for one in alternatives]
            return {**said[0], **made} if len(said) == 1 else {**made, "anyOf": said}
        _add_values(schema, made)
        kind = made.setdefault("type", kinds[0] if kinds else _kind_of(schema))
        if schema.get("format") in _FORMATS:
            made["format"] = schema["format"]
        if kind == "object":
            self._add_properties(schema, made, seen)
        elif kind == "array":
            made["items"] = self.clean(schema.get("items"), seen)
        return made

    def _resolved(self, schema: Any, seen: Seen) -> tuple[Schema, Seen]:
        """The schema with its own references and `allOf` written out, and which references that took."""
        self._left -= 1
        if not self._left:
            raise _too_large()
        if not isinstance(schema, dict):
            return {}, seen
        if isinstance(reference := schema.get("$ref"), str):
            beside = {name: value for name, value in schema.items() if name != "$ref"}
            if reference in seen:
                return {"type": "object", **beside}, seen
            found, seen = self._resolved(_found(reference, self._root), (*seen, reference))
            schema = {**found, **beside}
        parts = _list(schema.get("allOf"))
        if not parts:
            return schema, seen
        whole: Schema = {name: value for name, value in schema.items() if name != "allOf"}
        for one in parts:
            part, seen = self._resolved(one, seen)
            for name, value in part.items():
                if name == "properties" and isinstance(value, dict):
                    whole[name] = {**value, **whole.get(name, {})}
                elif name == "required":
                    whole[name] = [*_list(whole.get(name)), *_list(value)]
                else:
                    whole.setdefault(name, value)
        return whole, seen

    def _add_properties(self, schema: Schema, made: Schema, seen: Seen) -> None:
        given = schema.get("properties")
        if not isinstance(given, dict) or not given:
            return
        made["properties"] = {name: self.clean(one, seen) for name, one in given.items()}
        required = [name for name in _list(schema.get("required")) if isinstance(name, str) and name in given]
        if required:
            made["required"] = required


def _add_values(schema: Schema, made: Schema) -> None:
    """`enum` and `const`: the service knows them of strings only; of others the description tells."""
    values = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
    if None in values:
        made["nullable"] = True
        values = [value for value in values if value is not None]
    if not values:
        return
    if all(isinstance(value, str) for value in values):
        made |= {"type": "string", "format": "enum", "enum": values}
        return
    if "type" not in schema:
        whole = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
        made["type"] = "integer" if whole else "string"
    told = f"One of: {', '.join(map(str, values))}."
    made["description"] = f"{made['description']} {told}" if made.get("description") else told


def _too_large() -> BadRequest:
    return BadRequest("A schema is too large for this model once its references are written out.")


def _kind_of(schema: Schema) -> str:
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    return "array" if "items" in schema else "string"


def _found(reference: str, root: Schema) -> Schema:
    """What `#/$defs/name` refers to; nothing for what leads nowhere."""
    place: Any = root
    for step in reference.removeprefix("#").split("/"):
        if step:
            place = place.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(place, dict) else None
    return place if isinstance(place, dict) else {}


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
