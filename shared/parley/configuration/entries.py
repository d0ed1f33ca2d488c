"""What entries of `parley.yaml` have in common: nothing unknown, no value in an error, defaults that are fields."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypeAliasType

from parley.chat.defaults import LIMITS, NEVER, described, wrong_with

STRICT: Final = ConfigDict(extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)
"""An entry takes the members that it names, and no others; what stands below a field describes it in the schema."""


def _checked(defaults: dict[str, Any]) -> dict[str, Any]:
    meant = {name: _whole(value) for name, value in defaults.items()}
    if wrong := wrong_with(meant):
        raise ValueError(f"'{wrong[0]}': {wrong[1]}")
    return meant


def _whole(value: Any) -> Any:
    """A number without a fraction is an integer, as JSON schemas have it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_DESCRIBED: Final[JsonSchemaValue] = {
    "description": "Fields of a request. One that is not named here is passed on to the upstream as it is.",
    "type": "object",
    "properties": described(),
    "propertyNames": {"minLength": 1, "not": {"enum": sorted(NEVER)}},
    "not": {"required": list(LIMITS)},
}
DefaultsEntry = TypeAliasType(
    "DefaultsEntry", Annotated[dict[str, Any], AfterValidator(_checked), WithJsonSchema(_DESCRIBED)]
)
"""Fields of a request, such as temperature: as they are here where a request does not say."""


class _Decimal:
    """A decimal is a number in JSON, as it is written: ours have 15 digits at most, which a float keeps. Or a text of
    digits."""

    _DIGITS: Final = r"^[0-9]{1,10}(\.[0-9]{1,15})?$"

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = core_schema.no_info_before_validator_function(self._spelt, handler(source))
        schema["serialization"] = core_schema.plain_serializer_function_ser_schema(
            float, return_schema=core_schema.float_schema(), when_used="json"
        )
        return schema

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = handler(schema)
        for choice in found.get("anyOf", ()):
            if choice.get("type") == "string":
                choice.setdefault("pattern", self._DIGITS)
        return found

    def _spelt(self, value: object) -> object:
        if isinstance(value, bool) or (isinstance(value, str) and not re.fullmatch(self._DIGITS, value)):
            raise ValueError("must be a number, such as 1.25")
        return Decimal(str(value)) if isinstance(value, int | float | str) else value


AsNumber: Final = _Decimal()
"""Annotates a Decimal."""


def mistakes(problem: ValidationError) -> str:
    """What is wrong and where, without any value."""
    return "; ".join(
        f"{'.'.join(map(str, error['loc']))}: {error['msg'].removeprefix('Value error, ')}".removeprefix(": ")
        for error in problem.errors()
    )
