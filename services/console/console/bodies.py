"""Bodies of changes: checked by the configuration's own models, and taken as they were written.

A description (OpenAPI) shows the model; what an endpoint gets is plain JSON with the members that were said, because
that is what the configuration keeps. Types are as described: `"5"` is no number here, and `0` does not mean false. (In
a file they are more lenient, because `${NAME}` is always a text.)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    create_model,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from parley.configuration.editing.sources import as_json
from parley.configuration.entries import STRICT
from parley.configuration.limits import LimitsEntry
from parley.configuration.upstreams import TimeoutsEntry

MISTYPED = "mistyped"
"""The type of the error whose context has the `place` of what is wrong, below the body."""


class Written:
    """Annotates a body: JSON that is as `model` describes it."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_core_schema__(self, _source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._taken, handler.generate_schema(self._model))

    def _taken(self, body: Any, validate: Callable[[Any], BaseModel]) -> dict[str, Any]:
        entry = validate(body)
        self._check_types(body)
        return as_json(entry)

    def _check_types(self, body: Any) -> None:
        try:
            self._model.model_validate_json(json.dumps(_as_meant(body)), strict=True)
        except ValidationError as problem:
            wrong = problem.errors(include_url=False, include_input=False)[0]
            if wrong["type"] == "json_invalid":
                return  # half a character: whoever keeps the text refuses it
            raise PydanticCustomError(MISTYPED, "{said}", {"said": wrong["msg"], "place": wrong["loc"]}) from None


def _as_meant(body: Any) -> Any:
    """Numbers without a fraction are integers, as JSON schemas have it."""
    match body:
        case dict():
            return {name: _as_meant(value) for name, value in body.items()}
        case list():
            return [_as_meant(value) for value in body]
        case float() if body.is_integer():
            return int(body)
    return body


class Patch(Written):
    """Annotates a body: a merge patch (RFC 7396) of what `model` describes. A null takes a member away."""

    def __init__(self, model: type[BaseModel]) -> None:
        super().__init__(_in_part(model))


class Shown:
    """Annotates a member of an answer: JSON as `model` describes it, with masks for secrets."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self._model.__pydantic_core_schema__)


@cache
def _in_part(model: type[BaseModel]) -> type[BaseModel]:
    members: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        said: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        members[name] = (said | None, Field(None, description=field.description))
    return create_model(
        f"{model.__name__.removesuffix('Facts').removesuffix('Entry').removesuffix('Item')}Patch",
        __base__=model,
        __doc__="A merge patch (RFC 7396): what is not mentioned stays, null takes away.",
        **members,
    )


Part = Annotated[str | None, Field(min_length=1, max_length=20_000, json_schema_extra={"format": "password"})]


class CredentialFacts(BaseModel):
    """The parts of a credential's secret (which of them, the upstream's page in docs/upstreams tells), and what differs
    from its upstream."""

    model_config = STRICT

    value: Annotated[Part, Field(description="The secret, where it has one part: an API key, a token.")] = None
    api_key: Part = None
    auth_token: Part = None
    token: Part = None
    cookie: Part = None
    csrf: Part = None
    user_id: Part = None
    username: Part = None
    organization: Part = None
    device_id: Part = None
    waf_token: Part = None
    app_id: Part = None
    appid: Part = None
    api_secret: Part = None
    api_password: Part = None
    access_key: Part = None
    secret_key: Part = None
    ak: Part = None
    sk: Part = None
    proxy: Annotated[str | None, Field(description="The way to the upstream with it; empty: as its upstream.")] = None
    base_url: Annotated[str | None, Field(description="Another address of the upstream for it.")] = None
    timeouts: Annotated[TimeoutsEntry | None, Field(description="Seconds that differ for it.")] = None
    limits: Annotated[LimitsEntry | None, Field(description="Instead of its upstream's.")] = None
    disabled: Annotated[bool | None, Field(description="Configured, and not lent.")] = None


class CredentialItem(CredentialFacts):
    """A credential. Of its secret there is one part at least."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})
