"""What entries of `parley.yaml` have in common: nothing unknown, no value in an error, defaults that are fields."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, ConfigDict, PlainSerializer, ValidationError

from parley.chat.defaults import wrong_with

STRICT: Final = ConfigDict(extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)
"""An entry takes the members that it names, and no others; what stands below a field describes it in the schema."""


def _checked(defaults: dict[str, Any]) -> dict[str, Any]:
    if wrong := wrong_with(defaults):
        raise ValueError(f"'{wrong[0]}': {wrong[1]}")
    return defaults


DefaultsEntry = Annotated[dict[str, Any], AfterValidator(_checked)]
"""Fields of a request, such as temperature: as they are here where a request does not say."""

AsNumber: Final = PlainSerializer(float, return_type=float, when_used="json")
"""Decimals are numbers in JSON, as they are written. Ours have 15 digits at most, which a float keeps."""


def mistakes(problem: ValidationError) -> str:
    """What is wrong and where, without any value."""
    return "; ".join(
        f"{'.'.join(map(str, error['loc']))}: {error['msg'].removeprefix('Value error, ')}".removeprefix(": ")
        for error in problem.errors()
    )
