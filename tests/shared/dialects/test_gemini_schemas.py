"""JSON Schema becomes what OpenAPI's subset has: pairs of before and after."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.dialects.gemini.schemas import cleaned, is_empty
from parley.errors import BadRequest

TEXT = {"type": "string"}
NUMBER = {"type": "number"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "additionalProperties": False,
                "properties": {"a": {"type": "string", "default": "x", "examples": ["y"], "minLength": 1}},
                "required": ["a", "ghost"],
            },
            {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}, "required": ["a"]},
        ),
        ({"const": "x"}, {"type": "string", "format": "enum", "enum": ["x"]}),
        ({"enum": ["a", "b", None]}, {"nullable": True, "type": "string", "format": "enum", "enum": ["a", "b"]}),
        (
            {"type": "integer", "enum": [1, 2], "description": "Pick."},
            {"type": "integer", "description": "Pick. One of: 1, 2."},
        ),
        ({"const": 5}, {"type": "integer", "description": "One of: 5."}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "number"]}, {"anyOf": [TEXT, NUMBER]}),
        (
            {"type": ["string", "number", "null"], "description": "d"},
            {
                "description": "d",
                "nullable": True,
                "anyOf": [{**TEXT, "description": "d"}, {**NUMBER, "description": "d"}],
            },
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "t"},
            {"type": "string", "nullable": True, "title": "t"},
        ),
        ({"oneOf": [{"type": "string"}, {"type": "number"}]}, {"anyOf": [TEXT, NUMBER]}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "string", "format": "email"}, TEXT),
        ({"type": "integer", "format": "int64"}, {"type": "integer", "format": "int64"}),
        ({"type": "array"}, {"type": "array", "items": TEXT}),
        ({"items": {"type": "number"}}, {"type": "array", "items": NUMBER}),
        ({"type": "object", "properties": {}}, {"type": "object"}),
        ({"type": "object", "properties": {"a": True}}, {"type": "object", "properties": {"a": TEXT}}),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/b~1c"}}, "b/c": NUMBER}},
            {"type": "array", "items": NUMBER},
        ),
        ({"$ref": "#/$defs/nowhere"}, TEXT),
        (
            {"type": "object", "properties": {"a": {"$ref": "#", "description": "again"}}},
            {
                "type": "object",
                "properties": {
                    "a": {
                        "type": "object",
                        "description": "again",
                        "properties": {"a": {"type": "object", "description": "again"}},
                    }
                },
            },
        ),
        (
            {
                "allOf": [
                    {"$ref": "#/$defs/a"},
                    {"properties": {"y": NUMBER}, "required": ["y"]},
                ],
                "properties": {"z": TEXT},
                "$defs": {"a": {"type": "object", "properties": {"x": TEXT}, "required": ["x"]}},
            },
            {"type": "object", "properties": {"y": NUMBER, "x": TEXT, "z": TEXT}, "required": ["x", "y"]},
        ),
        (
            {
                "type": "object",
                "properties": {"a": TEXT, "b": TEXT},
                "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
            },
            {"type": "object", "properties": {"a": TEXT, "b": TEXT}},
        ),
    ],
)
def test_a_schema_in_other_words(before: Any, after: Any):
    kept = json.dumps(before)
    assert cleaned(before) == after
    assert json.dumps(before) == kept, "another target may be asked with the same request"


def test_references_that_double_at_every_level_are_refused_and_not_written_out():
    levels: dict[str, Any] = {
        f"d{n}": {"type": "object", "properties": {side: {"$ref": f"#/$defs/d{n + 1}"} for side in "ab"}}
        for n in range(40)
    }
    with pytest.raises(BadRequest):
        cleaned({"$ref": "#/$defs/d0", "$defs": levels})


def test_references_of_great_depth_are_refused_and_break_nothing():
    chain: dict[str, Any] = {f"d{n}": {"type": "array", "items": {"$ref": f"#/$defs/d{n + 1}"}} for n in range(4000)}
    with pytest.raises(BadRequest):
        cleaned({"$ref": "#/$defs/d0", "$defs": chain})


def test_which_schemas_are_better_left_out():
    assert is_empty({}) and is_empty({"type": "object"}) and is_empty({"type": "object", "properties": {}})
    assert not is_empty({"type": "object", "properties": {"a": TEXT}})
    assert not is_empty({"type": "array"})


_words = st.sampled_from(["type", "properties", "items", "anyOf", "allOf", "enum", "const", "$ref", "required", "a"])
_schema = st.recursive(
    st.sampled_from([None, True, 1, "string", "object", "#", "#/a", "null", ["string", "null"], {}]),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_words, inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(_words, _schema, max_size=5))
def test_no_schema_breaks_it_and_every_place_has_a_type(schema: Any):
    with suppress(BadRequest):
        typed(cleaned(schema))


def typed(schema: Any) -> None:
    assert "type" in schema or "anyOf" in schema
    assert not schema.keys() & {"$ref", "allOf", "oneOf", "const", "default", "additionalProperties"}
    for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        typed(inner)
    if "items" in schema:
        typed(schema["items"])


def test_what_is_required_must_be_a_name():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", {}, None]}
    assert cleaned(schema)["required"] == ["a"]
