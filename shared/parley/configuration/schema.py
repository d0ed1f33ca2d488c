"""The JSON schema of `parley.yaml`, for editors, for `parley config schema`, and for docs/configuration.md.

It says what the models of this package say, and what they leave to others: what a credential is made of, which
providers there are, and which options each of them has. Every value may also be a text with `${NAME}` in it.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, get_args

import msgspec
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from parley.configuration.file import FileContent
from parley.providers import PROVIDERS
from parley.providers.options import OPTIONS

PLACE: Final = "config/parley.schema.json"
"""Where it is published, in the repository."""

_VARIABLE: Final = {"type": "string", "pattern": r"\$\{"}
CREDENTIAL: Final[JsonSchemaValue] = {
    "description": "A credential that is more than one text: the parts of its secret (docs/upstreams.md leads to the "
    "page of each provider, which names them), and what differs for it.",
    "type": "object",
    "properties": {
        "alias": {"type": "string", "description": "Its name in logs, health and usage; else `UPSTREAM-1`, ..."},
        "value": {"type": "string", "description": "Its secret, where that is one text."},
        "proxy": {"type": "string", "description": "Its own way to the upstream."},
        "base_url": {"type": "string", "description": "Its own address of the upstream."},
        "timeouts": {"$ref": "#/$defs/TimeoutsEntry", "description": "What differs of the upstream's."},
        "limits": {"$ref": "#/$defs/LimitsEntry", "description": "Instead of the upstream's."},
        "disabled": {"type": "boolean", "description": "Whether it is lent to nobody for the time being."},
    },
    "additionalProperties": {"type": "string", "description": "Another part of its secret."},
}


def schema() -> JsonSchemaValue:
    """The schema (draft 2020-12) of the whole file."""
    found = FileContent.model_json_schema(schema_generator=_AsWritten)
    kinds = found["$defs"]
    upstream = kinds["UpstreamEntry"]
    upstream["properties"]["provider"] |= {"enum": sorted(PROVIDERS)}
    upstream["properties"]["credentials"]["items"] = {
        "anyOf": [{"type": "string"}, {"$ref": "#/$defs/CredentialEntry"}]
    }
    kinds["CredentialEntry"] = CREDENTIAL
    upstream["allOf"] = [*_told_apart(kinds)]
    kinds["KeyEntry"]["oneOf"] = [{"required": ["key"]}, {"required": ["hash"]}]
    return {"$schema": GenerateJsonSchema.schema_dialect, **found, "title": "parley.yaml"}


def described(kind: type[msgspec.Struct], refs: str = "#/$defs/{name}") -> dict[str, JsonSchemaValue]:
    """The schema of a struct and those in it, by their names; what stands below a field describes it."""
    _, components = msgspec.json.schema_components((kind,), ref_template=refs)
    for struct in _structs(kind):
        for name, text in _said(struct).items():
            components[struct.__name__]["properties"][name]["description"] = text
    return components


def _told_apart(kinds: dict[str, JsonSchemaValue]) -> Iterator[JsonSchemaValue]:
    """What `options` of which provider may say; the schemas of the options are added to `kinds`."""
    alike: dict[Any, list[str]] = {}
    for provider in sorted(PROVIDERS):
        alike.setdefault(OPTIONS.get(provider), []).append(provider)
    for kind, providers in alike.items():
        options: JsonSchemaValue = {"maxProperties": 0}
        if kind is not None:
            prefix = f"{providers[0]}."
            named = described(kind, f"#/$defs/{prefix}{{name}}")
            kinds.update({prefix + name: entry for name, entry in named.items()})
            options = {"$ref": f"#/$defs/{prefix}{kind.__name__}"}
        yield {
            "if": {"properties": {"provider": {"enum": providers}}, "required": ["provider"]},
            "then": {"properties": {"options": options}},
        }


def _structs(hint: Any) -> Iterator[type[msgspec.Struct]]:
    """Every struct in a type."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
        for field in msgspec.structs.fields(hint):
            yield from _structs(field.type)
    for inner in get_args(hint):
        yield from _structs(inner)


def _said(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The sentences below the fields of a struct, and of those it is made from."""
    found: dict[str, str] = {}
    for kind in struct.__mro__[::-1]:
        if kind.__module__.startswith("msgspec") or kind is object:
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
        for field, below in pairwise(tree.body if isinstance(tree, ast.ClassDef) else []):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = " ".join(text.split())
    return found


class _AsWritten(GenerateJsonSchema):
    """Values as they are written before `${NAME}` is filled in."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """A title that repeats the name tells nothing."""
        return False

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return _or_variable(super().int_schema(schema))

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return _or_variable(super().float_schema(schema))

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        found = super().decimal_schema(schema)
        return {**found, "anyOf": [*found["anyOf"], _VARIABLE]}

    def bool_schema(self, schema: core_schema.BoolSchema) -> JsonSchemaValue:
        return _or_variable(super().bool_schema(schema))

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        return _or_variable(super().literal_schema(schema))

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        found = super().str_schema(schema)
        return _or_variable(found) if "pattern" in found else found


def _or_variable(found: JsonSchemaValue) -> JsonSchemaValue:
    return {"anyOf": [found, _VARIABLE]}
